//! The configuration of each stream and durable.

use std::{collections::HashMap, time::Duration};

use async_nats::{
    datetime::DateTime,
    jetstream::{
        consumer::{AckPolicy, DeliverPolicy, pull},
        stream::{Compression, Config, DiscardPolicy, RetentionPolicy, StorageType},
    },
};
use jiff::Timestamp;

use crate::Slug;

const MIB: i64 = 1024 * 1024;

/// The streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// `ESO_RELAY`: the events.
    Events,
    /// `ESO_RELAY_DEAD`: events that a cluster gave up on.
    Dead,
    /// `ESO_RELAY_RECEIPTS`: the result of each event in each cluster.
    Receipts,
    /// `ESO_RELAY_POSITIONS`: how far each cluster has come.
    Positions,
    /// `ESO_RELAY_POLLS`: what pollers remember, and what clusters ask them to watch.
    Polls,
    /// `ESO_RELAY_AUDIT`: what people have done with the command line.
    Audit,
}

/// What an operator may choose; the rest is fixed.
#[derive(Debug, Clone)]
pub struct Limits {
    /// 1 on a laptop, 3 in production.
    pub replicas: usize,
    /// How long an outage of a cluster may last before it misses events. Default 72 h.
    pub max_age: Duration,
    /// The size of the events stream: the oldest events go when it is full. Default 1 GiB.
    pub max_bytes: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            replicas: 1,
            max_age: Duration::from_secs(72 * 3600),
            max_bytes: 1024 * MIB,
        }
    }
}

impl Stream {
    pub const ALL: [Self; 6] = [
        Self::Events,
        Self::Dead,
        Self::Receipts,
        Self::Positions,
        Self::Polls,
        Self::Audit,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "ESO_RELAY",
            Self::Dead => "ESO_RELAY_DEAD",
            Self::Receipts => "ESO_RELAY_RECEIPTS",
            Self::Positions => "ESO_RELAY_POSITIONS",
            Self::Polls => "ESO_RELAY_POLLS",
            Self::Audit => "ESO_RELAY_AUDIT",
        }
    }

    /// All major versions: a message that an older consumer cannot read is dead-lettered, not lost.
    pub const fn subjects(self) -> &'static str {
        match self {
            Self::Events => "eso-relay.events.>",
            Self::Dead => "eso-relay.dead.>",
            Self::Receipts => "eso-relay.receipts.>",
            Self::Positions => "eso-relay.positions.>",
            Self::Polls => "eso-relay.polls.>",
            Self::Audit => "eso-relay.audit.>",
        }
    }

    /// The configuration that `init` declares.
    pub fn config(self, limits: &Limits) -> Config {
        let common = Config {
            name: self.name().to_owned(),
            subjects: vec![self.subjects().to_owned()],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            num_replicas: limits.replicas,
            // A server that is killed may leave compressed blocks that cannot be read again.
            compression: Some(Compression::None),
            max_messages: -1,
            max_messages_per_subject: -1,
            allow_direct: true,
            metadata: HashMap::from([("eso-relay.dev/schema".to_owned(), "1".to_owned())]),
            ..Config::default()
        };
        match self {
            Self::Events => Config {
                description: Some("eso-relay: events".to_owned()),
                // A stream full of history must not refuse what is new. What goes before a cluster has
                // seen it is a gap there, and that needs the oldest to go: no limit by subject.
                discard: DiscardPolicy::Old,
                deny_delete: true,
                max_age: limits.max_age,
                max_bytes: limits.max_bytes,
                max_message_size: 512 * 1024,
                duplicate_window: window(Duration::from_secs(5 * 60), limits.max_age),
                ..common
            },
            // A flood of dead letters must not block a consumer: the oldest go.
            Self::Dead => Config {
                description: Some("eso-relay: dead letters".to_owned()),
                discard: DiscardPolicy::Old,
                max_age: Duration::from_secs(30 * 24 * 3600),
                max_bytes: 256 * MIB,
                duplicate_window: Duration::from_secs(10 * 60),
                ..common
            },
            Self::Receipts => Config {
                description: Some("eso-relay: receipts".to_owned()),
                // The latest of an event in a cluster.
                max_messages_per_subject: 1,
                discard: DiscardPolicy::Old,
                max_age: limits.max_age,
                max_bytes: 256 * MIB,
                duplicate_window: window(Duration::from_secs(2 * 60), limits.max_age),
                ..common
            },
            // Without its position a cluster does not find what it has missed: none expires, and none
            // is pushed out by another's.
            Self::Positions => Config {
                description: Some("eso-relay: positions".to_owned()),
                max_messages_per_subject: 1,
                discard: DiscardPolicy::Old,
                // For some ten thousand clusters. Not unlimited: an account may demand a limit.
                max_bytes: 16 * MIB,
                duplicate_window: Duration::from_secs(2 * 60),
                ..common
            },
            // A version that is forgotten hides a change until the next one: none expires.
            Self::Polls => Config {
                description: Some("eso-relay: what pollers remember and clusters watch".to_owned()),
                max_messages_per_subject: 1,
                discard: DiscardPolicy::Old,
                // For some 500,000 paths.
                max_bytes: 256 * MIB,
                duplicate_window: Duration::from_secs(2 * 60),
                ..common
            },
            Self::Audit => Config {
                description: Some("eso-relay: audit".to_owned()),
                discard: DiscardPolicy::Old,
                max_age: Duration::from_secs(365 * 24 * 3600),
                max_bytes: 64 * MIB,
                duplicate_window: Duration::from_secs(2 * 60),
                ..common
            },
        }
    }
}

/// The server takes no window longer than the age; no age is no limit.
pub(super) fn window(window: Duration, max_age: Duration) -> Duration {
    if max_age.is_zero() {
        window
    } else {
        window.min(max_age)
    }
}

/// How long the server waits for an ack before it redelivers, and so how long the messages of a killed consumer
/// or server wait. Long work sends progress acks.
pub const ACK_WAIT: Duration = Duration::from_secs(15);

/// Where a new durable starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Now: the ESO of a new cluster has just read everything.
    #[default]
    Now,
    /// At the oldest stored event.
    Oldest,
    /// At the first event stored since.
    At(Timestamp),
}

impl From<Start> for DeliverPolicy {
    fn from(start: Start) -> Self {
        match start {
            Start::Now => Self::New,
            Start::Oldest => Self::All,
            Start::At(moment) => {
                // OK because both count nanoseconds of the years that a clock shows.
                let start_time = DateTime::from_unix_timestamp_nanos(moment.as_nanosecond());
                start_time.map_or(Self::All, |start_time| Self::ByStartTime { start_time })
            }
        }
    }
}

/// The durable of a cluster. All replicas of its consumer share it.
pub fn durable(cluster: &Slug, start: Start) -> pull::Config {
    pull::Config {
        durable_name: Some(cluster.to_string()),
        description: Some(format!("eso-relay: cluster {cluster}")),
        deliver_policy: start.into(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // Attempts are counted by the consumer: a limit here would drop an event silently.
        max_deliver: -1,
        // More than the replicas hold of a backlog (`max_deliveries`), and what they have parked: the newest
        // message of each object that cannot be patched. At this bound nothing more is delivered.
        max_ack_pending: 200_000,
        ..pull::Config::default()
    }
}
