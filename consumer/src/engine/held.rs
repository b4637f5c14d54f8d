//! The deliveries that the engine holds.

use std::{collections::BTreeMap, time::Duration};

use eso_relay::{event::Fingerprint, stream::Reason};

use super::{Delivery, Rejection, Sequence};
use crate::target::Target;

/// Orders the values of a target: the greater the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) sequence: Sequence,
    pub(super) index: usize,
}

/// A delivery with targets that are not done.
#[derive(Debug)]
pub(super) struct Working {
    pub(super) attempt: u64,
    pub(super) open: BTreeMap<Target, Want>,
    /// At most one for each event.
    pub(super) rejections: Rejections,
}

pub(super) type Rejections = BTreeMap<Option<usize>, Rejection>;

/// What a delivery wants of one target: only the newest of its events counts.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) event: Fingerprint,
    /// The longest of all its events.
    pub(super) settle: Option<Duration>,
    newest: usize,
    older: Vec<usize>,
}

/// A delivery whose dead letters are being stored.
#[derive(Debug)]
pub(super) struct Storing {
    pub(super) attempt: u64,
    pub(super) reason: Reason,
}

impl Working {
    pub(super) fn new(delivery: Delivery) -> Self {
        let mut open = BTreeMap::<Target, Want>::new();
        for refresh in delivery.refreshes {
            let (index, event, settle) = (refresh.index, refresh.event, refresh.settle);
            open.entry(refresh.target)
                .and_modify(|want| want.add(index, event, settle))
                .or_insert(Want {
                    event,
                    settle,
                    newest: index,
                    older: Vec::new(),
                });
        }
        let rejections = delivery
            .rejected
            .into_iter()
            .map(|rejection| (rejection.index, rejection))
            .collect();
        Self {
            attempt: delivery.attempt,
            open,
            rejections,
        }
    }

    /// The target is done with: well, or else for this reason.
    pub(super) fn close(&mut self, target: &Target, failure: Option<(Reason, &str)>) {
        let (Some(want), Some((reason, error))) = (self.open.remove(target), failure) else {
            return;
        };
        for index in want.events() {
            self.rejections
                .entry(Some(index))
                .or_insert_with(|| Rejection {
                    index: Some(index),
                    reason,
                    error: error.to_owned(),
                });
        }
    }
}

impl Want {
    fn add(&mut self, index: usize, event: Fingerprint, settle: Option<Duration>) {
        self.settle = self.settle.max(settle);
        if index > self.newest {
            self.older.push(self.newest);
            self.newest = index;
            self.event = event;
        } else if index < self.newest {
            self.older.push(index);
        }
    }

    pub(super) fn version(&self, sequence: Sequence) -> Version {
        Version {
            sequence,
            index: self.newest,
        }
    }

    fn events(&self) -> impl Iterator<Item = usize> {
        self.older.iter().copied().chain([self.newest])
    }
}
