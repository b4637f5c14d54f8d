//! How a stream must be.

use async_nats::jetstream::stream::{Config, PersistenceMode, RetentionPolicy, StorageType};

use super::{
    Fixed,
    Otherwise::{Outdated, Unusable},
    Rule, bytes, duration, number,
};
use crate::stream::{Stream, spec::window};

/// Any setting that is not listed here (placement, sources, …) is the operator's choice.
pub(in crate::stream) const RULES: [Rule<Config>; 16] = [
    // The operator chooses the first three.
    Rule {
        setting: "replicas",
        text: |c| c.num_replicas.to_string(),
        set: |_, _| {},
        otherwise: |_| Outdated("another number was chosen"),
    },
    Rule {
        setting: "max_age",
        text: |c| duration(c.max_age),
        set: |_, _| {},
        otherwise: |_| Outdated("another age was chosen"),
    },
    Rule {
        setting: "max_bytes",
        text: |c| bytes(c.max_bytes),
        set: |_, _| {},
        otherwise: |_| Outdated("another size was chosen"),
    },
    Rule {
        setting: "subjects",
        text: |c| c.subjects.join(" "),
        set: |c, ours| {
            for subject in &ours.subjects {
                if !c.subjects.contains(subject) {
                    c.subjects.push(subject.clone());
                }
            }
        },
        otherwise: |_| Unusable("eso-relay's are missing"),
    },
    Rule {
        setting: "retention",
        text: |c| format!("{:?}", c.retention),
        set: |c, ours| c.retention = ours.retention,
        otherwise: |_| Unusable("what no durable waits for is acknowledged and not stored"),
    },
    Rule {
        setting: "discard",
        text: |c| format!("{:?}", c.discard),
        set: |c, ours| c.discard = ours.discard,
        otherwise: |_| Outdated("a full stream refuses new messages"),
    },
    Rule {
        setting: "discard_new_per_subject",
        text: |c| c.discard_new_per_subject.to_string(),
        set: |c, _| c.discard_new_per_subject = false,
        otherwise: |_| Outdated("a full subject refuses new messages"),
    },
    Rule {
        setting: "deny_delete",
        text: |c| c.deny_delete.to_string(),
        // A server cannot take this back once it is set.
        set: |c, ours| c.deny_delete |= ours.deny_delete,
        otherwise: |_| Outdated("deleted messages are not noticed as a gap"),
    },
    Rule {
        setting: "max_msgs",
        text: |c| number(c.max_messages),
        set: |c, ours| c.max_messages = ours.max_messages,
        otherwise: |_| Outdated("it is full long before its size"),
    },
    Rule {
        setting: "max_msgs_per_subject",
        text: |c| number(c.max_messages_per_subject),
        set: |c, ours| c.max_messages_per_subject = ours.max_messages_per_subject,
        otherwise: |_| Unusable("messages are removed that are not noticed as a gap"),
    },
    Rule {
        setting: "max_msg_size",
        text: |c| bytes(c.max_message_size.into()),
        set: |c, ours| {
            if ours.max_message_size > 0 {
                c.max_message_size = ours.max_message_size;
            }
        },
        otherwise: |_| Outdated("not what the ingress expects"),
    },
    Rule {
        setting: "duplicate_window",
        text: |c| duration(c.duplicate_window),
        set: |c, ours| c.duplicate_window = window(ours.duplicate_window, c.max_age),
        otherwise: |_| Outdated("a message that is sent again may be stored twice"),
    },
    Rule {
        setting: "compression",
        text: |c| match &c.compression {
            None => "None".to_owned(),
            Some(compression) => format!("{compression:?}"),
        },
        set: |c, ours| c.compression.clone_from(&ours.compression),
        otherwise: |_| Outdated("a server that is killed may leave messages that cannot be read"),
    },
    Rule {
        setting: "allow_direct",
        text: |c| c.allow_direct.to_string(),
        set: |c, ours| c.allow_direct = ours.allow_direct,
        otherwise: |_| Outdated("only its leader can be read"),
    },
    Rule {
        setting: "no_ack",
        text: |c| c.no_ack.to_string(),
        set: |c, ours| c.no_ack = ours.no_ack,
        otherwise: |_| Unusable("it does not say what it has stored"),
    },
    Rule {
        setting: "schema",
        text: |c| {
            let schema = c.metadata.get("eso-relay.dev/schema");
            schema.cloned().unwrap_or_else(|| "none".to_owned())
        },
        set: |c, ours| c.metadata.extend(ours.metadata.clone()),
        otherwise: |_| Outdated("declared by another version"),
    },
];

const FIXED: [Fixed<Config>; 5] = [
    Fixed {
        is: |c| c.mirror.is_some(),
        what: "is a mirror",
    },
    Fixed {
        is: |c| c.sealed,
        what: "is sealed",
    },
    Fixed {
        is: |c| c.storage != StorageType::File,
        what: "is stored in memory",
    },
    Fixed {
        is: |c| c.retention == RetentionPolicy::WorkQueue,
        what: "is a work queue (one cluster would take all events)",
    },
    Fixed {
        is: |c| c.persist_mode == Some(PersistenceMode::Async),
        what: "acknowledges before it writes (persist_mode async)",
    },
];

/// The state of the stream that the server cannot change, and the way out.
pub(in crate::stream) fn fixed(stream: Stream, found: &Config) -> Option<(&'static str, String)> {
    let fixed = FIXED.iter().find(|fixed| (fixed.is)(found))?;
    let advice = if found.mirror.is_some() {
        "run `eso-relay init` where its origin is".to_owned()
    } else {
        format!(
            "keep it with `nats stream backup {0} DIR` if you need what is in it, remove it with `nats stream rm {0}` and run `eso-relay init` again",
            stream.name()
        )
    };
    Some((fixed.what, advice))
}
