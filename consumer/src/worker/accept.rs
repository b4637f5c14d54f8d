//! Messages and changes of the cluster come in, and are matched.

use std::{
    collections::BTreeSet,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use eso_relay::{Event, stream::position::Gap};

use super::{Phase, Worker, recent::Taken};
use crate::{
    engine::Input,
    matching::{
        Resolved, Seen,
        index::{Among, Change, Observation},
        resolve, resolve_among,
    },
    object::ObjectRef,
    stream::{Pulled, Received, Reply, gap},
};

impl Worker {
    pub(super) fn pulled(&mut self, pulled: Pulled) {
        match pulled {
            Pulled::Message(message) => self.take(message),
            Pulled::CaughtUp => self.handle(Input::CaughtUp),
        }
    }

    /// A message has come.
    fn take(&mut self, message: Received) {
        self.taken += 1;
        if let Phase::Stopping(returning) = &mut self.phase {
            returning.push((message.reply, None));
            return;
        }
        self.accept(message);
    }

    /// Events were missed: everything counts as changed.
    pub(super) fn refresh_everything(&mut self, gap: Gap) {
        self.accept(gap::message(gap, &self.context.cluster));
    }

    pub(super) fn accept(&mut self, message: Received) {
        let (sequence, attempt) = (message.sequence, message.attempt);
        let context = &self.context;
        let resolve = || resolve(&message, &self.index, &context.cluster, &context.stores);
        // OK to go on after a panic: resolving only reads.
        let Ok((resolved, events)) = catch_unwind(AssertUnwindSafe(resolve)) else {
            self.report.panicked(sequence, attempt);
            self.held.insert(message, Vec::new());
            self.handle(Input::Panicked { sequence, attempt });
            return;
        };
        let Resolved {
            delivery,
            events: seen,
            skipped,
        } = resolved;
        self.denied.note(&message, &events, &skipped);
        // What is held already goes on as it is, and so does its receipt.
        let is_new = !self.held.knows(sequence);
        if let (Reply::Ack(_), true) = (&message.reply, is_new) {
            let now = self.started.elapsed();
            self.recent.push(now, message.clone(), events);
        }
        self.report
            .accepted(&message, &seen, &skipped, is_new, &self.index);
        self.report.undecodable(delivery.rejected.len());
        self.held.insert(message, seen);
        self.handle(Input::Delivery(delivery));
    }

    /// The cluster has changed.
    pub(super) fn apply(&mut self, change: Change) {
        if let Change::Opened(listing) = &change {
            self.opened(listing.clone());
        }
        let was_synced = self.index.is_synced();
        for observation in self.index.apply(change) {
            match observation {
                Observation::Carries {
                    target,
                    value,
                    sync,
                } => self.handle(Input::Observed {
                    target,
                    value,
                    sync,
                }),
                Observation::Gone(target) => self.handle(Input::Deleted(target)),
                Observation::Reads(target) => {
                    self.appeared.insert(target);
                }
                // The same once more would be lost as well.
                Observation::Lost { .. } if self.report.resets_are_refused() => {}
                Observation::Lost { target, value } => self.lost.push((target, value)),
            }
        }
        if !was_synced && self.index.is_synced() {
            self.report.index_is_complete(&self.index);
            self.gauges();
        }
    }

    /// Whether events of a moment ago mean what the watch has shown since.
    pub(super) fn match_recent(&mut self) {
        let (appeared, lost) = (mem::take(&mut self.appeared), mem::take(&mut self.lost));
        if (appeared.is_empty() && lost.is_empty()) || self.phase != Phase::Running {
            return;
        }
        let now = self.started.elapsed();
        let mut late = Vec::new();
        let among = self.index.among(&appeared);
        for Taken {
            message, events, ..
        } in self.recent.since(now)
        {
            late.extend(self.resolve_late(message, events, &among));
        }
        let mut again = Vec::new();
        for (target, value) in lost {
            if !self.engine.expects(&target, value) {
                continue;
            }
            let among = self.index.among(&[target].into());
            for Taken {
                message, events, ..
            } in self.recent.since(now)
            {
                // With the others of its message, which may settle longer.
                let mut prints = events.iter().map(|(_, event)| event.fingerprint());
                if prints.any(|event| event == value.event) {
                    again.extend(self.resolve_late(message, events, &among));
                }
            }
        }
        late.extend(self.admitted(&appeared, &late));
        for (message, resolved) in late {
            if self.engine.is_storing(message.sequence) {
                // Once more when that has ended; what is done by then costs nothing.
                self.appeared.extend(appeared.iter().cloned());
            } else {
                self.take_late(message, resolved);
            }
        }
        for (message, resolved) in again {
            if !self.engine.is_storing(message.sequence) {
                self.write_again(message, resolved);
            }
        }
    }

    /// What was kept for objects that a store has let in, but for what comes `late` anyway.
    fn admitted(
        &mut self,
        appeared: &BTreeSet<ObjectRef>,
        late: &[(Received, Resolved)],
    ) -> Vec<(Received, Resolved)> {
        let mut admitted = Vec::new();
        for (message, events, targets) in self.denied.of(appeared) {
            let among = self.index.among(&targets);
            let Some((message, resolved)) = self.resolve_late(&message, &events, &among) else {
                continue;
            };
            let still = |target: &ObjectRef| {
                let mut skipped = resolved.skipped.iter();
                skipped.any(|(_, skipped)| skipped.target == *target)
            };
            let let_in = targets.iter().filter(|target| !still(target));
            let_in.for_each(|target| self.denied.forget(target));
            if late
                .iter()
                .all(|(other, _)| other.sequence != message.sequence)
            {
                admitted.push((message, resolved));
            }
        }
        admitted
    }

    /// What the events of a message that was taken mean among these, if anything.
    fn resolve_late(
        &self,
        message: &Received,
        events: &[(usize, Event)],
        among: &Among,
    ) -> Option<(Received, Resolved)> {
        let (cluster, policy) = (&self.context.cluster, &self.context.stores);
        let resolve = || resolve_among(message, events, &self.index, cluster, policy, among);
        // OK to go on after a panic: resolving only reads.
        let resolved = catch_unwind(AssertUnwindSafe(resolve)).ok()?;
        let any = !resolved.delivery.refreshes.is_empty();
        any.then(|| (message.clone(), resolved))
    }

    fn take_late(&mut self, message: Received, resolved: Resolved) {
        let Resolved {
            mut delivery,
            mut events,
            ..
        } = resolved;
        let sequence = message.sequence;
        // What it waits for is in its receipt already.
        let is_new = |target: &ObjectRef| !self.engine.waits(sequence, target);
        delivery.refreshes.retain(|it| is_new(&it.target));
        for event in &mut events {
            let refreshes = delivery.refreshes.iter();
            event.targets = refreshes.filter(|it| it.index == event.index).count();
        }
        events.retain(|event| event.targets > 0);
        if events.is_empty() {
            return;
        }
        for event in &events {
            self.report.matched_late(&message, event);
        }
        self.hold_late(message, events);
        self.handle(Input::Late(delivery));
    }

    /// A value was lost before ESO looked. The receipt has it already.
    fn write_again(&mut self, message: Received, resolved: Resolved) {
        let Resolved {
            delivery, events, ..
        } = resolved;
        for event in &events {
            self.report.written_again(&message, event);
        }
        self.hold_late(message, events);
        self.handle(Input::Lost(delivery));
    }

    fn hold_late(&mut self, message: Received, events: Vec<Seen>) {
        if !self.held.knows(message.sequence) {
            let reply = Reply::Said;
            self.held.insert(Received { reply, ..message }, events);
        }
    }
}
