//! How a cluster's durable must be.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy, pull};

use super::{
    Fixed,
    Otherwise::{Outdated, Unusable},
    Rule, duration,
};
use crate::stream::spec::ACK_WAIT;

/// Any setting that is not listed here (filters, `max_ack_pending`, replicas, a pause) is the operator's
/// choice.
pub(in crate::stream) const RULES: [Rule<pull::Config>; 5] = [
    Rule {
        setting: "max_deliver",
        text: |c| match c.max_deliver {
            ..=0 => "unlimited".to_owned(),
            limit => limit.to_string(),
        },
        set: |c, _| c.max_deliver = -1,
        otherwise: |_| Unusable("events are dropped after that many deliveries"),
    },
    Rule {
        setting: "ack_wait",
        text: |c| duration(c.ack_wait),
        set: |c, _| c.ack_wait = ACK_WAIT,
        otherwise: |c| {
            if c.ack_wait < ACK_WAIT {
                Unusable("too short for the consumers' progress acks")
            } else {
                Outdated("messages of a crashed consumer wait that long")
            }
        },
    },
    // Each delivery attempt would take its own time-out instead of ack_wait.
    Rule {
        setting: "backoff",
        text: |c| format!("{:?}", c.backoff),
        set: |c, _| c.backoff = Vec::new(),
        otherwise: |_| Outdated("it replaces ack_wait"),
    },
    Rule {
        setting: "headers_only",
        text: |c| c.headers_only.to_string(),
        set: |c, _| c.headers_only = false,
        otherwise: |_| Unusable("messages come without their events"),
    },
    // A cluster that is away for long must find its durable again.
    Rule {
        setting: "inactive_threshold",
        text: |c| duration(c.inactive_threshold),
        set: |c, _| c.inactive_threshold = Duration::ZERO,
        otherwise: |_| Outdated("the server then deletes the durable"),
    },
];

const FIXED: [Fixed<Config>; 2] = [
    Fixed {
        is: |c| c.ack_policy != AckPolicy::Explicit,
        what: "does not ask for an ack of each message",
    },
    Fixed {
        is: |c| c.deliver_policy == DeliverPolicy::LastPerSubject,
        what: "delivers only the last message of each subject",
    },
];

/// A durable of the kind that the server pushes to.
pub(in crate::stream) const PUSH: &str = "is a push consumer";

/// The state of the durable that the server cannot change.
pub(in crate::stream) fn fixed(found: &Config) -> Option<&'static str> {
    let fixed = FIXED.iter().find(|fixed| (fixed.is)(found))?;
    Some(fixed.what)
}
