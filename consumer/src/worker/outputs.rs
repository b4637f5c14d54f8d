//! What the engine wants, done.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use async_nats::{Subject, connection::State, jetstream::AckKind};
use bytes::Bytes;
use eso_relay::{Slug, event::Fingerprint, stream::Reason};
use futures::FutureExt as _;
use jiff::Timestamp;
use tracing::{Instrument as _, debug, info, info_span, warn};

use super::{Phase, Worker, inputs::now};
use crate::{
    engine::{Output, Step},
    kubernetes::refresh::RefreshError,
    matching::Seen,
    object::{Fault, ObjectRef, Outcome, RefreshMark, Rejection, Reset, Sequence, Steps},
    report::{
        kube_events::{Note, Told, What},
        metrics::End,
        receipts,
    },
    stream::{Reply, dead_letter, gap::Ended},
};

/// A patch that has ended.
pub(super) struct Patched {
    pub(super) target: ObjectRef,
    pub(super) value: RefreshMark,
    /// Kept beside the patch: the watch can show it, and so end the delivery, before its answer.
    pub(super) event: Option<Seen>,
    pub(super) outcome: Outcome,
    /// Of an object that was refreshed in two steps, and of a patch that is done.
    pub(super) reset: Reset,
    pub(super) took: Duration,
}

/// Why the dead letters of a message were written, once they are stored.
pub(super) struct Stored {
    pub(super) sequence: Sequence,
    pub(super) result: anyhow::Result<Vec<Reason>>,
}

impl Worker {
    /// Everything that the engine wants now.
    pub(super) async fn carry_out(&mut self) {
        while let Some(output) = self.engine.next_output() {
            match output {
                Output::Patch { target, value } => self.patch(target, value),
                Output::Probe => self.probe(),
                Output::Ack(sequence) => self.end(sequence, End::acked, AckKind::Ack.into()).await,
                Output::Nak { sequence, delay } => self.nak(sequence, delay).await,
                Output::Park { sequence, delay } => self.park(sequence, delay).await,
                Output::Recall(sequence) => self.recall(sequence).await,
                Output::DeadLetter {
                    sequence,
                    attempt,
                    rejections,
                } => self.dead_letter(sequence, attempt, rejections),
                Output::Term { sequence, reason } => {
                    self.end(sequence, End::dead_lettered, term(reason)).await;
                }
                Output::Progress(sequence) => self.progress(sequence).await,
                Output::Step {
                    event,
                    target,
                    step,
                    after,
                } => self.step(event, &target, step, after),
            }
        }
    }

    /// Receipts that nobody takes are left out.
    pub(super) fn hand_in_receipts(&mut self) {
        for receipt in self.ledger.ready() {
            if !receipts::hand_in(&self.tools.receipts, receipt) {
                self.tools.metrics.lost_receipts.inc();
            }
        }
    }

    /// What became of an event at one of its targets.
    fn step(&mut self, event: Fingerprint, target: &ObjectRef, step: Step, after: Duration) {
        self.tools.metrics.step(step, after);
        // Before the ledger is done with the event.
        if let Some(what) = self.what_of_step(target, step, after) {
            let source = self.ledger.source(event).cloned();
            self.note(target, event, source, what);
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

    fn what_of_step(&self, target: &ObjectRef, step: Step, after: Duration) -> Option<What> {
        let what = What::of_step(step, after)?;
        let passed_over = matches!(what, What::Silent { .. })
            && self.resets_are_refused
            && self.index.steps(target) == Steps::Two;
        Some(if passed_over {
            What::PassedOver { after }
        } else {
            what
        })
    }

    /// Tells people on the object itself, if there is room: nothing waits for it.
    pub(super) fn note(
        &self,
        target: &ObjectRef,
        event: Fingerprint,
        source: Option<Slug>,
        what: What,
    ) {
        let Some(notes) = &self.tools.notes else {
            return;
        };
        // What is gone has none, and nobody could look at it.
        let Some(uid) = self.index.uid(target) else {
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
            self.tools.metrics.noted(Told::limited);
        }
    }

    fn patch(&mut self, target: ObjectRef, value: RefreshMark) {
        let event = self.held.event(value.event).cloned();
        let trace_id = event.as_ref().and_then(|event| event.trace_id.as_deref());
        let span = info_span!("refresh", object = %target, event = %value.event, stage = ?value.stage, trace_id);
        let (refresher, steps) = (Arc::clone(&self.tools.refresher), self.index.steps(&target));
        let patch = async move {
            let started = Instant::now();
            let (outcome, reset) = match answer(refresher.refresh(&target, value, steps)).await {
                Ok(reset) => (Outcome::Done, reset),
                Err(outcome) => (outcome, Reset::NotAsked),
            };
            Patched {
                target,
                value,
                event,
                outcome,
                reset,
                took: started.elapsed(),
            }
        };
        self.patches.spawn(patch.instrument(span));
    }

    fn probe(&mut self) {
        let refresher = Arc::clone(&self.tools.refresher);
        self.probes.spawn(async move {
            let answer = answer(refresher.probe()).await;
            answer.err().unwrap_or(Outcome::Done)
        });
    }

    fn dead_letter(&mut self, sequence: Sequence, attempt: u64, rejections: Vec<Rejection>) {
        let Some(message) = self.held.message(sequence).cloned() else {
            return;
        };
        for rejection in &rejections {
            let seen = rejection.index;
            let seen = seen.and_then(|index| self.held.event_at(sequence, index));
            warn!(
                sequence,
                attempt,
                source = seen.map(|event| event.source.as_str()),
                event = seen.map(|event| event.value.to_string()),
                trace_id = seen.and_then(|event| event.trace_id.as_deref()),
                reason = rejection.reason.as_str(),
                error = rejection.error,
                "giving up; storing a dead letter"
            );
        }
        let (jetstream, cluster) = (self.tools.jetstream.clone(), self.tools.cluster.clone());
        self.letters.spawn(async move {
            let publish =
                dead_letter::publish(&jetstream, &cluster, &message, attempt, &rejections);
            let result = guarded(publish).await.flatten();
            let reasons = rejections.iter().map(|rejection| rejection.reason);
            Stored {
                sequence,
                result: result.map(|()| reasons.collect()),
            }
        });
    }

    /// The last word on a message.
    async fn end(&mut self, sequence: Sequence, end: End, word: Bytes) {
        let Some((reply, events)) = self.held.remove(sequence) else {
            return;
        };
        for event in events {
            let (source, trace_id) = (event.source, event.trace_id);
            debug!(%source, event = %event.value, sequence, trace_id, ?end, "done with");
        }
        if end == End::nacked {
            self.recent.forget(sequence);
        }
        self.answer(reply, end, word).await;
    }

    async fn answer(&self, reply: Reply, end: End, word: Bytes) {
        match reply {
            Reply::Ack(subject) => {
                self.tools.metrics.ended(end);
                self.send(subject, word).await;
            }
            Reply::Said => {}
            Reply::Gap(gap) => {
                let ended = match end {
                    End::acked | End::dead_lettered => Ended::Closed(gap),
                    End::nacked | End::parked | End::handed_back => Ended::Again,
                };
                // OK to lose it: the gap stays open, and the next start finds it.
                self.tools.gaps.try_send(ended).ok();
            }
        }
    }

    async fn nak(&mut self, sequence: Sequence, delay: Option<Duration>) {
        if let Some(delay) = delay {
            let until = now().checked_add(delay).unwrap_or(Timestamp::MAX);
            self.held.put_off(sequence, until);
        }
        if let Phase::Stopping(returning) = &mut self.phase {
            if let Some((reply, _)) = self.held.remove(sequence) {
                returning.push((reply, delay));
            }
            return;
        }
        self.end(sequence, End::nacked, AckKind::Nak(delay).into())
            .await;
    }

    /// The server takes an ack of a message that it is to deliver later.
    async fn park(&mut self, sequence: Sequence, delay: Duration) {
        let until = now().checked_add(delay).unwrap_or(Timestamp::MAX);
        let Some(reply) = self.held.park(sequence, until) else {
            return;
        };
        debug!(
            sequence,
            ?delay,
            "parked: only objects that fail are left of it"
        );
        self.answer(reply, End::parked, AckKind::Nak(Some(delay)).into())
            .await;
    }

    async fn recall(&self, sequence: Sequence) {
        if let Some(reply) = self.held.parked_reply(sequence) {
            let word = AckKind::Nak(None).into();
            self.answer(reply.clone(), End::nacked, word).await;
        }
    }

    async fn progress(&self, sequence: Sequence) {
        // Without a connection it would only fill the client's queue.
        if self.tools.client.connection_state() != State::Connected {
            return;
        }
        let message = self.held.message(sequence);
        if let Some(Reply::Ack(subject)) = message.map(|message| &message.reply) {
            self.send(subject.clone(), AckKind::Progress.into()).await;
        }
    }

    /// Nothing is pulled any more: what was not started goes to whoever pulls next, at once.
    pub(super) async fn hand_back(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Finishing);
        if let Phase::Stopping(returning) = phase {
            for (reply, delay) in returning {
                self.answer(reply, End::handed_back, AckKind::Nak(delay).into())
                    .await;
            }
        }
    }

    async fn send(&self, reply: Subject, word: Bytes) {
        if let Err(error) = self.tools.client.publish(reply, word).await {
            debug!(%error, "an ack was not sent; the message will be delivered again");
        }
    }
}

/// The reason shows in the server's advisory (nats-server 2.10.4), for people who look there.
fn term(reason: Reason) -> Bytes {
    format!("+TERM {}", reason.as_str()).into()
}

/// What the API answers, or what follows from its not doing so.
async fn answer<T>(request: impl Future<Output = Result<T, RefreshError>>) -> Result<T, Outcome> {
    match guarded(request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Outcome::of(Err(error))),
        Err(panic) => Err(Outcome::Retry {
            fault: Fault::Object,
            after: None,
            error: panic.to_string(),
        }),
    }
}

/// A panic becomes an error: no answer at all would hold its message for ever.
async fn guarded<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let result = AssertUnwindSafe(work).catch_unwind().await;
    result.map_err(|_| anyhow!("it panicked"))
}
