//! Second marks: when they are due, and which newer event may answer for them.

use std::time::Duration;

use super::{Order, replica::Replica, server::GAP, world::World};
use crate::object::Stage;

impl World {
    /// How long an event settles at an object.
    pub(super) fn settle(&self, object: usize, (sequence, index): Order) -> Option<Duration> {
        let event = &self.server.message(sequence).events[index];
        event.settle.max(self.plan.stores[object])
    }

    /// How long a message as a whole settles there.
    pub(super) fn promise(&self, object: usize, sequence: u64) -> Option<Duration> {
        let events = (0..).zip(&self.server.message(sequence).events);
        let there = events.filter(|(_, it)| it.objects.contains(&object) && !it.undecodable);
        let settles = there.map(|(index, _)| self.settle(object, (sequence, index)));
        settles.max().flatten()
    }

    /// Whether the event is done at the object: it carried its mark or a newer one, and a second one after the settle.
    pub(super) fn is_settled(&self, object: usize, order: Order) -> bool {
        let published = self.server.message(order.0).published;
        let settle = self.settle(object, order);
        self.cluster.is_settled(object, order, published, settle)
    }

    /// Whether the object has carried a newer event that settles at least as long: then that event's delivery answers
    /// for the second mark.
    pub(super) fn is_taken_over(&self, object: usize, order: Order) -> bool {
        let settle = self.settle(object, order);
        let mut writes = self.cluster.objects[object].writes.iter();
        writes.any(|write| write.order > order && self.promise(object, write.order.0) >= settle)
    }

    /// A newer event that the replica holds, that settles as long, and that is redelivered after a crash if this one
    /// would be.
    pub(super) fn answering(
        &self,
        replica: &Replica,
        durable: bool,
        object: usize,
        order: Order,
    ) -> Option<Order> {
        let settle = self.settle(object, order);
        let held = replica.held.values();
        let held = held.filter(|holding| !holding.acked || !durable);
        let wants = held.flat_map(|holding| holding.wants.iter().copied());
        wants
            .filter(|(at, newer)| *at == object && *newer > order)
            .map(|(_, newer)| newer)
            .filter(|newer| self.promise(object, newer.0) >= settle)
            .max()
    }

    /// Whether the event is done at the object, by its own or a newer mark, or by a dead letter.
    pub(super) fn is_over(&self, object: usize, order: Order) -> bool {
        if self.server.message(order.0).is_removed() {
            return self.is_over(object, (GAP, 0));
        }
        self.is_dead(object, order)
            || self.is_settled(object, order)
            || self.is_taken_over(object, order)
            || self
                .answers
                .get(&(object, order))
                .is_some_and(|newer| self.is_over(object, *newer))
    }

    /// Whether there is a dead letter of the event, or of the one that answers for it.
    pub(super) fn is_dead(&self, object: usize, order: Order) -> bool {
        let (sequence, index) = order;
        let dead = &self.server.message(sequence).dead;
        let newer = self.answers.get(&(object, order));
        dead.contains(&None)
            || dead.contains(&Some(index))
            || newer.is_some_and(|newer| self.is_dead(object, *newer))
    }

    pub(super) fn check_stage(
        &self,
        replica: &Replica,
        object: usize,
        patched: Order,
        stage: Stage,
    ) {
        assert!(
            !replica.gone.contains(&(object, patched.0)),
            "a patch after the object was gone"
        );
        if stage == Stage::First {
            return;
        }
        let promise = self.promise(object, patched.0).unwrap_or_default();
        let mut writes = self.cluster.objects[object].writes.iter();
        assert!(
            writes.any(|write| write.order >= patched && write.at + promise <= self.now),
            "a second value of {patched:?} before it has settled"
        );
    }
}
