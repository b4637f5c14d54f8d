//! What has to happen to a stream, out of what is there and what is wanted. No I/O.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, Info, RetentionPolicy, State, StorageType};
use jiff::Timestamp;

use super::{Difference, Item, ProvisionError, Wanted};
use crate::stream::{Limits, Stream};

#[derive(Debug)]
pub(super) enum Plan {
    Create(Box<Config>),
    Update(Box<Config>, Vec<Difference>),
    Keep,
}

/// The limits of a stream that is yet to be made.
pub(super) fn limits(events: Option<&Config>, wanted: &Wanted) -> Limits {
    let default = events.map_or_else(Limits::default, |events| Limits {
        replicas: events.num_replicas,
        max_age: events.max_age,
        max_bytes: events.max_bytes,
    });
    Limits {
        replicas: wanted.replicas.unwrap_or(default.replicas),
        max_age: wanted.max_age.unwrap_or(default.max_age),
        max_bytes: wanted.max_bytes.unwrap_or(default.max_bytes),
    }
}

pub(super) fn stream(
    stream: Stream,
    found: Option<&Info>,
    limits: &Limits,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Plan, ProvisionError> {
    let Some(found) = found else {
        return Ok(Plan::Create(Box::new(stream.config(limits))));
    };
    refuse_the_unchangeable(stream, &found.config)?;
    let config = target(stream, &found.config, wanted);
    refuse_loss(stream, &found.state, &found.config, &config, now)?;
    let differences = differences(&found.config, &config);
    Ok(if differences.is_empty() {
        Plan::Keep
    } else {
        Plan::Update(Box::new(config), differences)
    })
}

/// The stream as it stands, with what the operator names and what eso-relay needs. All else
/// (placement, sources, larger limits, …) is the operator's own.
fn target(stream: Stream, found: &Config, wanted: &Wanted) -> Config {
    let max_age = match stream {
        Stream::Events | Stream::Receipts => wanted.max_age,
        Stream::Dead => None,
        Stream::Positions => Some(Duration::ZERO),
    };
    let max_bytes = match stream {
        Stream::Events => wanted.max_bytes,
        Stream::Dead | Stream::Receipts | Stream::Positions => None,
    };
    let limits = Limits {
        replicas: wanted.replicas.unwrap_or(found.num_replicas),
        max_age: max_age.unwrap_or(found.max_age),
        max_bytes: max_bytes.unwrap_or(found.max_bytes),
    };
    let ours = stream.config(&limits);
    let mut config = found.clone();
    config.num_replicas = limits.replicas;
    config.max_age = limits.max_age;
    config.max_bytes = limits.max_bytes;
    config.retention = ours.retention;
    config.discard = ours.discard;
    config.compression = ours.compression;
    config.allow_direct = ours.allow_direct;
    config.no_ack = false;
    config.discard_new_per_subject = false;
    // A limit on their number would drop messages, or refuse them, long before the stream is full.
    config.max_messages = -1;
    config.max_messages_per_subject = match stream {
        Stream::Receipts | Stream::Positions => ours.max_messages_per_subject,
        Stream::Events | Stream::Dead => -1,
    };
    // A server cannot take this back once it is set.
    config.deny_delete |= ours.deny_delete;
    if ours.max_message_size > 0 {
        config.max_message_size = ours.max_message_size;
    }
    let unlimited = limits.max_age.is_zero();
    config.duplicate_window = if unlimited {
        stream.config(&Limits::default()).duplicate_window
    } else {
        ours.duplicate_window.min(limits.max_age)
    };
    if !config
        .subjects
        .iter()
        .any(|subject| subject == stream.subjects())
    {
        config.subjects.push(stream.subjects().to_owned());
    }
    config.metadata.extend(ours.metadata);
    config
}

fn refuse_the_unchangeable(stream: Stream, found: &Config) -> Result<(), ProvisionError> {
    let again = format!(
        "keep it with `nats stream backup {0} DIR` if you need what is in it, remove it with `nats stream rm {0}` and run `eso-relay init` again",
        stream.name()
    );
    let refuse = |what: &str, advice: &str| {
        Err(ProvisionError::CannotChange {
            item: Item::Stream(stream),
            what: what.to_owned(),
            advice: advice.to_owned(),
        })
    };
    if found.mirror.is_some() {
        return refuse("is a mirror", "run `eso-relay init` where its origin is");
    }
    if found.sealed {
        return refuse("is sealed", &again);
    }
    if found.storage != StorageType::File {
        return refuse("is stored in memory", &again);
    }
    if found.retention == RetentionPolicy::WorkQueue {
        return refuse(
            "is a work queue (one cluster would take all events)",
            &again,
        );
    }
    Ok(())
}

fn refuse_loss(
    stream: Stream,
    state: &State,
    found: &Config,
    config: &Config,
    now: Timestamp,
) -> Result<(), ProvisionError> {
    let refuse = |why| {
        Err(ProvisionError::WouldLose {
            item: Item::Stream(stream),
            why,
        })
    };
    let limited = config.max_bytes > 0 && config.max_bytes != found.max_bytes;
    if limited && config.max_bytes.unsigned_abs() < state.bytes {
        return refuse(format!(
            "it holds {}, more than --max-bytes {}; name at least that",
            bytes(i64::try_from(state.bytes).unwrap_or(i64::MAX)),
            bytes(config.max_bytes)
        ));
    }
    let limited = !config.max_age.is_zero() && config.max_age != found.max_age;
    if limited && state.messages > 0 {
        let age = now.as_nanosecond() - state.first_timestamp.unix_timestamp_nanos();
        let age = Duration::from_nanos(u64::try_from(age).unwrap_or(0));
        if age >= config.max_age {
            return refuse(format!(
                "its oldest message is {} old, older than --max-age {}; name more than that",
                duration(Duration::from_secs(age.as_secs())),
                duration(config.max_age)
            ));
        }
    }
    Ok(())
}

/// Of every setting that [`target`] may change.
fn differences(old: &Config, new: &Config) -> Vec<Difference> {
    type Setting = (&'static str, fn(&Config) -> String);
    const SETTINGS: [Setting; 16] = [
        ("replicas", |c| c.num_replicas.to_string()),
        ("max_age", |c| duration(c.max_age)),
        ("max_bytes", |c| bytes(c.max_bytes)),
        ("subjects", |c| c.subjects.join(" ")),
        ("retention", |c| format!("{:?}", c.retention)),
        ("discard", |c| format!("{:?}", c.discard)),
        ("discard_new_per_subject", |c| {
            c.discard_new_per_subject.to_string()
        }),
        ("deny_delete", |c| c.deny_delete.to_string()),
        ("max_msgs", |c| number(c.max_messages)),
        ("max_msgs_per_subject", |c| {
            number(c.max_messages_per_subject)
        }),
        ("max_msg_size", |c| bytes(c.max_message_size.into())),
        ("duplicate_window", |c| duration(c.duplicate_window)),
        ("compression", |c| match &c.compression {
            None => "None".to_owned(),
            Some(compression) => format!("{compression:?}"),
        }),
        ("allow_direct", |c| c.allow_direct.to_string()),
        ("no_ack", |c| c.no_ack.to_string()),
        ("schema", |c| {
            let schema = c.metadata.get("eso-relay.dev/schema");
            schema.cloned().unwrap_or_else(|| "none".to_owned())
        }),
    ];
    SETTINGS
        .into_iter()
        .map(|(setting, value)| Difference {
            setting,
            old: value(old),
            new: value(new),
        })
        .filter(|difference| difference.old != difference.new)
        .collect()
}

pub(super) fn duration(duration: Duration) -> String {
    if duration.is_zero() {
        "unlimited".to_owned()
    } else {
        humantime::format_duration(duration).to_string()
    }
}

fn number(limit: i64) -> String {
    if limit <= 0 {
        "unlimited".to_owned()
    } else {
        limit.to_string()
    }
}

/// With the largest unit that divides it, so that it reads back as the same number.
fn bytes(limit: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    if limit <= 0 {
        return "unlimited".to_owned();
    }
    UNITS
        .into_iter()
        .find(|(unit, _)| limit % unit == 0)
        .map_or_else(
            || format!("{limit} bytes"),
            |(unit, name)| format!("{}{name}", limit / unit),
        )
}
