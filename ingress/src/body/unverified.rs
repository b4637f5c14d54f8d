//! The bytes of bodies whose senders are not verified yet. They compete among themselves and take nothing
//! that a verified body needs.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::Quota;
use crate::client::Peer;

/// The bytes of all unverified bodies.
pub(super) struct Unverified {
    free: Quota,
    /// Bodies of which more will arrive. Most arrive whole, and do without it.
    incomplete: Mutex<Incomplete>,
}

#[derive(Default)]
struct Incomplete {
    next: u64,
    /// Oldest first.
    arriving: BTreeMap<u64, Arriving>,
}

struct Arriving {
    peer: Peer,
    bytes: usize,
    dropped: CancellationToken,
}

/// The bytes of one body; dropping it returns them.
pub(super) struct UnverifiedBody<'a> {
    all: &'a Unverified,
    peer: Peer,
    bytes: usize,
    /// Its number in [`Incomplete::arriving`], and the token that ends it. `None`: it has arrived whole.
    arriving: Option<(u64, CancellationToken)>,
}

/// There are too few free bytes.
#[derive(Debug)]
pub(super) struct Full;

impl Unverified {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            free: Quota::of(limit),
            incomplete: Mutex::default(),
        }
    }

    pub(super) fn body(&self, peer: Peer) -> UnverifiedBody<'_> {
        UnverifiedBody {
            all: self,
            peer,
            bytes: 0,
            arriving: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Incomplete> {
        self.incomplete
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `bytes`, for which it drops bodies that are still arriving. `own`: the body that needs the bytes,
    /// which may be the one to drop.
    fn take(&self, bytes: usize, own: Option<u64>, all: &mut Incomplete) -> Result<(), Full> {
        while !self.free.take(bytes) {
            let number = all.victim().ok_or(Full)?;
            if own == Some(number) {
                return Err(Full);
            }
            if let Some(arriving) = all.arriving.remove(&number) {
                self.free.give_back(arriving.bytes);
                arriving.dropped.cancel();
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.free.left()
    }
}

impl Incomplete {
    /// The oldest body of the client that holds most bytes: a client that sends fast is never the oldest
    /// for long, and one that sends many bodies displaces its own.
    fn victim(&self) -> Option<u64> {
        let mut peers: HashMap<Peer, (usize, u64)> = HashMap::new();
        for (&number, arriving) in &self.arriving {
            peers.entry(arriving.peer).or_insert((0, number)).0 += arriving.bytes;
        }
        let most = peers
            .into_values()
            .max_by_key(|&(bytes, number)| (bytes, Reverse(number)));
        most.map(|(_, number)| number)
    }
}

impl UnverifiedBody<'_> {
    /// `more_follow`: these bytes are not the end of the body.
    pub(super) fn grow(&mut self, bytes: usize, more_follow: bool) -> Result<(), Full> {
        let whole = self.arriving.is_none() && !more_follow;
        if whole && self.all.free.take(bytes) {
            self.bytes += bytes;
            return Ok(());
        }
        let mut incomplete = self.all.lock();
        let own = self.arriving.as_ref().map(|(number, _)| *number);
        if own.is_some_and(|own| !incomplete.arriving.contains_key(&own)) {
            return Err(Full);
        }
        self.all.take(bytes, own, &mut incomplete)?;
        self.bytes += bytes;
        match own.and_then(|own| incomplete.arriving.get_mut(&own)) {
            Some(arriving) => arriving.bytes = self.bytes,
            None if more_follow => {
                let (number, dropped) = (incomplete.next, CancellationToken::new());
                incomplete.next += 1;
                incomplete.arriving.insert(
                    number,
                    Arriving {
                        peer: self.peer,
                        bytes: self.bytes,
                        dropped: dropped.clone(),
                    },
                );
                self.arriving = Some((number, dropped));
            }
            None => {}
        }
        Ok(())
    }

    /// Cancelled when the body is dropped to free bytes for another one. `None` for a body that has arrived
    /// whole.
    pub(super) fn dropped(&self) -> Option<CancellationToken> {
        self.arriving.as_ref().map(|(_, token)| token.clone())
    }
}

impl Drop for UnverifiedBody<'_> {
    fn drop(&mut self) {
        let given_back = match &self.arriving {
            // `Unverified::take` has done it already.
            Some((number, _)) => self.all.lock().arriving.remove(number).is_none(),
            None => false,
        };
        if !given_back {
            self.all.free.give_back(self.bytes);
        }
    }
}
