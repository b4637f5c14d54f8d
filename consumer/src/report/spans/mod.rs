//! The spans of events in this cluster, made of the facts that the reporter is told. No I/O, no clock.
//!
//! An event's `process` span lasts from the moment that its message was taken to its ack. It is sent once every object
//! has had its patch, which for an event that a newer one answers for may be later, and every workload its restart.
//! For each of its first objects there are a `patch` and a `sync` below it, and for each of the first workloads a
//! `restart` and a `rollout`; of the others it holds counts.

mod process;
mod restarts;

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::Duration,
};

use eso_relay::{
    Slug,
    event::Fingerprint,
    stream::receipt::MAX_EXAMPLES,
    telemetry::spans::{Kind, Span, Tracer},
    traceparent::TraceParent,
};
use jiff::Timestamp;

use self::process::Process;
use super::{
    AnsweredPatch,
    metrics::{DeliveryOutcome, SyncResult},
};
use crate::{
    engine::Step,
    matching::{MatchResult, MatchedEvent},
    object::{Fault, ObjectRef, Outcome, Sequence, Stage},
    stream::Message,
};

/// The most events that are kept, some half KiB each; beyond that the oldest is sent as it is.
const MAX_OPEN: usize = 4096;

/// Turns facts into spans. With traces off, each function is a branch.
pub(super) struct Spans {
    tracer: Tracer,
    cluster: Slug,
    open: HashMap<Fingerprint, Process>,
    /// Oldest first. What is sent stays until it is the oldest: the watch may show a sync before the patch is answered.
    order: VecDeque<Fingerprint>,
    /// The events of a message, until its delivery ends.
    messages: HashMap<Sequence, Vec<Fingerprint>>,
    /// The patches that are not answered yet, each with its event.
    in_flight: HashMap<ObjectRef, Fingerprint>,
    /// The object that was patched last, and for which event.
    last_patch: Option<(ObjectRef, Fingerprint)>,
}

impl Spans {
    /// Whether there are any: the caller need not read the clock otherwise.
    pub(super) fn are_on(&self) -> bool {
        self.tracer.is_on()
    }

    /// Off until [`Self::record`] is called.
    pub(super) fn new(cluster: Slug) -> Self {
        Self {
            tracer: Tracer::default(),
            cluster,
            open: HashMap::new(),
            order: VecDeque::new(),
            messages: HashMap::new(),
            in_flight: HashMap::new(),
            last_patch: None,
        }
    }

    pub(super) fn record(&mut self, tracer: Tracer) {
        self.tracer = tracer;
    }

    /// An event of a message that was taken now has matched objects, and restarts so many workloads.
    pub(super) fn taken(
        &mut self,
        now: Timestamp,
        message: &Message,
        event: &MatchedEvent,
        workloads: usize,
    ) {
        let means_something = matches!(event.found, MatchResult::matched | MatchResult::skipped);
        if !self.are_on() || !means_something {
            return;
        }
        if let Some(known) = self.open.get_mut(&event.value)
            && known.ended.is_none()
        {
            // Objects that were matched late.
            known.event.targets += event.targets;
            return;
        }
        let (parent, link) = match event.traceparent {
            Some(sender) if !event.is_again => (Some(sender), Some(sender)),
            other => (None, other.filter(TraceParent::is_sampled)),
        };
        let context = match parent {
            Some(parent) => self.tracer.child_of(parent),
            None => self.tracer.root(),
        };
        let Some(context) = context.filter(TraceParent::is_sampled) else {
            return;
        };
        self.send_and_forget(event.value);
        let process = Process::new(now, message, event, workloads, context, (parent, link));
        let of_message = self.messages.entry(message.sequence).or_default();
        of_message.push(event.value);
        self.open.insert(event.value, process);
        self.order.push_back(event.value);
        self.make_room();
    }

    /// A patch was sent.
    pub(super) fn patching(&mut self, target: &ObjectRef, event: Fingerprint) {
        if self.are_on() {
            self.in_flight.insert(target.clone(), event);
        }
    }

    /// A patch was answered.
    pub(super) fn patched(&mut self, now: Timestamp, patch: &AnsweredPatch<'_>) {
        let AnsweredPatch {
            target,
            value,
            outcome,
            status,
            took,
        } = *patch;
        self.in_flight.remove(target);
        self.last_patch = Some((target.clone(), value.event));
        let Some(process) = self.open.get_mut(&value.event) else {
            return;
        };
        if process.patch_spans == MAX_EXAMPLES {
            return;
        }
        process.patch_spans += 1;
        if !process.objects.contains(target) {
            process.objects.push(target.clone());
        }
        let stage = match value.stage {
            Stage::First => "first",
            Stage::Settled => "settled",
        };
        let (status, fault) = match outcome {
            Outcome::Done => (Some(200), None),
            Outcome::Gone => (Some(404), None),
            Outcome::Refused { .. } => (status, Some("refused")),
            Outcome::Retry { fault, .. } => (status, Some(fault_name(*fault))),
        };
        let span = self.child(value.event, "patch", Kind::Client, (before(now, took), now));
        let Some(mut span) = span else { return };
        span = of_object(span, target)
            .with("http.request.method", "PATCH")
            .with("eso_relay.stage", stage);
        if let Some(status) = status {
            span = span.with("http.response.status_code", u64::from(status));
        }
        if let Some(fault) = fault {
            span = span.failed(fault);
        }
        self.tracer.finish(span);
    }

    /// An event has reached a step at one of its objects. `after`: since the patch.
    pub(super) fn step(
        &mut self,
        now: Timestamp,
        event: Fingerprint,
        target: &ObjectRef,
        step: Step,
        after: Duration,
    ) {
        if !self.are_on() {
            return;
        }
        let newer = self.newer(event, target);
        let Some(process) = self.open.get_mut(&event) else {
            return;
        };
        match step {
            Step::Patched | Step::Carried => {
                process.patched += 1;
                if let (Step::Patched, Some((newer, context))) = (step, newer) {
                    process.coalesced_into(now, Some(newer), Some(context));
                }
            }
            Step::Superseded => {
                process.left += 1;
                process.coalesced_into(now, None, None);
            }
            Step::Refused => process.refused += 1,
            Step::Gone | Step::GaveUp => process.left += 1,
            Step::Synced | Step::Failed | Step::Silent => {}
            Step::Restarted => process.restarted += 1,
            Step::NotRestarted(_) => process.not_restarted += 1,
        }
        if let Some(sync) = SyncResult::of(step) {
            // The watch may show a sync before the answer to its patch is there, whose span then follows.
            let is_patching = self.in_flight.get(target) == Some(&event);
            let has_span = process.objects.contains(target)
                || is_patching && process.patch_spans < MAX_EXAMPLES;
            if has_span && process.sync_spans < MAX_EXAMPLES {
                process.sync_spans += 1;
                self.send_sync(event, target, sync, (before(now, after), now));
            }
        }
        if step == Step::Restarted {
            self.send_restart(now, event, target, after);
        }
        self.conclude(event);
    }

    /// The delivery of a message has ended.
    pub(super) fn ended(&mut self, now: Timestamp, sequence: Sequence, end: DeliveryOutcome) {
        for event in self.messages.remove(&sequence).unwrap_or_default() {
            let Some(process) = self.open.get_mut(&event) else {
                continue;
            };
            process.ended = Some((now, end));
            match end {
                DeliveryOutcome::acked | DeliveryOutcome::dead_lettered => self.conclude(event),
                // Whoever takes it next has a span of its own.
                DeliveryOutcome::nacked
                | DeliveryOutcome::parked
                | DeliveryOutcome::handed_back => self.send_and_forget(event),
            }
        }
    }

    /// The process ends: open events are sent as they are.
    pub(super) fn end(&mut self, now: Timestamp) {
        for event in mem::take(&mut self.order) {
            if let Some(process) = self.open.get_mut(&event) {
                let end = (now, DeliveryOutcome::handed_back);
                process.ended.get_or_insert(end);
            }
            self.send_and_forget(event);
        }
    }

    /// The newer event that was patched at the object in place of this one.
    fn newer(&self, event: Fingerprint, target: &ObjectRef) -> Option<(Fingerprint, TraceParent)> {
        // The watch may show a patch before its answer is there.
        let answered = || {
            let last = self.last_patch.as_ref();
            last.filter(|(patched, _)| patched == target)
                .map(|(_, by)| *by)
        };
        let newer = self.in_flight.get(target).copied().or_else(answered)?;
        let (by, older) = (self.open.get(&newer)?, self.open.get(&event)?);
        (by.place() > older.place()).then_some((newer, by.context))
    }

    fn child(
        &self,
        event: Fingerprint,
        name: &str,
        kind: Kind,
        times: (Timestamp, Timestamp),
    ) -> Option<Span> {
        let process = self.open.get(&event)?;
        let context = self.tracer.child_of(process.context)?;
        let span = Span::new(name, kind, context, times).child_of(Some(process.context));
        Some(span.in_state(process.state()))
    }

    fn send_sync(
        &self,
        event: Fingerprint,
        target: &ObjectRef,
        sync: SyncResult,
        times: (Timestamp, Timestamp),
    ) {
        let Some(span) = self.child(event, "sync", Kind::Internal, times) else {
            return;
        };
        // As the label of the metrics.
        let name = format!("{sync:?}");
        let span = of_object(span, target).with("eso_relay.sync", name.as_str());
        self.tracer.finish(if sync == SyncResult::synced {
            span
        } else {
            span.failed(&name)
        });
    }

    /// Sends the event's span once its delivery has ended, and nothing more is to be counted.
    fn conclude(&mut self, event: Fingerprint) {
        let Some(process) = self.open.get_mut(&event) else {
            return;
        };
        if process.ended.is_none() || !process.is_complete() {
            return;
        }
        if !mem::replace(&mut process.is_sent, true) {
            self.tracer.finish(process.span(&self.cluster));
        }
    }

    fn send_and_forget(&mut self, event: Fingerprint) {
        if let Some(process) = self.open.remove(&event)
            && process.ended.is_some()
            && !process.is_sent
        {
            self.tracer.finish(process.span(&self.cluster));
        }
    }

    fn make_room(&mut self) {
        while let Some(oldest) = self.order.front().copied() {
            let is_open = self.open.contains_key(&oldest);
            // A few open ones at the front may keep many that are done: at most twice the bound.
            if is_open && self.open.len() <= MAX_OPEN && self.order.len() < 2 * MAX_OPEN {
                return;
            }
            self.order.pop_front();
            self.send_and_forget(oldest);
        }
    }
}

fn of_object(span: Span, target: &ObjectRef) -> Span {
    let span = span.with("eso_relay.object", target.to_string());
    match target.namespace() {
        "" => span,
        namespace => span.with("k8s.namespace.name", namespace),
    }
}

/// The clock may be set back.
fn before(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_sub(by).unwrap_or(now)
}

fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::Cluster => "cluster",
        Fault::Object => "object",
        Fault::Permission => "permission",
    }
}
