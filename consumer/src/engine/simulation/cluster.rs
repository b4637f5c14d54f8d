//! The Kubernetes API: objects with one annotation each, and their syncs by ESO.

use std::{mem, time::Duration};

use eso_relay::event::Fingerprint;
use serde_json::json;

use super::{
    Order,
    workload::{RestartPatch, Workload},
};
use crate::object::{ObjectRef, RefreshMark, Stage, Steps, SyncState, SyncVersion};

/// How long a patch may take before its sender gives it up.
pub(super) const PATCH_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Cluster {
    pub(super) objects: Vec<Object>,
    pub(super) workloads: Vec<Workload>,
    pub(super) restarts: Vec<RestartPatch>,
    /// Sent and not answered yet.
    pub(super) patches: Vec<Patch>,
    /// Timed out at the sender, but still to be applied.
    pub(super) late: Vec<Patch>,
    /// The processes whose probes are not answered yet.
    pub(super) probes: Vec<u64>,
    pub(super) is_away: bool,
}

#[derive(Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each of these comes and goes by itself"
)]
pub(super) struct Object {
    pub(super) exists: bool,
    pub(super) annotation: Option<RefreshMark>,
    /// The newest mark that it ever carried.
    pub(super) newest: Option<Order>,
    /// The mark that was written last, even if it was removed since.
    pub(super) written: Option<RefreshMark>,
    status: Status,
    /// Its metadata have changed since ESO reconciled it.
    queued: bool,
    /// The newest mark that it had carried when ESO synced it last.
    pub(super) synced: Option<Order>,
    /// Every change of its annotation, in order.
    pub(super) writes: Vec<Write>,
    /// When it was last seen to be gone.
    gone: Option<Duration>,
    /// An admission webhook refuses its changes.
    pub(super) refuses: bool,
    /// The permission to patch it is missing.
    pub(super) forbidden: bool,
    /// The newest value that was refused.
    pub(super) refused: Option<Order>,
    /// Until the end of the schedule.
    pub(super) stuck: Option<Stuck>,
}

/// An object whose patches always fail, whatever the API as a whole does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuck {
    /// 500, as when its admission webhook is away.
    Error,
    /// No answer before the timeout.
    Hangs,
    /// 403, by a missing role.
    Forbidden,
}

/// All that ESO hashes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Metadata(Option<RefreshMark>);

/// What ESO writes.
#[derive(Debug, Clone, Copy, Default)]
struct Status {
    /// `syncedResourceVersion`, which contains the annotation at the last sync; `None` when it is empty.
    of: Option<Metadata>,
    /// `refreshTime`.
    time: u64,
    failed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) at: Duration,
    pub(super) order: Order,
    pub(super) stage: Stage,
    /// Whether ESO has synced the object since.
    pub(super) synced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patch {
    /// Which process asked for it.
    pub(super) process: u64,
    pub(super) object: usize,
    pub(super) order: Order,
    pub(super) stage: Stage,
    pub(super) steps: Steps,
    pub(super) sent: Duration,
}

/// An object as the watch shows it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    Gone,
    Carries(Option<RefreshMark>, SyncState, SyncVersion),
}

impl Cluster {
    pub(super) fn new(stuck: &[Option<Stuck>], workloads: usize) -> Self {
        let object = |stuck: &Option<Stuck>| Object {
            exists: true,
            stuck: *stuck,
            ..Object::default()
        };
        Self {
            objects: stuck.iter().map(object).collect(),
            workloads: vec![Workload::default(); workloads],
            restarts: Vec::new(),
            patches: Vec::new(),
            late: Vec::new(),
            probes: Vec::new(),
            is_away: false,
        }
    }

    /// When the answer to the patch can come.
    pub(super) fn answers_at(&self, patch: &Patch) -> Duration {
        match self.objects[patch.object].stuck {
            Some(Stuck::Hangs) => patch.sent + PATCH_TIMEOUT,
            _ => patch.sent,
        }
    }

    /// The patches whose answers can come now.
    pub(super) fn answerable(&self, now: Duration) -> Vec<usize> {
        let patches = self.patches.iter().enumerate();
        let due = patches.filter(|(_, patch)| self.answers_at(patch) <= now);
        due.map(|(at, _)| at).collect()
    }

    pub(super) fn apply(&mut self, now: Duration, patch: Patch) {
        let Patch { order, stage, .. } = patch;
        let object = &mut self.objects[patch.object];
        if object.exists && !object.refuses {
            let value = Some(patch.value());
            if object.annotation != value {
                let at = now;
                object.writes.push(Write {
                    at,
                    order,
                    stage,
                    synced: false,
                });
                object.queued = true;
            }
            object.annotation = value;
            object.written = value;
            object.newest = object.newest.max(Some(patch.order));
        }
    }

    /// The first of two steps. A change of the status alone does not make ESO reconcile.
    pub(super) fn reset(&mut self, object: usize) {
        self.objects[object].status.of = None;
    }

    /// Another controller removes the annotation.
    pub(super) fn strip(&mut self, object: usize) {
        let object = &mut self.objects[object];
        object.queued |= object.annotation.take().is_some();
    }

    /// Creates it or deletes it.
    pub(super) fn toggle(&mut self, now: Duration, object: usize) {
        let object = &mut self.objects[object];
        object.exists = !object.exists;
        object.annotation = None;
        object.written = None;
        object.status = Status::default();
        object.queued = object.exists;
        object.gone = Some(now);
    }

    /// ESO reconciles an object, if its interval elapsed or its metadata changed; `fails`: whether the read fails.
    /// Returns whether it did.
    pub(super) fn look(&mut self, object: usize, interval: bool, fails: bool) -> bool {
        let object = &mut self.objects[object];
        let changed =
            mem::take(&mut object.queued) && object.status.of != Some(Metadata(object.annotation));
        // After a failure ESO retries by itself.
        if !object.exists || !(interval || changed || object.status.failed) {
            return false;
        }
        object.status.failed = fails;
        if !fails {
            object.status.of = Some(Metadata(object.annotation));
            object.synced = object.newest;
            for write in &mut object.writes {
                write.synced = true;
            }
            // It has a precision of a second.
            object.status.time += u64::from(interval);
        }
        true
    }

    /// The object as the watch shows it.
    pub(super) fn shows(&self, object: usize) -> Seen {
        let object = &self.objects[object];
        if !object.exists {
            return Seen::Gone;
        }
        let Status { of, time, failed } = object.status;
        let sync = if failed {
            SyncState::Failed
        } else if of == Some(Metadata(object.annotation)) {
            SyncState::Synced
        } else {
            SyncState::Waiting
        };
        let text = of.map(|value| format!("1-{value:?}"));
        let version = SyncVersion::of(&json!({
            "syncedResourceVersion": text,
            "refreshTime": time.to_string(),
        }));
        Seen::Carries(object.annotation, sync, version)
    }

    /// Whether the object has carried the mark or a newer one, or was gone after the event was published.
    pub(super) fn is_done(&self, object: usize, order: Order, published: Duration) -> bool {
        let object = &self.objects[object];
        !object.exists || object.newest >= Some(order) || object.gone >= Some(published)
    }

    /// [`Self::is_done`], and so long after the first mark it carried a second one.
    pub(super) fn is_settled(
        &self,
        object: usize,
        order: Order,
        published: Duration,
        settle: Option<Duration>,
    ) -> bool {
        let Some(settle) = settle else {
            return self.is_done(object, order, published);
        };
        let object = &self.objects[object];
        if !object.exists || object.gone >= Some(published) {
            return true;
        }
        let mut writes = object.writes.iter().filter(|write| write.order >= order);
        let Some(first) = writes.next() else {
            return false;
        };
        writes.any(|write| write.stage == Stage::Settled && write.at >= first.at + settle)
    }

    pub(super) fn was_ever_gone(&self, object: usize) -> bool {
        self.objects[object].gone.is_some()
    }
}

pub(super) fn target(object: usize) -> ObjectRef {
    let namespace = format!("team-{}", object / 2);
    ObjectRef::new(&namespace, &object.to_string())
}

pub(super) fn object(target: &ObjectRef) -> usize {
    target.name().parse().unwrap()
}

impl Patch {
    pub(super) fn value(self) -> RefreshMark {
        RefreshMark {
            event: fingerprint(self.order),
            stage: self.stage,
        }
    }
}

/// A fingerprint that encodes the order of the event.
pub(super) fn fingerprint((sequence, index): Order) -> Fingerprint {
    format!("{sequence:018x}{index:02x}").parse().unwrap()
}

pub(super) fn order(value: Fingerprint) -> Order {
    let digits = value.to_string();
    let number = |digits| u64::from_str_radix(digits, 16).unwrap();
    let index = usize::try_from(number(&digits[18..])).unwrap();
    (number(&digits[2..18]), index)
}
