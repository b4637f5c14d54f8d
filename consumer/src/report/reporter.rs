//! Reports what the worker did: to the log, the metrics, the receipts and the objects. Each fact has one
//! function here and is reported nowhere else. Nothing waits for a report.

use std::time::Duration;

use eso_relay::{
    Slug,
    event::Fingerprint,
    stream::{Reason, Receipt},
    telemetry::spans::Tracer,
};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::{
    AnsweredPatch,
    kube_events::{Fact, Note},
    metrics::{DeliveryOutcome, Metrics, ObjectMetrics, SyncResult},
    receipts::{self, Ledger},
    spans::Spans,
    unsynced::Unsynced,
};
use crate::{
    engine::{Engine, Restart, Step},
    matching::{
        MatchResult, MatchedEvent,
        index::{Index, Skipped},
    },
    object::{ObjectRef, Outcome, Rejection, Sequence, Stage},
    stream::Message,
};

pub(crate) struct Reporter {
    pub(super) metrics: Metrics,
    /// `None`: not asked for.
    objects: Option<ObjectMetrics>,
    pub(super) ledger: Ledger,
    pub(super) unsynced: Unsynced,
    pub(super) spans: Spans,
    /// Where receipts go.
    receipts: mpsc::Sender<Receipt>,
    /// Notes for the objects; `None`: disabled.
    pub(super) notes: Option<mpsc::Sender<Note>>,
    /// Whether the last reset of a status was refused.
    pub(super) resets_are_refused: bool,
    /// Whether the last restart was not permitted.
    pub(super) restarts_are_forbidden: bool,
}

#[expect(
    clippy::unused_self,
    reason = "callers need not know which facts are only logged"
)]
impl Reporter {
    pub(crate) fn new(
        cluster: Slug,
        metrics: Metrics,
        receipts: mpsc::Sender<Receipt>,
        notes: Option<mpsc::Sender<Note>>,
    ) -> Self {
        Self {
            metrics,
            objects: None,
            spans: Spans::new(cluster.clone()),
            ledger: Ledger::new(cluster),
            unsynced: Unsynced::default(),
            receipts,
            notes,
            resets_are_refused: false,
            restarts_are_forbidden: false,
        }
    }

    #[must_use]
    pub(crate) fn with_objects(self, objects: Option<ObjectMetrics>) -> Self {
        Self { objects, ..self }
    }

    #[must_use]
    pub(crate) fn with_traces(mut self, tracer: Tracer) -> Self {
        self.spans.record(tracer);
        self
    }

    /// An object is gone, or cannot be refreshed any more.
    pub(crate) fn gone(&mut self, target: &ObjectRef) {
        if let Some(objects) = &mut self.objects {
            objects.gone(target);
        }
        self.unsynced.remove(target);
        self.show_unsynced();
    }

    /// A message was matched. Only one that is new starts receipts.
    pub(crate) fn accepted(
        &mut self,
        message: &Message,
        events: &[MatchedEvent],
        restarts: &[Restart],
        skipped: &[(usize, Skipped)],
        is_new: bool,
        index: &Index,
    ) {
        for event in events {
            self.matched(event, message);
            let of_event = skipped.iter().filter(|(at, _)| *at == event.index);
            let of_event = of_event.map(|(_, skipped)| skipped);
            if is_new {
                let workloads = restarts.iter().filter(|it| it.index == event.index);
                let (workloads, now) = (workloads.count(), now());
                self.ledger
                    .start(now, message, event, workloads, of_event.clone());
                self.spans.taken(now, message, event, workloads);
            }
            for skipped in of_event {
                self.skipped(event, skipped, message.sequence, index);
            }
        }
    }

    fn matched(&self, matched: &MatchedEvent, message: &Message) {
        self.metrics.event(matched.found);
        let (sequence, attempt) = (message.sequence, message.attempt);
        let MatchedEvent {
            value: event,
            source,
            trace_id,
            targets,
            skipped,
            ..
        } = matched;
        if matched.found == MatchResult::matched {
            info!(%source, %event, sequence, attempt, targets, skipped, trace_id, "event matched");
        } else {
            debug!(%source, %event, sequence, attempt, found = ?matched.found, skipped, trace_id, "event without targets");
        }
    }

    fn skipped(&self, event: &MatchedEvent, skipped: &Skipped, sequence: Sequence, index: &Index) {
        let Skipped { target, reason } = skipped;
        self.metrics.skipped(*reason);
        let because = index.not_permitted(target).map(|why| why.to_string());
        debug!(object = %target, %reason, because, advice = reason.advice(), sequence, "skipped");
        if let Some(fact) = Fact::of_skipped(*reason) {
            self.note(target, event.value, Some(event.source.clone()), fact, index);
        }
    }

    /// Events of a message could not be decoded.
    pub(crate) fn undecodable(&self, events: usize) {
        for _ in 0..events {
            self.metrics.event(MatchResult::undecodable);
        }
    }

    pub(crate) fn panicked(&self, sequence: Sequence, attempt: u64) {
        error!(sequence, attempt, "decoding or matching a message panicked");
    }

    /// A recent event matched objects that have appeared since.
    pub(crate) fn matched_late(&mut self, message: &Message, event: &MatchedEvent) {
        let sequence = message.sequence;
        info!(source = %event.source, event = %event.value, sequence, targets = event.targets, trace_id = event.trace_id, "recent event matched objects that have appeared since");
        let now = now();
        self.ledger.late(now, message, event);
        self.spans.taken(now, message, event, 0);
    }

    /// The receipt has the target already.
    pub(crate) fn rewritten(&self, message: &Message, event: &MatchedEvent) {
        info!(source = %event.source, event = %event.value, sequence = message.sequence, trace_id = event.trace_id, "the annotation was removed before ESO looked; writing it again");
    }

    pub(crate) fn access_restored(&self, namespaces: &[String]) {
        warn!(
            ?namespaces,
            "access to these namespaces is restored: refreshing everything there once"
        );
    }

    pub(crate) fn index_is_complete(&self, index: &Index) {
        info!(index = ?index.stats(), "the index is complete; pulling");
    }

    /// A patch is sent, which writes the mark of this event.
    pub(crate) fn patching(&mut self, target: &ObjectRef, event: Fingerprint) {
        self.spans.patching(target, event);
    }

    /// `event`: the one that the patch was for.
    pub(crate) fn patched(&mut self, patch: &AnsweredPatch<'_>, event: Option<&MatchedEvent>) {
        let AnsweredPatch {
            target,
            value,
            outcome,
            took,
            ..
        } = *patch;
        self.metrics.patched(outcome, took);
        if self.spans.are_on() {
            self.spans.patched(now(), patch);
        }
        let trace_id = event.and_then(|event| event.trace_id.as_deref());
        match outcome {
            Outcome::Done | Outcome::Gone => {
                // The second mark waits for the settle, so its age says nothing.
                if let (Some(event), Stage::First) = (event, value.stage) {
                    self.refreshed(event);
                }
                info!(object = %target, event = %value.event, stage = ?value.stage, trace_id, ?took, "patched");
            }
            Outcome::Retry { fault, error, .. } => {
                warn!(object = %target, event = %value.event, stage = ?value.stage, trace_id, ?fault, error, "patch failed; retrying");
            }
            Outcome::Refused { error } => {
                error!(object = %target, event = %value.event, stage = ?value.stage, trace_id, error, "the API refused the patch; not retrying");
            }
        }
    }

    /// An event has reached the next step at one of its objects.
    pub(crate) fn step(
        &mut self,
        event: Fingerprint,
        target: &ObjectRef,
        step: Step,
        after: Duration,
        index: &Index,
    ) {
        if let Some(result) = SyncResult::of(step) {
            self.sync_ended(event, target, result, after);
        }
        self.metrics.restarts.step(target, step, after);
        if let Some(objects) = &mut self.objects {
            objects.step(target, step, || index.backends_of(target));
        }
        // Before the ledger removes the event.
        if let Some(fact) = self.fact_of_step(target, step, after, index) {
            let source = self.ledger.source(event).cloned();
            self.note(target, event, source, fact, index);
        }
        let now = now();
        self.ledger.step(now, event, target, step);
        self.spans.step(now, event, target, step, after);
        match step {
            Step::Synced => info!(object = %target, %event, ?after, "synced"),
            Step::Failed | Step::Silent => {
                let operator = target.kind().operator();
                warn!(object = %target, %event, ?step, ?after, "{operator} has not synced it");
            }
            Step::Patched
            | Step::Carried
            | Step::Gone
            | Step::Refused
            | Step::GaveUp
            | Step::Superseded
            | Step::Restarted => {}
            Step::NotRestarted(why) => Self::not_restarted(target, event, why),
        }
    }

    /// A dead letter is about to be stored; `event` is its event, unless it is for a whole message.
    pub(crate) fn gives_up(
        &self,
        sequence: Sequence,
        attempt: u64,
        rejection: &Rejection,
        event: Option<&MatchedEvent>,
    ) {
        warn!(
            sequence,
            attempt,
            source = event.map(|event| event.source.as_str()),
            event = event.map(|event| event.value.to_string()),
            trace_id = event.and_then(|event| event.trace_id.as_deref()),
            reason = rejection.reason.as_str(),
            error = rejection.error,
            "giving up; storing a dead letter"
        );
    }

    /// Dead letters are stored for these reasons, or could not be stored.
    pub(crate) fn dead_lettered(&self, sequence: Sequence, result: anyhow::Result<Vec<Reason>>) {
        match result {
            Ok(reasons) => {
                for reason in reasons {
                    self.metrics.dead_letter(reason);
                }
            }
            Err(error) => {
                let error = format!("{error:#}");
                error!(
                    sequence,
                    error, "cannot store the dead letter; the message will be redelivered"
                );
            }
        }
    }

    /// A message with these events is concluded.
    pub(crate) fn concluded(
        &mut self,
        sequence: Sequence,
        events: &[MatchedEvent],
        end: DeliveryOutcome,
    ) {
        for event in events {
            debug!(source = %event.source, event = %event.value, sequence, trace_id = event.trace_id, ?end, "concluded");
        }
        if self.spans.are_on() {
            self.spans.ended(now(), sequence, end);
        }
    }

    pub(crate) fn parked(&self, sequence: Sequence, delay: Duration) {
        debug!(
            sequence,
            ?delay,
            "parked: the message waits only for objects that fail"
        );
    }

    /// A delivery of the stream has ended.
    pub(crate) fn ended(&self, end: DeliveryOutcome) {
        self.metrics.ended(end);
    }

    pub(crate) fn stopping(&self, held: usize) {
        info!(held, "stopping: finishing what was started");
    }

    pub(crate) fn acks_arrived(&self, arrived: bool) {
        if arrived {
            info!("the server has received every ack");
        } else {
            warn!("the last acks may be lost; their messages will be redelivered");
        }
    }

    /// Updates the gauges.
    pub(crate) fn gauges(
        &self,
        held: usize,
        parked: usize,
        oldest: Option<Timestamp>,
        engine: &Engine,
        index: &Index,
    ) {
        self.metrics.at_work(held, parked);
        self.waiting(oldest, engine.pending());
        self.metrics.pacing(engine.window(), engine.outstanding());
        self.metrics.index(index.stats());
    }

    /// Receipts that find no room are dropped and counted.
    pub(crate) fn send_receipts(&mut self) {
        for receipt in self.ledger.ready() {
            if !receipts::send(&self.receipts, receipt) {
                self.metrics.lost_receipts.inc();
            }
        }
    }

    /// The process ends: open receipts are sent as they are.
    pub(crate) fn end(&mut self) {
        self.ledger.end();
        self.spans.end(now());
        self.send_receipts();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "receipts and notes hold the time"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
