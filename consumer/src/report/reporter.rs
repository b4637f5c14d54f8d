//! Says what the worker did: in the log, in metrics, in receipts and on the objects. Each fact has one
//! function here, and is said nowhere else. Nothing waits for any of it.

use std::time::Duration;

use eso_relay::{
    Slug,
    event::Fingerprint,
    stream::{Reason, Receipt},
};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::{
    kube_events::{Note, Told, What},
    metrics::{End, Metrics},
    receipts::{self, Ledger},
};
use crate::{
    engine::{Engine, Step},
    matching::{
        Found, Seen,
        index::{Index, Skipped},
    },
    object::{ObjectRef, Outcome, RefreshMark, Rejection, Reset, Sequence, Stage, Steps},
    stream::Received,
};

pub struct Reporter {
    metrics: Metrics,
    ledger: Ledger,
    /// Where receipts go.
    receipts: mpsc::Sender<Receipt>,
    /// Where notes for the objects go; `None`: they are switched off.
    notes: Option<mpsc::Sender<Note>>,
    /// Whether the last status that was to be reset was not.
    resets_are_refused: bool,
}

#[expect(
    clippy::unused_self,
    reason = "where a fact is said is the reporter's affair, also if it is the log alone"
)]
impl Reporter {
    pub fn new(
        cluster: Slug,
        metrics: Metrics,
        receipts: mpsc::Sender<Receipt>,
        notes: Option<mpsc::Sender<Note>>,
    ) -> Self {
        Self {
            metrics,
            ledger: Ledger::new(cluster),
            receipts,
            notes,
            resets_are_refused: false,
        }
    }

    /// A message was matched. A redelivery has its receipt already.
    pub(crate) fn accepted(
        &mut self,
        message: &Received,
        events: &[Seen],
        skipped: &[(usize, Skipped)],
        is_new: bool,
        index: &Index,
    ) {
        for event in events {
            self.matched(event, message);
            let of_event = skipped.iter().filter(|(at, _)| *at == event.index);
            let of_event = of_event.map(|(_, skipped)| skipped);
            if is_new {
                self.ledger.taken(now(), message, event, of_event.clone());
            }
            for skipped in of_event {
                self.skipped(event, skipped, message.sequence, index);
            }
        }
    }

    fn matched(&self, seen: &Seen, message: &Received) {
        self.metrics.event(seen.found);
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

    fn skipped(&self, event: &Seen, skipped: &Skipped, sequence: Sequence, index: &Index) {
        let Skipped { target, reason } = skipped;
        self.metrics.skipped(*reason);
        debug!(object = %target, %reason, advice = reason.advice(), sequence, "skipped");
        if let Some(what) = What::of_skipped(*reason) {
            self.note(target, event.value, Some(event.source.clone()), what, index);
        }
    }

    /// Events of a message that cannot be read.
    pub(crate) fn undecodable(&self, events: usize) {
        for _ in 0..events {
            self.metrics.event(Found::undecodable);
        }
    }

    pub(crate) fn panicked(&self, sequence: Sequence, attempt: u64) {
        error!(sequence, attempt, "reading a message panicked");
    }

    /// What has appeared since reads what the event means too.
    pub(crate) fn matched_late(&mut self, message: &Received, event: &Seen) {
        let sequence = message.sequence;
        info!(source = %event.source, event = %event.value, sequence, targets = event.targets, trace_id = event.trace_id, "event of a moment ago matched what has appeared since");
        self.ledger.late(now(), message, event);
    }

    /// The receipt has it already.
    pub(crate) fn written_again(&self, message: &Received, event: &Seen) {
        info!(source = %event.source, event = %event.value, sequence = message.sequence, trace_id = event.trace_id, "the annotation was taken away before ESO looked; writing it again");
    }

    pub(crate) fn opened(&self, namespaces: &[String]) {
        warn!(
            ?namespaces,
            "these could not be seen for a while: refreshing everything there once"
        );
    }

    pub(crate) fn index_is_complete(&self, index: &Index) {
        info!(index = ?index.stats(), "the index is complete; pulling");
    }

    /// A patch has ended; `event` is the one that it was for.
    pub(crate) fn patched(
        &self,
        target: &ObjectRef,
        value: RefreshMark,
        event: Option<&Seen>,
        outcome: &Outcome,
        took: Duration,
    ) {
        self.metrics.patched(outcome, took);
        let trace_id = event.and_then(|event| event.trace_id.as_deref());
        match outcome {
            Outcome::Done | Outcome::Gone => {
                // A second value is as late as it is meant to be.
                if let (Some(event), Stage::First) = (event, value.stage) {
                    let age = now().duration_since(event.received_at);
                    let age = age.as_secs_f64().max(0.0);
                    self.metrics.event_age.observe(age);
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
    }

    /// Logged once for each change.
    pub(crate) fn reset(&mut self, reset: &Reset) {
        self.metrics.reset(reset);
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

    /// Whether the last status that was to be reset was not.
    pub(crate) fn resets_are_refused(&self) -> bool {
        self.resets_are_refused
    }

    /// A probe of the API has ended.
    pub(crate) fn probed(&self, outcome: &Outcome) {
        if let Outcome::Retry { error, .. } = outcome {
            let answered = outcome.is_answer();
            debug!(error, answered, "the Kubernetes API was probed");
        }
    }

    pub(crate) fn api_is_away(&self, is_away: bool) {
        self.metrics.away(is_away);
        if is_away {
            warn!("the Kubernetes API does not answer; nothing is patched or pulled until it does");
        } else {
            info!("the Kubernetes API answers again");
        }
    }

    /// What became of an event at one of its objects.
    pub(crate) fn step(
        &mut self,
        event: Fingerprint,
        target: &ObjectRef,
        step: Step,
        after: Duration,
        index: &Index,
    ) {
        self.metrics.step(step, after);
        // Before the ledger is done with the event.
        if let Some(what) = self.what_of_step(target, step, after, index) {
            let source = self.ledger.source(event).cloned();
            self.note(target, event, source, what, index);
        }
        self.ledger.step(now(), event, target, step);
        match step {
            Step::Synced => info!(object = %target, %event, ?after, "synced"),
            Step::Failed | Step::Silent => {
                warn!(object = %target, %event, ?step, ?after, "ESO has not synced it");
            }
            Step::Patched
            | Step::Carried
            | Step::Gone
            | Step::Refused
            | Step::GaveUp
            | Step::Superseded => {}
        }
    }

    fn what_of_step(
        &self,
        target: &ObjectRef,
        step: Step,
        after: Duration,
        index: &Index,
    ) -> Option<What> {
        let what = What::of_step(step, after)?;
        let passed_over = matches!(what, What::Silent { .. })
            && self.resets_are_refused
            && index.steps(target) == Steps::Two;
        Some(if passed_over {
            What::PassedOver { after }
        } else {
            what
        })
    }

    /// On the object itself, if there is room.
    fn note(
        &self,
        target: &ObjectRef,
        event: Fingerprint,
        source: Option<Slug>,
        what: What,
        index: &Index,
    ) {
        let Some(notes) = &self.notes else {
            return;
        };
        // What is gone has none, and no person could look at it.
        let Some(uid) = index.uid(target) else {
            return;
        };
        let note = Note {
            at: now(),
            target: target.clone(),
            uid,
            event,
            source,
            what,
        };
        if notes.try_send(note).is_err() {
            self.metrics.noted(Told::limited);
        }
    }

    /// A dead letter is about to be stored; `event` is its event, if one can be named.
    pub(crate) fn gives_up(
        &self,
        sequence: Sequence,
        attempt: u64,
        rejection: &Rejection,
        event: Option<&Seen>,
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

    /// Dead letters are stored, for these reasons, or could not be.
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

    /// The last word on a message that held these events.
    pub(crate) fn done_with(&self, sequence: Sequence, events: &[Seen], end: End) {
        for event in events {
            debug!(source = %event.source, event = %event.value, sequence, trace_id = event.trace_id, ?end, "done with");
        }
    }

    pub(crate) fn parked(&self, sequence: Sequence, delay: Duration) {
        debug!(
            sequence,
            ?delay,
            "parked: only objects that fail are left of it"
        );
    }

    /// A delivery that the stream made has ended.
    pub(crate) fn ended(&self, end: End) {
        self.metrics.ended(end);
    }

    pub(crate) fn stopping(&self, held: usize) {
        info!(held, "finishing what was started");
    }

    pub(crate) fn acks_arrived(&self, arrived: bool) {
        if arrived {
            info!("every ack has arrived");
        } else {
            warn!("the last acks may be lost; their messages will be delivered again");
        }
    }

    /// Brings the gauges up to date.
    pub(crate) fn gauges(&self, held: usize, parked: usize, engine: &Engine, index: &Index) {
        self.metrics.at_work(held, parked);
        self.metrics.pacing(engine.window(), engine.outstanding());
        self.metrics.index(index.stats());
    }

    /// Receipts that find no room are left out, and counted.
    pub(crate) fn hand_in_receipts(&mut self) {
        for receipt in self.ledger.ready() {
            if !receipts::hand_in(&self.receipts, receipt) {
                self.metrics.lost_receipts.inc();
            }
        }
    }

    /// The process ends: receipts are handed in as they stand.
    pub(crate) fn end(&mut self) {
        self.ledger.end();
        self.hand_in_receipts();
    }
}

#[expect(clippy::disallowed_methods, reason = "people are told when it was")]
fn now() -> Timestamp {
    Timestamp::now()
}
