//! The bytes of bodies whose senders are not verified yet. They compete among themselves and take nothing
//! that a verified body needs.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::client::Peer;

/// The bytes of all unverified bodies.
#[derive(Clone)]
pub(super) struct Unverified(Arc<Mutex<State>>);

struct State {
    limit: usize,
    used: usize,
    next: u64,
    /// Bodies of which more will arrive, oldest first.
    arriving: BTreeMap<u64, Arriving>,
}

struct Arriving {
    peer: Peer,
    bytes: usize,
    dropped: CancellationToken,
}

/// The bytes of one body; dropping it returns them.
pub(super) struct UnverifiedBody {
    all: Unverified,
    peer: Peer,
    bytes: usize,
    /// Its number in [`State::arriving`], and the token that ends it. `None`: it has arrived whole.
    arriving: Option<(u64, CancellationToken)>,
}

/// There are too few free bytes.
#[derive(Debug)]
pub(super) struct Full;

impl Unverified {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            limit,
            used: 0,
            next: 0,
            arriving: BTreeMap::new(),
        })))
    }

    pub(super) fn body(&self, peer: Peer) -> UnverifiedBody {
        UnverifiedBody {
            all: self.clone(),
            peer,
            bytes: 0,
            arriving: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.lock().used
    }
}

impl State {
    /// Frees `bytes` by dropping bodies that are still arriving. `own`: the body that needs the bytes,
    /// which may be the one to drop.
    fn free(&mut self, bytes: usize, own: Option<u64>) -> Result<(), Full> {
        while self.used + bytes > self.limit {
            let number = self.victim().ok_or(Full)?;
            if own == Some(number) {
                return Err(Full);
            }
            if let Some(arriving) = self.arriving.remove(&number) {
                self.used -= arriving.bytes;
                arriving.dropped.cancel();
            }
        }
        Ok(())
    }

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

impl UnverifiedBody {
    /// `more_follow`: these bytes are not the end of the body.
    pub(super) fn grow(&mut self, bytes: usize, more_follow: bool) -> Result<(), Full> {
        let mut state = self.all.lock();
        let own = self.arriving.as_ref().map(|(number, _)| *number);
        if own.is_some_and(|own| !state.arriving.contains_key(&own)) {
            return Err(Full);
        }
        state.free(bytes, own)?;
        state.used += bytes;
        self.bytes += bytes;
        match own.and_then(|own| state.arriving.get_mut(&own)) {
            Some(arriving) => arriving.bytes = self.bytes,
            None if more_follow => {
                let (number, dropped) = (state.next, CancellationToken::new());
                state.next += 1;
                state.arriving.insert(
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

impl Drop for UnverifiedBody {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut state = self.all.lock();
        let freed = match &self.arriving {
            // `State::free` has returned the bytes already.
            Some((number, _)) => state.arriving.remove(number).is_none(),
            None => false,
        };
        if !freed {
            state.used -= self.bytes;
        }
    }
}
