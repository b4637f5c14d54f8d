//! What happens to the worker, told to the engine.

use std::{
    collections::BTreeSet,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

use eso_relay::{Event, stream::position::Gap};
use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use super::{
    Phase, Worker,
    outputs::{Patched, Stored},
    recent::Taken,
};
use crate::{
    engine::Input,
    matching::{
        Found, Resolved, Seen,
        index::{Among, Change, Observation, Skipped},
        resolve, resolve_among,
    },
    object::{ObjectRef, Outcome, Reset, Sequence, Stage},
    report::kube_events::What,
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
        self.take_up(message);
    }

    /// Events were missed: everything counts as changed.
    pub(super) fn refresh_everything(&mut self, gap: Gap) {
        self.take_up(gap::message(gap, &self.tools.cluster));
    }

    pub(super) fn take_up(&mut self, message: Received) {
        let (sequence, attempt) = (message.sequence, message.attempt);
        let tools = &self.tools;
        let resolve = || resolve(&message, &self.index, &tools.cluster, &tools.stores);
        // OK to go on after a panic: resolving only reads.
        let Ok((resolved, events)) = catch_unwind(AssertUnwindSafe(resolve)) else {
            error!(sequence, attempt, "reading a message panicked");
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
        let events = seen;
        for event in &events {
            self.saw(event, &message);
            let of_event = skipped.iter().filter(|(index, _)| *index == event.index);
            let of_event = of_event.map(|(_, skipped)| skipped);
            if is_new {
                self.ledger.taken(now(), &message, event, of_event.clone());
            }
            of_event.for_each(|skipped| self.skipped(event, skipped, sequence));
        }
        for _ in &delivery.rejected {
            self.tools.metrics.event(Found::undecodable);
        }
        self.held.insert(message, events);
        self.handle(Input::Delivery(delivery));
    }

    fn saw(&self, seen: &Seen, message: &Received) {
        self.tools.metrics.event(seen.found);
        let (sequence, attempt) = (message.sequence, message.attempt);
        let Seen {
            value: event,
            source,
            trace_id,
            targets,
            skipped,
            ..
        } = seen;
        if seen.found == Found::matched {
            info!(%source, %event, sequence, attempt, targets, skipped, trace_id, "event matched");
        } else {
            debug!(%source, %event, sequence, attempt, found = ?seen.found, skipped, trace_id, "event without targets");
        }
    }

    fn skipped(&self, event: &Seen, skipped: &Skipped, sequence: Sequence) {
        let Skipped { target, reason } = skipped;
        self.tools.metrics.skipped(*reason);
        debug!(object = %target, %reason, advice = reason.advice(), sequence, "skipped");
        if let Some(what) = What::of_skipped(*reason) {
            self.note(target, event.value, Some(event.source.clone()), what);
        }
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
                Observation::Lost { .. } if self.resets_are_refused => {}
                Observation::Lost { target, value } => self.lost.push((target, value)),
            }
        }
        if !was_synced && self.index.is_synced() {
            info!(index = ?self.index.stats(), "the index is complete; pulling");
            self.gauges();
        }
    }

    /// Whether events of a moment ago mean what the watch has shown since.
    pub(super) fn look_back(&mut self) {
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
                let mut events = events.iter();
                if let Some(event) = events.find(|(_, event)| event.fingerprint() == value.event) {
                    again.extend(self.resolve_late(message, slice::from_ref(event), &among));
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
        let (cluster, policy) = (&self.tools.cluster, &self.tools.stores);
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
            info!(source = %event.source, event = %event.value, sequence, targets = event.targets, trace_id = event.trace_id, "event of a moment ago matched what has appeared since");
            self.ledger.late(now(), &message, event);
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
            info!(source = %event.source, event = %event.value, sequence = message.sequence, trace_id = event.trace_id, "the annotation was taken away before ESO looked; writing it again");
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

    /// A patch has ended.
    pub(super) fn patched(&mut self, patched: Patched) {
        let Patched {
            target,
            value,
            event,
            outcome,
            reset,
            took,
        } = patched;
        self.reset(&reset);
        let metrics = &self.tools.metrics;
        metrics.patched(&outcome, took);
        let trace_id = event.as_ref().and_then(|event| event.trace_id.as_deref());
        match &outcome {
            Outcome::Done | Outcome::Gone => {
                // A second value is as late as it is meant to be.
                if let (Some(event), Stage::First) = (&event, value.stage) {
                    let age = now().duration_since(event.received_at);
                    metrics.event_age.observe(age.as_secs_f64().max(0.0));
                }
                info!(object = %target, event = %value.event, stage = ?value.stage, trace_id, ?took, "patched");
            }
            Outcome::Retry { fault, error, .. } => {
                warn!(object = %target, event = %value.event, stage = ?value.stage, trace_id, ?fault, error, "not patched; trying again");
            }
            Outcome::Refused { error } => {
                error!(object = %target, event = %value.event, stage = ?value.stage, trace_id, error, "the API refused a patch for good");
            }
        }
        self.handle(Input::Patched {
            target,
            value,
            outcome,
        });
    }

    /// Said once for each change.
    fn reset(&mut self, reset: &Reset) {
        self.tools.metrics.reset(reset);
        match reset {
            Reset::Done if self.resets_are_refused => {
                info!("the status of an ExternalSecret was reset again");
                self.resets_are_refused = false;
            }
            Reset::Refused { error } if !self.resets_are_refused => {
                warn!(
                    error,
                    "the status of an ExternalSecret cannot be reset, so its annotation alone is patched: \
                     ESO may pass over what a ClusterExternalSecret owns and what is forced; grant \
                     `patch` on `externalsecrets/status`"
                );
                self.resets_are_refused = true;
            }
            Reset::NotAsked | Reset::Done | Reset::Refused { .. } => {}
        }
    }

    /// A probe of the API has ended.
    pub(super) fn probed(&mut self, outcome: Outcome) {
        let answered = outcome.is_answer();
        if let Outcome::Retry { error, .. } = outcome {
            debug!(error, answered, "the Kubernetes API was probed");
        }
        self.handle(Input::Probed { answered });
    }

    /// Dead letters are stored, or could not be.
    pub(super) fn stored(&mut self, stored: Stored) {
        let Stored { sequence, result } = stored;
        let stored = result.is_ok();
        match result {
            Ok(reasons) => {
                for reason in reasons {
                    self.tools.metrics.dead_letter(reason);
                }
            }
            Err(error) => {
                let error = format!("{error:#}");
                error!(sequence, error, "no dead letter, so the message stays");
            }
        }
        self.handle(Input::DeadLettered { sequence, stored });
    }
}

#[expect(clippy::disallowed_methods, reason = "the worker reads the clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
