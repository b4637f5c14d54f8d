//! Executes the engine's outputs, and tells it how they ended.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use async_nats::{Subject, connection::State, jetstream::AckKind};
use bytes::Bytes;
use eso_relay::stream::Reason;
use futures::FutureExt as _;
use jiff::Timestamp;
use tracing::{Instrument as _, debug, info_span};

use super::{Phase, Worker, now};
use crate::{
    engine::{Input, Output},
    kubernetes::failure::RefreshError,
    matching::Seen,
    object::{Fault, ObjectRef, Outcome, RefreshMark, Rejection, Reset, Sequence},
    report::metrics::End,
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
    pub(super) async fn execute(&mut self) {
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
                } => self.report.step(event, &target, step, after, &self.index),
            }
        }
    }

    fn patch(&mut self, target: ObjectRef, value: RefreshMark) {
        let event = self.held.event(value.event).cloned();
        let trace_id = event.as_ref().and_then(|event| event.trace_id.as_deref());
        let span = info_span!("refresh", object = %target, event = %value.event, stage = ?value.stage, trace_id);
        let (refresher, steps) = (
            Arc::clone(&self.context.refresher),
            self.index.steps(&target),
        );
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
            let seen = rejection.index;
            let seen = seen.and_then(|index| self.held.event_at(sequence, index));
            self.report.gives_up(sequence, attempt, rejection, seen);
        }
        let (jetstream, cluster) = (self.context.jetstream.clone(), self.context.cluster.clone());
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
        self.report.done_with(sequence, &events, end);
        if end == End::nacked {
            self.recent.forget(sequence);
        }
        self.answer(reply, end, word).await;
    }

    async fn answer(&self, reply: Reply, end: End, word: Bytes) {
        match reply {
            Reply::Ack(subject) => {
                self.report.ended(end);
                self.send(subject, word).await;
            }
            Reply::Said => {}
            Reply::Gap(gap) => {
                let ended = match end {
                    End::acked | End::dead_lettered => Ended::Closed(gap),
                    End::nacked | End::parked | End::handed_back => Ended::Again,
                };
                // OK to lose it: the gap stays open, and the next start finds it.
                self.context.gaps.try_send(ended).ok();
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
        self.report.parked(sequence, delay);
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
        if self.context.client.connection_state() != State::Connected {
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
        self.report.reset(&reset);
        self.report
            .patched(&target, value, event.as_ref(), &outcome, took);
        self.handle(Input::Patched {
            target,
            value,
            outcome,
        });
    }

    /// A probe of the API has ended.
    pub(super) fn probed(&mut self, outcome: &Outcome) {
        self.report.probed(outcome);
        let answered = outcome.is_answer();
        self.handle(Input::Probed { answered });
    }

    /// Dead letters are stored, or could not be.
    pub(super) fn stored(&mut self, stored: Stored) {
        let Stored { sequence, result } = stored;
        let stored = result.is_ok();
        self.report.dead_lettered(sequence, result);
        self.handle(Input::DeadLettered { sequence, stored });
    }

    async fn send(&self, reply: Subject, word: Bytes) {
        if let Err(error) = self.context.client.publish(reply, word).await {
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
