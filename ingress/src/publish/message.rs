//! One message on its way into the stream, with as many attempts as its waiters' deadlines allow.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{self, message::PublishMessage};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use eso_relay::{event::join_batch, stream};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};

use super::{
    PublishError,
    fault::Fault,
    gate::Gate,
    lanes::{Gathered, Waiter},
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
    /// Answers every waiter. A panic here answers too: the waiters are dropped with the task.
    pub(super) async fn publish(&self, gathered: Gathered, id: String) {
        let Some(mut message) = Message::new(gathered, &id) else {
            return self.gate.metrics.count(MessageResult::no_ack);
        };
        let mut pauses = pauses();
        let result = loop {
            match self.attempt(&message).await {
                Ok(()) => break Ok(()),
                Err(Fault::Transient) => {}
                Err(fault) => break Err(fault),
            }
            message.expire(Instant::now());
            if message.waiters.is_empty() {
                break Err(Fault::Transient);
            }
            self.gate.metrics.retries.inc();
            sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
        };
        self.conclude(message, result);
    }

    /// The same bytes under the same id each time: the outcome of an attempt that was not acked is
    /// unknown, and the stream drops the second copy.
    async fn attempt(&self, message: &Message) -> Result<(), Fault> {
        if !self.gate.connected() {
            return Err(Fault::Transient);
        }
        let outgoing = message.outgoing.clone();
        let publish = async {
            let ack = self
                .jetstream
                .send_publish(message.subject.clone(), outgoing);
            ack.await?.await
        };
        match timeout(self.attempt_timeout, publish).await {
            Ok(Ok(_ack)) => Ok(()),
            Ok(Err(error)) => Err(Fault::of(&error)),
            Err(_elapsed) => Err(Fault::Transient),
        }
    }

    fn conclude(&self, message: Message, result: Result<(), Fault>) {
        let now = Instant::now();
        let metrics = &self.gate.metrics;
        let (counted, answer) = match result {
            // What was learnt of the stream meanwhile counts for this message too.
            Ok(()) if self.gate.usable().is_err() => {
                (MessageResult::refused, Err(PublishError::StreamUnusable))
            }
            Ok(()) => {
                let events = u32::try_from(message.events).unwrap_or(u32::MAX);
                metrics.events.observe(events.into());
                metrics.latency.observe(message.age(now).as_secs_f64());
                (MessageResult::stored, Ok(()))
            }
            Err(Fault::Transient) => {
                warn!(subject = %message.subject, "no PubAck in time; the senders were told to come again");
                (MessageResult::no_ack, Err(PublishError::NoAck))
            }
            Err(Fault::Full) => {
                self.gate.stream_is_full(now);
                (MessageResult::full, Err(PublishError::StreamFull))
            }
            Err(Fault::TooLarge) => {
                error!(
                    subject = %message.subject,
                    "the server takes no message of this size: lower `publish.max_message_bytes` or raise its limits"
                );
                // Several events together say nothing about one of them.
                let alone = message.events == 1;
                let answer = if alone {
                    PublishError::TooLarge
                } else {
                    PublishError::NoAck
                };
                (MessageResult::refused, Err(answer))
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
        for waiter in message.waiters {
            waiter.answer(answer);
        }
    }
}

struct Message {
    subject: async_nats::Subject,
    outgoing: PublishMessage,
    events: usize,
    accepted: Instant,
    waiters: Vec<Waiter>,
}

impl Message {
    /// None when the deadlines of all have passed while they waited in the queue.
    fn new(gathered: Gathered, id: &str) -> Option<Self> {
        let now = Instant::now();
        let mut submissions = gathered.submissions;
        // Dropped, and with that answered, before anything was sent.
        submissions.retain(|submission| now < submission.waiter.deadline);
        let accepted = submissions.first()?.waiter.accepted;
        let body = join_batch(submissions.iter().flat_map(|waiting| &waiting.part.events));
        let events = submissions.iter().map(|waiting| waiting.part.events.len());
        let events: usize = events.sum();
        let outgoing = stream::message(id, events, body);
        Some(Self {
            subject: gathered.subject.to_string().into(),
            outgoing,
            events,
            accepted,
            waiters: submissions
                .into_iter()
                .map(|waiting| waiting.waiter)
                .collect(),
        })
    }

    /// Answers those whose deadline has passed; the message goes on for the others.
    fn expire(&mut self, now: Instant) {
        for waiter in self.waiters.extract_if(.., |waiter| waiter.deadline <= now) {
            waiter.answer(Err(PublishError::NoAck));
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
