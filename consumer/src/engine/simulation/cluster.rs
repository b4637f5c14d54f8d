//! The Kubernetes API: objects with one annotation each.

use std::time::Duration;

use eso_relay::event::Fingerprint;

use super::Order;
use crate::{
    sync::SyncState,
    target::Target,
    value::{Stage, Value},
};

pub(super) struct Cluster {
    pub(super) objects: Vec<Object>,
    /// Sent and not answered yet.
    pub(super) patches: Vec<Patch>,
    /// Given up by the sender, yet still on their way.
    pub(super) late: Vec<Patch>,
    pub(super) is_away: bool,
}

#[derive(Clone, Default)]
pub(super) struct Object {
    pub(super) exists: bool,
    pub(super) annotation: Option<Value>,
    /// The newest value that it ever carried.
    pub(super) newest: Option<Order>,
    pub(super) sync: SyncState,
    /// The newest value that it had ever carried when ESO synced it last.
    pub(super) synced: Option<Order>,
    /// Every change of its annotation, in turn.
    pub(super) writes: Vec<Write>,
    /// When it was last seen to be gone.
    gone: Option<Duration>,
    /// An admission webhook refuses its changes for good.
    pub(super) refuses: bool,
    /// Nothing may change it until a person permits it.
    pub(super) forbidden: bool,
    /// The newest value that was refused.
    pub(super) refused: Option<Order>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) at: Duration,
    pub(super) order: Order,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patch {
    /// Which process asked for it.
    pub(super) process: u64,
    pub(super) object: usize,
    pub(super) order: Order,
    pub(super) stage: Stage,
}

/// An object as the watch shows it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    Gone,
    Carries(Option<Value>, SyncState),
}

impl Cluster {
    pub(super) fn new(objects: usize) -> Self {
        let object = Object {
            exists: true,
            ..Object::default()
        };
        Self {
            objects: vec![object; objects],
            patches: Vec::new(),
            late: Vec::new(),
            is_away: false,
        }
    }

    pub(super) fn apply(&mut self, now: Duration, patch: Patch) {
        let Patch { order, stage, .. } = patch;
        let object = &mut self.objects[patch.object];
        if object.exists && !object.refuses {
            let value = Some(patch.value());
            if object.annotation != value {
                let at = now;
                object.writes.push(Write { at, order, stage });
                object.sync = SyncState::Waiting;
            }
            object.annotation = value;
            object.newest = object.newest.max(Some(patch.order));
        }
    }

    /// Creates it or deletes it.
    pub(super) fn toggle(&mut self, now: Duration, object: usize) {
        let object = &mut self.objects[object];
        object.exists = !object.exists;
        object.annotation = None;
        object.sync = SyncState::Waiting;
        object.gone = Some(now);
    }

    /// ESO reads its values, or fails to.
    pub(super) fn sync(&mut self, object: usize, fails: bool) {
        let object = &mut self.objects[object];
        if fails {
            object.sync = SyncState::Failed;
        } else {
            object.sync = SyncState::Synced;
            object.synced = object.newest;
        }
    }

    /// What the watch shows of it.
    pub(super) fn shows(&self, object: usize) -> Seen {
        let object = &self.objects[object];
        if object.exists {
            Seen::Carries(object.annotation, object.sync)
        } else {
            Seen::Gone
        }
    }

    /// Whether the object carried the value or a newer one, or was gone after it was published.
    pub(super) fn is_done(&self, object: usize, order: Order, published: Duration) -> bool {
        let object = &self.objects[object];
        !object.exists || object.newest >= Some(order) || object.gone >= Some(published)
    }

    /// [`Self::is_done`], and so long after the first value it carried a second one.
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

pub(super) fn target(object: usize) -> Target {
    Target::new("apps", &object.to_string())
}

pub(super) fn object(target: &Target) -> usize {
    target.name().parse().unwrap()
}

impl Patch {
    pub(super) fn value(self) -> Value {
        Value {
            event: fingerprint(self.order),
            stage: self.stage,
        }
    }
}

/// The value of an event, which says its order.
pub(super) fn fingerprint((sequence, index): Order) -> Fingerprint {
    format!("{sequence:018x}{index:02x}").parse().unwrap()
}

pub(super) fn order(value: Fingerprint) -> Order {
    let digits = value.to_string();
    let number = |digits| u64::from_str_radix(digits, 16).unwrap();
    let index = usize::try_from(number(&digits[18..])).unwrap();
    (number(&digits[2..18]), index)
}
