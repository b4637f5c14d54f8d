//! What bodies hold whose senders have not proved themselves: a share that they compete for among
//! themselves, and nothing that a verified body needs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::client::Peer;

/// The share of all unverified bodies.
#[derive(Clone)]
pub(super) struct Unverified(Arc<Mutex<Share>>);

struct Share {
    limit: usize,
    used: usize,
    next: u64,
    /// Bodies of which more is to come, oldest first.
    arriving: BTreeMap<u64, Arriving>,
}

struct Arriving {
    peer: Option<Peer>,
    bytes: usize,
    gives_way: CancellationToken,
}

/// What one body holds of the share; dropping it gives it back.
pub(super) struct Held {
    share: Unverified,
    peer: Option<Peer>,
    bytes: usize,
    /// Its number among those that arrive, and what ends it. `None`: all of it is here.
    arriving: Option<(u64, CancellationToken)>,
}

/// There is no room for it.
#[derive(Debug)]
pub(super) struct Full;

impl Unverified {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Share {
            limit,
            used: 0,
            next: 0,
            arriving: BTreeMap::new(),
        })))
    }

    pub(super) fn body(&self, peer: Option<Peer>) -> Held {
        Held {
            share: self.clone(),
            peer,
            bytes: 0,
            arriving: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Share> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.lock().used
    }
}

impl Share {
    /// Makes room for so many bytes. `me`: the body that wants them may be the one to give way.
    fn make_room(&mut self, bytes: usize, me: Option<u64>) -> Result<(), Full> {
        while self.used + bytes > self.limit {
            let number = self.weakest().ok_or(Full)?;
            if me == Some(number) {
                return Err(Full);
            }
            if let Some(arriving) = self.arriving.remove(&number) {
                self.used -= arriving.bytes;
                arriving.gives_way.cancel();
            }
        }
        Ok(())
    }

    /// The oldest body of the client that holds most: one that sends fast is never the oldest for
    /// long, and one client's many bodies are a burden for itself.
    fn weakest(&self) -> Option<u64> {
        let mut peers: HashMap<Option<Peer>, (usize, u64)> = HashMap::new();
        for (&number, arriving) in &self.arriving {
            peers.entry(arriving.peer).or_insert((0, number)).0 += arriving.bytes;
        }
        let most = peers
            .into_values()
            .max_by_key(|&(bytes, number)| (bytes, std::cmp::Reverse(number)));
        most.map(|(_, number)| number)
    }
}

impl Held {
    /// `more_comes`: this is not the end of the body.
    pub(super) fn grow(&mut self, bytes: usize, more_comes: bool) -> Result<(), Full> {
        let mut share = self.share.lock();
        let me = self.arriving.as_ref().map(|(number, _)| *number);
        if me.is_some_and(|me| !share.arriving.contains_key(&me)) {
            return Err(Full);
        }
        share.make_room(bytes, me)?;
        share.used += bytes;
        self.bytes += bytes;
        match me.and_then(|me| share.arriving.get_mut(&me)) {
            Some(arriving) => arriving.bytes = self.bytes,
            None if more_comes => {
                let (number, gives_way) = (share.next, CancellationToken::new());
                share.next += 1;
                share.arriving.insert(
                    number,
                    Arriving {
                        peer: self.peer,
                        bytes: self.bytes,
                        gives_way: gives_way.clone(),
                    },
                );
                self.arriving = Some((number, gives_way));
            }
            None => {}
        }
        Ok(())
    }

    /// Cancelled when another body needs its room. `None` while all of it is here.
    pub(super) fn gives_way(&self) -> Option<CancellationToken> {
        self.arriving.as_ref().map(|(_, token)| token.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut share = self.share.lock();
        let gone = match &self.arriving {
            // One that gave way holds nothing any more.
            Some((number, _)) => share.arriving.remove(number).is_none(),
            None => false,
        };
        if !gone {
            share.used -= self.bytes;
        }
    }
}
