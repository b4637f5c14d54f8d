//! The deliveries that the engine holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use eso_relay::{event::Fingerprint, stream::Reason};

use super::{Delivery, StoreId, Urgency};
use crate::object::{Kept, ObjectRef, Rejection, Sequence, SyncState};

/// Orders the marks of a target: the greater the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) sequence: Sequence,
    pub(super) index: usize,
}

/// Identifies a restart that a delivery waits for: the workload, and the index of its newest event.
pub(super) type RestartId = (ObjectRef, usize);

/// A delivery whose targets and restarts are not all done.
#[derive(Debug)]
pub(super) struct InProgress {
    pub(super) attempt: u64,
    pub(super) kept: Kept,
    pub(super) place: Place,
    /// When `give_up_after` is over.
    pub(super) due: Duration,
    pub(super) open: BTreeMap<ObjectRef, Request>,
    /// The restarts that are not done.
    pub(super) restarts: BTreeSet<RestartId>,
    /// The targets that ESO has to sync first, each with the restarts that follow it.
    pub(super) follows: BTreeMap<ObjectRef, Vec<RestartId>>,
    /// Until when ESO has to sync them.
    pub(super) sync_due: Duration,
    /// An open target that does not keep failing, found by the last search.
    pub(super) going: Option<ObjectRef>,
    /// At most one for each event.
    pub(super) rejections: Rejections,
}

pub(super) type Rejections = BTreeMap<Option<usize>, Rejection>;

/// What a delivery requests for one target: the newest of its events.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) event: Fingerprint,
    /// The longest of all its events.
    pub(super) settle: Option<Duration>,
    pub(super) urgency: Urgency,
    pub(super) stores: Arc<[StoreId]>,
    pub(super) weight: usize,
    /// The sync state when it was matched.
    pub(super) sync: SyncState,
    reporting: Reporting,
    newest: usize,
    older: Vec<(usize, Fingerprint)>,
}

/// Whether the message of a delivery is held or parked: see `complete.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    /// Nak'ed with a delay.
    Parked,
    /// Nak'ed again without a delay, for its body.
    Recalled,
}

/// Whether the steps of an event at a target are still to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reporting {
    Pending,
    Done,
}

/// A delivery whose dead letters are being stored.
#[derive(Debug)]
pub(super) struct DeadLettering {
    pub(super) attempt: u64,
    pub(super) kept: Kept,
    pub(super) rejections: Vec<Rejection>,
    /// How often storing them was tried.
    pub(super) tries: u64,
    /// Whether they are being stored; otherwise a timer retries.
    pub(super) sent: bool,
}

impl InProgress {
    pub(super) fn new(delivery: Delivery, due: Duration, reporting: Reporting) -> Self {
        let mut open = BTreeMap::<ObjectRef, Request>::new();
        for refresh in delivery.refreshes {
            let (index, event, settle) = (refresh.index, refresh.event, refresh.settle);
            open.entry(refresh.target)
                .and_modify(|request| {
                    request.add(index, event, settle);
                    if refresh.urgency > request.urgency {
                        request.urgency = refresh.urgency.clone();
                    }
                })
                .or_insert(Request {
                    event,
                    settle,
                    urgency: refresh.urgency.clone(),
                    stores: refresh.stores,
                    weight: refresh.weight,
                    sync: refresh.sync,
                    reporting,
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
            kept: delivery.kept,
            place: Place::Here,
            due,
            open,
            restarts: BTreeSet::new(),
            follows: BTreeMap::new(),
            sync_due: Duration::MAX,
            going: None,
            rejections,
        }
    }

    /// Closes a target, with a failure or without. Returns its events if their steps are to be reported.
    pub(super) fn close(
        &mut self,
        target: &ObjectRef,
        failure: Option<(Reason, &str)>,
    ) -> Vec<Fingerprint> {
        let Some(request) = self.open.remove(target) else {
            return Vec::new();
        };
        let events = || match request.reporting {
            Reporting::Pending => request.events().map(|(_, event)| event).collect(),
            Reporting::Done => Vec::new(),
        };
        let Some((reason, error)) = failure else {
            return events();
        };
        for (index, _) in request.events() {
            reject(&mut self.rejections, index, reason, error);
        }
        events()
    }

    /// Whether it waits for nothing any more.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty() && self.restarts.is_empty()
    }

    /// Whether a restart follows the target.
    pub(super) fn follows(&self, target: &ObjectRef) -> bool {
        self.follows.contains_key(target)
    }
}

/// The first rejection of an event counts.
pub(super) fn reject(rejections: &mut Rejections, index: usize, reason: Reason, error: &str) {
    rejections.entry(Some(index)).or_insert_with(|| Rejection {
        index: Some(index),
        reason,
        error: error.to_owned(),
    });
}

impl Request {
    fn add(&mut self, index: usize, event: Fingerprint, settle: Option<Duration>) {
        self.settle = self.settle.max(settle);
        if index > self.newest {
            self.older.push((self.newest, self.event));
            self.newest = index;
            self.event = event;
        } else if index < self.newest {
            self.older.push((index, event));
        }
    }

    pub(super) fn version(&self, sequence: Sequence) -> Version {
        Version {
            sequence,
            index: self.newest,
        }
    }

    fn events(&self) -> impl Iterator<Item = (usize, Fingerprint)> {
        let newest = (self.newest, self.event);
        self.older.iter().copied().chain([newest])
    }
}
