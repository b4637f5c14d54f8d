//! Executes the engine's outputs, and takes the results of restarts, probes and dead letters.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use async_nats::{Subject, connection::State, jetstream::AckKind};
use bytes::Bytes;
use eso_relay::{event::Fingerprint, stream::Reason};
use futures::FutureExt as _;
use jiff::Timestamp;
use tracing::{Instrument as _, debug, info_span};

use super::{Phase, Worker, now};
use crate::{
    engine::{Input, Output},
    kubernetes::outcome::RefreshError,
    matching::MatchedEvent,
    object::{Fault, ObjectRef, Outcome, RefreshMark, Rejection, Reset, Sequence, WorkloadState},
    report::metrics::DeliveryOutcome,
    stream::{Reply, dead_letter, gap::GapOutcome},
};

/// The result of a patch.
pub(super) struct Patched {
    pub(super) target: ObjectRef,
    pub(super) value: RefreshMark,
    /// Kept with the patch: the watch may show the patch, and so complete the delivery, before its response.
    pub(super) event: Option<MatchedEvent>,
    pub(super) outcome: Outcome,
    /// Of the API's answer, if it is a failure.
    pub(super) status: Option<u16>,
    /// What became of the reset, if the object was refreshed in two steps.
    pub(super) reset: Reset,
    pub(super) took: Duration,
}

/// The result of a restart.
pub(super) struct Restarted {
    pub(super) workload: ObjectRef,
    pub(super) events: Vec<Fingerprint>,
    pub(super) outcome: Outcome,
}

/// The result of storing the dead letters of a message: their reasons.
pub(super) struct Stored {
    pub(super) sequence: Sequence,
    pub(super) result: anyhow::Result<Vec<Reason>>,
}

impl Worker {
    /// Executes every output that the engine has now.
    pub(super) async fn execute(&mut self) {
        while let Some(output) = self.engine.next_output() {
            match output {
                Output::Patch { target, value } => self.patch(target, value),
                Output::Restart {
                    workload,
                    events,
                    over,
                } => self.restart(workload, events, over),
                Output::Rollout {
                    workload,
                    events,
                    result,
                    after,
                } => {
                    self.report
                        .rolled_out(&workload, &events, result, after, &self.index);
                }
                Output::Probe => self.probe(),
                Output::Ack(sequence) => {
                    self.end(sequence, DeliveryOutcome::acked, AckKind::Ack.into())
                        .await;
                }
                Output::Nak { sequence, delay } => self.nak(sequence, delay).await,
                Output::Park { sequence, delay } => self.park(sequence, delay).await,
                Output::Recall(sequence) => self.recall(sequence).await,
                Output::DeadLetter {
                    sequence,
                    attempt,
                    rejections,
                } => self.dead_letter(sequence, attempt, rejections),
                Output::Term { sequence, reason } => {
                    self.end(sequence, DeliveryOutcome::dead_lettered, term(reason))
                        .await;
                }
                Output::Progress(sequence) => self.progress(sequence).await,
                Output::Step {
                    event,
                    target,
                    step,
                    after,
                } => self.report.step(event, &target, step, after, &self.index),
            }
        }
    }

    fn patch(&mut self, target: ObjectRef, value: RefreshMark) {
        self.report.patching(&target, value.event);
        let event = self.held.event(value.event).cloned();
        let trace_id = event.as_ref().and_then(|event| event.trace_id.as_deref());
        let span = info_span!("refresh", object = %target, event = %value.event, stage = ?value.stage, trace_id);
        let (refresher, steps) = (
            Arc::clone(&self.context.refresher),
            self.index.steps(&target),
        );
        let patch = async move {
            let started = Instant::now();
            let done = guarded(refresher.refresh(&target, value, steps)).await;
            let failure = done.as_ref().ok().and_then(|it| it.as_ref().err());
            let status = failure.and_then(RefreshError::status);
            let (outcome, reset) = match answered(done) {
                Ok(reset) => (Outcome::Done, reset),
                Err(outcome) => (outcome, Reset::NotAsked),
            };
            Patched {
                target,
                value,
                event,
                outcome,
                status,
                reset,
                took: started.elapsed(),
            }
        };
        self.patches.spawn(patch.instrument(span));
    }

    fn restart(&mut self, workload: ObjectRef, events: Vec<Fingerprint>, over: WorkloadState) {
        let span = info_span!("restart", object = %workload);
        let refresher = Arc::clone(&self.context.refresher);
        let restart = async move {
            let restarted = refresher.restart(&workload, &events, &over, now());
            let outcome = answer(restarted).await.err().unwrap_or(Outcome::Done);
            Restarted {
                workload,
                events,
                outcome,
            }
        };
        self.restarts.spawn(restart.instrument(span));
    }

    fn probe(&mut self) {
        let refresher = Arc::clone(&self.context.refresher);
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
            let event = rejection.index;
            let event = event.and_then(|index| self.held.event_at(sequence, index));
            self.report.gives_up(sequence, attempt, rejection, event);
        }
        let (jetstream, cluster) = (self.context.jetstream.clone(), self.context.cluster.clone());
        self.dead_letters.spawn(async move {
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

    /// Concludes a message with an ack, a nak or a term.
    async fn end(&mut self, sequence: Sequence, end: DeliveryOutcome, payload: Bytes) {
        let Some((reply, events)) = self.held.remove(sequence) else {
            return;
        };
        self.report.concluded(sequence, &events, end);
        if end == DeliveryOutcome::nacked {
            self.recent.forget(sequence);
        }
        self.answer(reply, end, payload).await;
    }

    async fn answer(&self, reply: Reply, end: DeliveryOutcome, payload: Bytes) {
        match reply {
            Reply::Ack(subject) => {
                self.report.ended(end);
                self.send(subject, payload).await;
            }
            Reply::None => {}
            Reply::Gap(gap) => {
                let outcome = match end {
                    DeliveryOutcome::acked | DeliveryOutcome::dead_lettered => {
                        GapOutcome::Closed(gap)
                    }
                    DeliveryOutcome::nacked
                    | DeliveryOutcome::parked
                    | DeliveryOutcome::handed_back => GapOutcome::Retry,
                };
                // OK to lose it: the gap stays open, and the next start finds it.
                self.context.gap_outcomes.try_send(outcome).ok();
            }
        }
    }

    async fn nak(&mut self, sequence: Sequence, delay: Option<Duration>) {
        if let Some(delay) = delay {
            let until = now().checked_add(delay).unwrap_or(Timestamp::MAX);
            self.held.delay(sequence, until);
        }
        if let Phase::Stopping(naks) = &mut self.phase {
            if let Some((reply, _)) = self.held.remove(sequence) {
                naks.push((reply, delay));
            }
            return;
        }
        self.end(
            sequence,
            DeliveryOutcome::nacked,
            AckKind::Nak(delay).into(),
        )
        .await;
    }

    /// A nak with a delay. The server still accepts an ack of the message until then.
    async fn park(&mut self, sequence: Sequence, delay: Duration) {
        let until = now().checked_add(delay).unwrap_or(Timestamp::MAX);
        let Some(reply) = self.held.park(sequence, until) else {
            return;
        };
        self.report.parked(sequence, delay);
        self.answer(
            reply,
            DeliveryOutcome::parked,
            AckKind::Nak(Some(delay)).into(),
        )
        .await;
    }

    async fn recall(&self, sequence: Sequence) {
        if let Some(reply) = self.held.parked_reply(sequence) {
            let payload = AckKind::Nak(None).into();
            self.answer(reply.clone(), DeliveryOutcome::nacked, payload)
                .await;
        }
    }

    async fn progress(&self, sequence: Sequence) {
        // Without a connection it would only fill the client's buffer.
        if self.context.client.connection_state() != State::Connected {
            return;
        }
        let message = self.held.message(sequence);
        if let Some(Reply::Ack(subject)) = message.map(|message| &message.reply) {
            self.send(subject.clone(), AckKind::Progress.into()).await;
        }
    }

    /// The pull loop has ended: naks what was not started, so that the next replica gets it at once.
    pub(super) async fn hand_back(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Finishing);
        if let Phase::Stopping(naks) = phase {
            for (reply, delay) in naks {
                self.answer(
                    reply,
                    DeliveryOutcome::handed_back,
                    AckKind::Nak(delay).into(),
                )
                .await;
            }
        }
    }

    /// A restart has a result.
    pub(super) fn restarted(&mut self, restarted: Restarted) {
        let Restarted {
            workload,
            events,
            outcome,
        } = restarted;
        self.report.restarted(&workload, &events, &outcome);
        self.handle(Input::Restarted { workload, outcome });
    }

    /// A probe of the API has a result.
    pub(super) fn probed(&mut self, outcome: &Outcome) {
        self.report.probed(outcome);
        let answered = outcome.is_answer();
        self.handle(Input::Probed { answered });
    }

    /// The dead letters of a message are stored, or could not be stored.
    pub(super) fn stored(&mut self, stored: Stored) {
        let Stored { sequence, result } = stored;
        let stored = result.is_ok();
        self.report.dead_lettered(sequence, result);
        self.handle(Input::DeadLettered { sequence, stored });
    }

    async fn send(&self, reply: Subject, payload: Bytes) {
        if let Err(error) = self.context.client.publish(reply, payload).await {
            debug!(%error, "cannot send an ack; the message will be redelivered");
        }
    }
}

/// The server's advisory contains the reason (nats-server 2.10.4).
fn term(reason: Reason) -> Bytes {
    format!("+TERM {}", reason.as_str()).into()
}

/// Waits for the API's response.
async fn answer<T>(request: impl Future<Output = Result<T, RefreshError>>) -> Result<T, Outcome> {
    answered(guarded(request).await)
}

/// An error or a panic becomes an outcome.
fn answered<T>(answer: anyhow::Result<Result<T, RefreshError>>) -> Result<T, Outcome> {
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Outcome::of(Err(error))),
        Err(panic) => Err(Outcome::Retry {
            fault: Fault::Object,
            after: None,
            error: panic.to_string(),
        }),
    }
}

/// Turns a panic into an error: without a result, its message would be held for ever.
async fn guarded<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let result = AssertUnwindSafe(work).catch_unwind().await;
    result.map_err(|_| anyhow!("it panicked"))
}
