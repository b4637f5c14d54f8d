//! Applies changes of the cluster, and matches the events of a moment ago with what the watch has shown since.

use std::{
    collections::BTreeSet,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use eso_relay::Event;

use super::{Phase, Worker, recent::RecentMessage};
use crate::{
    engine::Input,
    matching::{
        MatchedEvent, Resolved,
        index::{Among, Change, Observation},
        resolve_among,
    },
    object::ObjectRef,
    stream::{Message, Reply},
};

impl Worker {
    /// Applies a change of the cluster to the index, and tells the engine what it must know.
    pub(super) fn apply(&mut self, change: Change) {
        if let Change::AccessRestored(listing) = &change {
            self.note_restored(listing.clone());
        }
        let was_synced = self.index.is_synced();
        for observation in self.index.apply(change) {
            match observation {
                Observation::Carries {
                    target,
                    value,
                    sync,
                } => {
                    self.report.observed(&target, sync);
                    self.handle(Input::Observed {
                        target,
                        value,
                        sync,
                    });
                }
                Observation::Workload { workload, state } => {
                    self.handle(Input::Workload { workload, state });
                }
                Observation::Gone(target) => {
                    // Before the engine tells the last step.
                    self.report.gone(&target);
                    self.handle(Input::Deleted(target));
                }
                Observation::Reads(target) => {
                    self.appeared.insert(target);
                }
                // A second mark would be removed as well.
                Observation::MarkRemoved { .. } if self.report.resets_are_refused() => {}
                Observation::MarkRemoved { target, value } => {
                    self.removed_marks.push((target, value));
                }
            }
        }
        if !was_synced && self.index.is_synced() {
            self.report.index_is_complete(&self.index);
            self.gauges();
        }
    }

    /// Matches recent events with what the watch has shown since.
    pub(super) fn match_recent(&mut self) {
        let appeared = mem::take(&mut self.appeared);
        let removed_marks = mem::take(&mut self.removed_marks);
        if (appeared.is_empty() && removed_marks.is_empty()) || self.phase != Phase::Running {
            return;
        }
        let now = self.started.elapsed();
        let mut late = Vec::new();
        let among = self.index.among(&appeared);
        for RecentMessage {
            message, events, ..
        } in self.recent.since(now)
        {
            late.extend(self.resolve_late(message, events, &among));
        }
        let mut again = Vec::new();
        for (target, value) in removed_marks {
            if !self.engine.expects(&target, value) {
                continue;
            }
            let among = self.index.among(&[target].into());
            for RecentMessage {
                message, events, ..
            } in self.recent.since(now)
            {
                // With the other events of its message, which may settle longer.
                let mut fingerprints = events.iter().map(|(_, event)| event.fingerprint());
                if fingerprints.any(|event| event == value.event) {
                    again.extend(self.resolve_late(message, events, &among));
                }
            }
        }
        late.extend(self.admitted(&appeared, &late));
        for (message, resolved) in late {
            if self.engine.is_dead_lettering(message.sequence) {
                // Again once the dead letters are stored; what is done by then costs nothing.
                self.appeared.extend(appeared.iter().cloned());
            } else {
                self.accept_late(message, resolved);
            }
        }
        for (message, resolved) in again {
            if !self.engine.is_dead_lettering(message.sequence) {
                self.rewrite(message, resolved);
            }
        }
    }

    /// Matches the events that were kept for objects which a store denied and now allows, unless `late` has them.
    fn admitted(
        &mut self,
        appeared: &BTreeSet<ObjectRef>,
        late: &[(Message, Resolved)],
    ) -> Vec<(Message, Resolved)> {
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
            let allowed = targets.iter().filter(|target| !still(target));
            allowed.for_each(|target| self.denied.forget(target));
            if late
                .iter()
                .all(|(other, _)| other.sequence != message.sequence)
            {
                admitted.push((message, resolved));
            }
        }
        admitted
    }

    /// Matches an accepted message again, only with `among`; `None` if it matches none of them.
    fn resolve_late(
        &self,
        message: &Message,
        events: &[(usize, Event)],
        among: &Among,
    ) -> Option<(Message, Resolved)> {
        let (cluster, policy) = (&self.context.cluster, &self.context.stores);
        let resolve = || resolve_among(message, events, &self.index, cluster, policy, among);
        // OK to continue after a panic: resolving only reads.
        let resolved = catch_unwind(AssertUnwindSafe(resolve)).ok()?;
        let any = !resolved.delivery.refreshes.is_empty();
        any.then(|| (message.clone(), resolved))
    }

    fn accept_late(&mut self, message: Message, resolved: Resolved) {
        let Resolved {
            mut delivery,
            mut events,
            ..
        } = resolved;
        let sequence = message.sequence;
        // Targets that the delivery waits for are in its receipt already.
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

    /// Writes a mark again that was removed before ESO looked. The receipt has the target already.
    fn rewrite(&mut self, message: Message, resolved: Resolved) {
        let Resolved {
            delivery, events, ..
        } = resolved;
        for event in &events {
            self.report.rewritten(&message, event);
        }
        self.hold_late(message, events);
        self.handle(Input::Rewrite(delivery));
    }

    fn hold_late(&mut self, message: Message, events: Vec<MatchedEvent>) {
        if !self.held.knows(message.sequence) {
            let reply = Reply::None;
            self.held.insert(Message { reply, ..message }, events);
        }
    }
}
