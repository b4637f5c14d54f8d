//! One message on its way into the stream, with as many attempts as its waiters' deadlines allow.

use std::{
    future::{Future, pending},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use async_nats::jetstream::{self, message::PublishMessage};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use eso_relay::{event::join_batch, stream};
use futures::future::BoxFuture;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use tracing::{error, warn};

use super::{
    PublishError, Stored,
    fault::Fault,
    gate::Gate,
    lanes::{Submission, Waiter},
    metrics::MessageResult,
};

const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Sender {
    pub(super) jetstream: jetstream::Context,
    pub(super) gate: Arc<Gate>,
    pub(super) attempt_timeout: Duration,
}

impl Sender {
    /// Answers every waiter, each at its deadline at the latest. A panic here answers too: the
    /// waiters are dropped with the task.
    pub(super) async fn publish(&self, waiting: Vec<Submission>, id: Arc<str>) {
        let Some(mut message) = Message::new(waiting, id) else {
            return self.gate.metrics.count(MessageResult::no_ack);
        };
        match self.store(&mut message).await {
            Err(Fault::TooLarge) if message.events > 1 => {
                self.gate.metrics.count(MessageResult::split);
                self.publish_halves(message).await;
            }
            result => self.conclude(message, result),
        }
    }

    /// Returns its sequence in the stream.
    async fn store(&self, message: &mut Message) -> Result<u64, Fault> {
        let mut pauses = pauses();
        loop {
            match self.attempt(message).await {
                Err(Fault::Transient) => {}
                done => return done,
            }
            let pause = Instant::now() + pauses.next().unwrap_or(LONGEST_PAUSE);
            message.wait(pending::<()>(), pause).await;
            if message.waiting.is_empty() {
                return Err(Fault::Transient);
            }
            self.gate.metrics.retries.inc();
        }
    }

    /// The same bytes under the same id each time: the outcome of an attempt that was not acked is
    /// unknown, and the stream drops the second copy.
    async fn attempt(&self, message: &mut Message) -> Result<u64, Fault> {
        if !self.gate.connected() {
            return Err(Fault::Transient);
        }
        let (subject, outgoing) = (message.subject.clone(), message.outgoing.clone());
        let publish = async {
            let ack = self.jetstream.send_publish(subject, outgoing);
            ack.await?.await
        };
        let end = Instant::now() + self.attempt_timeout;
        match message.wait(publish, end).await {
            Some(Ok(ack)) => Ok(ack.sequence),
            Some(Err(error)) => Err(Fault::of(&error)),
            None => Err(Fault::Transient),
        }
    }

    fn conclude(&self, message: Message, result: Result<u64, Fault>) {
        let now = Instant::now();
        let metrics = &self.gate.metrics;
        let (counted, answer) = match result {
            // The stream may have been found unusable meanwhile.
            Ok(_) if self.gate.usable().is_err() => {
                (MessageResult::refused, Err(PublishError::StreamUnusable))
            }
            Ok(sequence) => {
                let events = u32::try_from(message.events).unwrap_or(u32::MAX);
                metrics.events.observe(events.into());
                metrics.latency.observe(message.age(now).as_secs_f64());
                let stored = Stored {
                    message_id: Arc::clone(&message.id),
                    sequence,
                };
                (MessageResult::stored, Ok(stored))
            }
            Err(Fault::Transient) => {
                warn!(subject = %message.subject, "no PubAck in time; answered 503");
                (MessageResult::no_ack, Err(PublishError::NoAck))
            }
            Err(Fault::Full) => {
                self.gate.stream_is_full(now);
                (MessageResult::full, Err(PublishError::StreamFull))
            }
            // A single event: several were split.
            Err(Fault::TooLarge) => {
                error!(
                    subject = %message.subject, bytes = message.bytes,
                    "an event is larger than the server or the stream takes: raise `max_payload` of the server or `max_msg_size` of the stream; its sender is answered 503"
                );
                (MessageResult::refused, Err(PublishError::AboveLimits))
            }
            Err(Fault::Refused(reason)) => {
                error!(
                    subject = %message.subject, reason,
                    "the server refused a message: see `eso-relay init` and `eso-relay status`"
                );
                (MessageResult::refused, Err(PublishError::NoAck))
            }
        };
        metrics.count(counted);
        for submission in message.waiting {
            submission.waiter.answer(answer.clone());
        }
    }

    /// Publishes a message that is too large for the server or the stream in two halves, and these again until
    /// each fits or is a single event: the size of a batch says nothing about one of its events. One half after
    /// the other, so that the events of a subject stay in order. Boxed, because it may recurse.
    fn publish_halves(&self, message: Message) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // The halves have the same ids at each attempt, so that the stream drops duplicates.
            let ids = ["1", "2"].map(|half| format!("{}.{half}", message.id).into());
            let mut waiting = message.waiting;
            let half = waiting.split_off(waiting.len() / 2);
            match (waiting.is_empty(), half) {
                (true, mut one) => {
                    if let Some(one) = one.pop() {
                        self.split_submission(one, ids).await;
                    }
                }
                (false, half) => {
                    let [first, second] = ids;
                    self.publish(waiting, first).await;
                    self.publish(half, second).await;
                }
            }
        })
    }

    /// Publishes the events of one request in two halves; it is answered when both are stored.
    async fn split_submission(&self, mut submission: Submission, [first, second]: [Arc<str>; 2]) {
        let rest = submission.part.split_off();
        let (done, stored) = oneshot::channel();
        let Waiter {
            accepted, deadline, ..
        } = submission.waiter;
        let waiter = std::mem::replace(
            &mut submission.waiter,
            Waiter {
                accepted,
                deadline,
                done,
            },
        );
        self.publish(vec![submission], first).await;
        match stored.await.unwrap_or(Err(PublishError::NoAck)) {
            Ok(_) => {
                let rest = Submission {
                    part: rest,
                    places: 0,
                    waiter,
                };
                self.publish(vec![rest], second).await;
            }
            Err(error) => waiter.answer(Err(error)),
        }
    }
}

pub(super) struct Message {
    pub(super) id: Arc<str>,
    subject: async_nats::Subject,
    outgoing: PublishMessage,
    events: usize,
    /// Of the body.
    bytes: usize,
    accepted: Instant,
    /// The requests whose deadlines have not passed, with their events in case the message has to be split.
    pub(super) waiting: Vec<Submission>,
}

impl Message {
    /// `waiting`: submissions of one subject. `None` if all their deadlines have passed.
    fn new(mut waiting: Vec<Submission>, id: Arc<str>) -> Option<Self> {
        let now = Instant::now();
        // Dropping a submission answers it.
        waiting.retain(|submission| now < submission.waiter.deadline);
        let oldest = waiting.first()?;
        let (subject, accepted) = (oldest.part.subject.to_string(), oldest.waiter.accepted);
        let body = join_batch(waiting.iter().flat_map(|waiting| &waiting.part.events));
        let events = waiting.iter().map(|waiting| waiting.part.events.len());
        let events: usize = events.sum();
        Some(Self {
            bytes: body.len(),
            outgoing: stream::message(&id, events, body),
            id,
            subject: subject.into(),
            events,
            accepted,
            waiting,
        })
    }

    /// The result of `future`, if it ends before `end`. Meanwhile answers the requests whose deadlines pass;
    /// `None` too when no request waits any more.
    async fn wait<T>(&mut self, future: impl Future<Output = T>, end: Instant) -> Option<T> {
        let mut future = pin!(future);
        loop {
            let deadlines = self.waiting.iter().map(|waiting| waiting.waiter.deadline);
            let next = deadlines.min()?.min(end);
            if let Ok(done) = timeout_at(next, &mut future).await {
                return Some(done);
            }
            let now = Instant::now();
            for late in self
                .waiting
                .extract_if(.., |waiting| waiting.waiter.deadline <= now)
            {
                late.waiter.answer(Err(PublishError::NoAck));
            }
            if end <= now {
                return None;
            }
        }
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.accepted)
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

/// `Nats-Msg-Id`s: never the same twice, in any process.
pub(super) struct Ids {
    boot: String,
    count: u64,
}

impl Ids {
    pub(super) fn new() -> Self {
        let mut boot = [0; 16];
        SystemRandom::new()
            .fill(&mut boot)
            // OK because a system without randomness has no TLS and no hash maps either; and ids
            // that two replicas share would lose events.
            .expect("the operating system gives random bytes");
        Self {
            boot: format!("{:032x}", u128::from_be_bytes(boot)),
            count: 0,
        }
    }

    pub(super) fn next(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.boot, self.count)
    }
}
