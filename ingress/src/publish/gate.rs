//! Decides at once whether events are accepted, by the state of the connection, the stream and the queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, connection::State};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    Metrics, PublishConfig, PublishError,
    split::{HEADER_BYTES, MessageLimits},
};

/// How long all requests are refused after the server has answered that it is full.
const FULL: Duration = Duration::from_secs(1);

/// The result of the stream check: whether the events stream keeps what it acknowledges, and its largest
/// message. Before the first check: no, and any size.
#[derive(Clone, Default)]
pub(crate) struct Usable(Arc<Known>);

struct Known {
    usable: AtomicBool,
    /// Bytes of a message with its headers.
    largest: AtomicUsize,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            usable: AtomicBool::new(false),
            largest: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Usable {
    pub(crate) fn set(&self, usable: bool) {
        self.0.usable.store(usable, Ordering::Release);
    }

    /// The largest message of the stream, in bytes with its headers. `None`: any size.
    pub(crate) fn set_largest(&self, bytes: Option<usize>) {
        let bytes = bytes.unwrap_or(usize::MAX);
        self.0.largest.store(bytes, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.usable.load(Ordering::Acquire)
    }

    fn largest(&self) -> usize {
        self.0.largest.load(Ordering::Relaxed)
    }
}

pub(super) struct Gate {
    client: Client,
    usable: Usable,
    full: FullMark,
    /// From the configuration.
    limits: MessageLimits,
    queue: u32,
    /// One for each event that may still wait.
    free: Semaphore,
    pub(super) metrics: Metrics,
}

/// Places in the queue for the parts of one request.
pub(super) struct Places(usize);

impl Gate {
    pub(super) fn new(
        client: Client,
        usable: Usable,
        config: &PublishConfig,
        metrics: Metrics,
    ) -> Self {
        let queue = config.queue.get();
        Self {
            client,
            usable,
            full: FullMark::new(Instant::now()),
            limits: config.limits(),
            queue,
            free: Semaphore::new(queue as usize),
            metrics,
        }
    }

    /// The limits of a message now: those of the configuration, lowered to what the current server and the
    /// stream accept.
    pub(super) fn limits(&self) -> MessageLimits {
        let takes = self.client.max_payload().min(self.usable.largest());
        MessageLimits {
            bytes: self.limits.bytes.min(takes.saturating_sub(HEADER_BYTES)),
            ..self.limits
        }
    }

    /// The bytes of a message that the configuration allows.
    pub(super) fn most_bytes(&self) -> usize {
        self.limits.bytes
    }

    /// Whether to send anything at all. A disconnected client buffers messages and sends them after the
    /// reconnect, although their senders were answered 503.
    pub(super) fn connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Whether a `PubAck` can be trusted: a stream with another retention acknowledges what it drops.
    pub(super) fn usable(&self) -> Result<(), PublishError> {
        if self.usable.get() {
            Ok(())
        } else {
            Err(PublishError::StreamUnusable)
        }
    }

    pub(super) fn open(&self, now: Instant) -> Result<(), PublishError> {
        if !self.connected() {
            Err(PublishError::Disconnected)
        } else if let Err(unusable) = self.usable() {
            Err(unusable)
        } else if self.full.is_set(now) {
            Err(PublishError::StreamFull)
        } else {
            Ok(())
        }
    }

    /// Notes that the server has answered that it is full.
    pub(super) fn stream_is_full(&self, now: Instant) {
        self.full.set(now);
    }

    /// Places for all events of a request, or for none. A request larger than the whole queue takes all of it:
    /// otherwise it would be refused for ever.
    pub(super) fn reserve(&self, events: usize) -> Result<Places, PublishError> {
        let places = u32::try_from(events).unwrap_or(u32::MAX).min(self.queue);
        let permits = self.free.try_acquire_many(places);
        permits.map_err(|_| PublishError::QueueFull)?.forget();
        self.metrics.waiting.inc_by(i64::from(places));
        Ok(Places(places as usize))
    }

    pub(super) fn release(&self, places: usize) {
        self.free.add_permits(places);
        let places = i64::try_from(places).unwrap_or(i64::MAX);
        self.metrics.waiting.dec_by(places);
    }
}

impl Places {
    /// At most as many as are left.
    pub(super) fn take(&mut self, events: usize) -> usize {
        let taken = events.min(self.0);
        self.0 -= taken;
        taken
    }
}

/// Whether the server has just answered that it is full.
struct FullMark {
    start: Instant,
    /// Milliseconds after the start until which it counts.
    until: AtomicU64,
}

impl FullMark {
    fn new(start: Instant) -> Self {
        Self {
            start,
            until: AtomicU64::new(0),
        }
    }

    fn set(&self, now: Instant) {
        self.until.store(self.millis(now + FULL), Ordering::Relaxed);
    }

    fn is_set(&self, now: Instant) -> bool {
        self.millis(now) < self.until.load(Ordering::Relaxed)
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_counts_for_a_second() {
        let start = Instant::now();
        let mark = FullMark::new(start);
        assert!(!mark.is_set(start));
        let now = start + Duration::from_secs(5);
        mark.set(now);
        assert!(mark.is_set(now));
        assert!(mark.is_set(now + Duration::from_millis(999)));
        assert!(!mark.is_set(now + FULL));
    }

    #[test]
    fn the_parts_of_a_request_give_back_exactly_what_it_took() {
        let mut places = Places(5);
        assert_eq!([places.take(3), places.take(3), places.take(3)], [3, 2, 0]);
    }
}
