//! What has to happen to a stream, out of what is there and what is wanted. No I/O.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, Info, State};
use jiff::Timestamp;

use super::{Difference, Item, ProvisionError, Wanted, unacked::Unacked};
use crate::{
    nats::timestamp,
    stream::{
        Limits, Stream,
        rule::{
            bytes, duration,
            stream::{RULES, fixed},
        },
    },
};

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
    unacked: &[Unacked],
    now: Timestamp,
) -> Result<Plan, ProvisionError> {
    let Some(found) = found else {
        return Ok(Plan::Create(Box::new(stream.config(limits))));
    };
    refuse_the_unchangeable(stream, &found.config)?;
    let config = target(stream, &found.config, wanted);
    if stream == Stream::Events {
        refuse_a_smaller_size(&found.state, &found.config, &config)?;
        refuse_a_shorter_age(&found.state, &found.config, &config, unacked, wanted, now)?;
    }
    let differences = super::differences(&RULES, &found.config, &config);
    Ok(if differences.is_empty() {
        Plan::Keep
    } else {
        Plan::Update(Box::new(config), differences)
    })
}

/// The stream as it stands, with what the operator names and what eso-relay needs. All else
/// (placement, sources, larger limits, …) is the operator's own.
pub(in crate::stream) fn target(stream: Stream, found: &Config, wanted: &Wanted) -> Config {
    let max_age = match stream {
        Stream::Events | Stream::Receipts => wanted.max_age,
        Stream::Dead | Stream::Audit => None,
        Stream::Positions | Stream::Polls => Some(Duration::ZERO),
    };
    let max_bytes = match stream {
        Stream::Events => wanted.max_bytes,
        Stream::Dead | Stream::Receipts | Stream::Positions | Stream::Polls | Stream::Audit => None,
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
    for rule in &RULES {
        (rule.set)(&mut config, &ours);
    }
    config
}

fn refuse_the_unchangeable(stream: Stream, found: &Config) -> Result<(), ProvisionError> {
    match fixed(stream, found) {
        None => Ok(()),
        Some((what, advice)) => Err(ProvisionError::CannotChange {
            item: Item::Stream(stream),
            what: what.to_owned(),
            advice,
        }),
    }
}

fn would_lose(why: String) -> ProvisionError {
    ProvisionError::WouldLose {
        item: Item::Stream(Stream::Events),
        why,
    }
}

fn refuse_a_smaller_size(
    state: &State,
    found: &Config,
    config: &Config,
) -> Result<(), ProvisionError> {
    let limited = config.max_bytes > 0 && config.max_bytes != found.max_bytes;
    if limited && config.max_bytes.unsigned_abs() < state.bytes {
        return Err(would_lose(format!(
            "it holds {}, more than --max-bytes {}; name at least that",
            bytes(i64::try_from(state.bytes).unwrap_or(i64::MAX)),
            bytes(config.max_bytes)
        )));
    }
    Ok(())
}

fn refuse_a_shorter_age(
    state: &State,
    found: &Config,
    config: &Config,
    unacked: &[Unacked],
    wanted: &Wanted,
    now: Timestamp,
) -> Result<(), ProvisionError> {
    let max_age = config.max_age;
    if max_age.is_zero() || max_age == found.max_age || state.messages == 0 {
        return Ok(());
    }
    let age = |then: Timestamp| Duration::try_from(now.duration_since(then)).unwrap_or_default();
    let shown = |age: Duration| duration(Duration::from_secs(age.as_secs()));
    let oldest = age(timestamp(state.first_timestamp));
    if oldest < max_age {
        return Ok(());
    }
    let behind: Vec<_> = unacked
        .iter()
        .filter(|it| age(it.since) >= max_age)
        .collect();
    if let Some(first) = behind.first() {
        let each = behind
            .iter()
            .map(|it| format!("{} (for {})", it.cluster, shown(age(it.since))));
        let each: Vec<_> = each.collect();
        return Err(would_lose(format!(
            "events older than --max-age {} are not acked by {}: start its consumers and wait until `eso-relay status` shows no backlog, or remove a cluster that is gone with `eso-relay init --remove-cluster {}`",
            duration(max_age),
            each.join(", "),
            first.cluster,
        )));
    }
    if wanted.forget {
        return Ok(());
    }
    Err(ProvisionError::WouldForget {
        why: format!(
            "the oldest event is {} old, older than --max-age {}",
            shown(oldest),
            duration(max_age)
        ),
    })
}
