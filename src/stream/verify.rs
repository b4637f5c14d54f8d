//! The daemons' check of streams and durables. Changes nothing, and names the command that does.

use async_nats::jetstream::{
    Context,
    consumer::{self, PullConsumer},
    stream::{Config, Info},
};

use super::{
    Stream,
    provision::{
        Wanted,
        durable::{advice, target as right_durable},
        plan::target as right_stream,
    },
    rule::{self, Broken},
    stored,
};
use crate::Slug;

/// What is wrong with a stream or a durable, and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("stream {} does not exist: run `eso-relay init`", .0.name())]
    NoStream(Stream),
    #[error("stream {}: {what}: {remedy}", .stream.name())]
    Stream {
        stream: Stream,
        what: String,
        remedy: String,
    },
    #[error("no durable for cluster `{0}`: run `eso-relay init --cluster {0}`")]
    NoDurable(Slug),
    #[error("durable `{cluster}`: {what}: {remedy}")]
    Durable {
        cluster: Slug,
        what: String,
        remedy: String,
    },
    /// The server did not answer, or denies the request to this client.
    #[error("cannot check {what}: {why}")]
    Unknown { what: String, why: String },
}

impl Problem {
    /// Whether it is known that the stream or durable cannot be used.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }
}

/// A stream that can be used.
#[derive(Debug, Clone)]
pub struct Found {
    pub info: Info,
    /// What `init` should update.
    pub outdated: Option<Problem>,
}

/// The events stream. Needs only the permission to ask for its info.
pub async fn events(jetstream: &Context) -> Result<Found, Problem> {
    look(jetstream, Stream::Events).await
}

/// The stream of dead letters, checked before one counts as stored.
pub async fn dead_letters(jetstream: &Context) -> Result<Found, Problem> {
    look(jetstream, Stream::Dead).await
}

async fn look(jetstream: &Context, which: Stream) -> Result<Found, Problem> {
    let found = stored::find(jetstream, which).await;
    let found = found.map_err(|error| unknown(which.name(), &error))?;
    let found = found.ok_or(Problem::NoStream(which))?;
    let info = found.cached_info().clone();
    let outdated = stream(which, &info.config)?;
    Ok(Found { info, outdated })
}

/// An error: it cannot be used. `Some`: `init` should update it.
pub fn stream(stream: Stream, found: &Config) -> Result<Option<Problem>, Problem> {
    let problem = |what, remedy| Problem::Stream {
        stream,
        what,
        remedy,
    };
    if let Some((what, advice)) = rule::stream::fixed(stream, found) {
        return Err(problem(what.to_owned(), advice));
    }
    let right = right_stream(stream, found, &Wanted::default());
    let mut broken = Broken::of(&rule::stream::RULES, found, &right);
    if found.max_age.is_zero() && found.max_bytes <= 0 {
        let endless =
            "neither an age nor a size (the disk fills up: name --max-age or --max-bytes)";
        broken.outdated.push(endless.to_owned());
    }
    sort(broken, |what| {
        problem(what, "run `eso-relay init`".to_owned())
    })
}

/// The durable of `cluster`. Needs only the permission to ask for this consumer's info.
pub async fn durable(jetstream: &Context, cluster: &Slug) -> Result<PullConsumer, Problem> {
    let found: PullConsumer = jetstream
        .get_consumer_from_stream(cluster.as_str(), Stream::Events.name())
        .await
        .map_err(|error| {
            use async_nats::jetstream::{ErrorCode, stream::ConsumerErrorKind};
            match error.kind() {
                ConsumerErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND =>
                {
                    Problem::NoDurable(cluster.clone())
                }
                ConsumerErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Problem::NoStream(Stream::Events)
                }
                ConsumerErrorKind::InvalidConsumerType => fixed(cluster, rule::durable::PUSH),
                _ => unknown(&format!("durable {cluster}"), &error),
            }
        })?;
    durable_config(cluster, &found.cached_info().config)?;
    Ok(found)
}

/// As [`stream`], of a durable.
pub fn durable_config(
    cluster: &Slug,
    found: &consumer::Config,
) -> Result<Option<Problem>, Problem> {
    let (found, right) = right_durable(found).map_err(|what| fixed(cluster, what))?;
    let broken = Broken::of(&rule::durable::RULES, &found, &right);
    sort(broken, |what| Problem::Durable {
        cluster: cluster.clone(),
        what,
        remedy: format!("run `eso-relay init --cluster {cluster}`"),
    })
}

/// One problem for all broken rules: one command corrects them.
fn sort(broken: Broken, problem: impl Fn(String) -> Problem) -> Result<Option<Problem>, Problem> {
    let Broken { unusable, outdated } = broken;
    if unusable.is_empty() {
        let said = (!outdated.is_empty()).then(|| problem(outdated.join(", ")));
        Ok(said)
    } else {
        Err(problem([unusable, outdated].concat().join(", ")))
    }
}

fn fixed(cluster: &Slug, what: &str) -> Problem {
    Problem::Durable {
        cluster: cluster.clone(),
        what: what.to_owned(),
        remedy: advice(cluster),
    }
}

fn unknown(what: &str, error: &dyn std::error::Error) -> Problem {
    Problem::Unknown {
        what: what.to_owned(),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_nats::jetstream::stream::{
        Compression, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
    };

    use super::*;
    use crate::stream::Limits;

    type Change = fn(&mut Config);

    /// What is said of the events stream once it is changed.
    fn said(change: Change) -> Result<Option<String>, String> {
        let mut config = Stream::Events.config(&Limits::default());
        change(&mut config);
        let text = |problem: Problem| problem.to_string();
        stream(Stream::Events, &config)
            .map(|outdated| outdated.map(text))
            .map_err(text)
    }

    #[test]
    fn nothing_is_said_of_what_init_declares_and_of_what_the_operator_owns() {
        let own: [Change; 4] = [
            |_| {},
            |c| c.max_age = Duration::from_secs(3600),
            |c| c.num_replicas = 5,
            |c| c.subjects.push("mine.>".to_owned()),
        ];
        for change in own {
            assert_eq!(said(change), Ok(None));
        }
    }

    #[test]
    fn what_would_lose_events_unseen_is_refused_by_its_setting() {
        let lossy: [(&str, Change); 9] = [
            ("subjects mine.>", |c| {
                c.subjects = vec!["mine.>".to_owned()];
            }),
            ("retention Interest", |c| {
                c.retention = RetentionPolicy::Interest;
            }),
            ("max_msgs_per_subject 1", |c| c.max_messages_per_subject = 1),
            ("no_ack true", |c| c.no_ack = true),
            ("is stored in memory", |c| c.storage = StorageType::Memory),
            ("is sealed", |c| c.sealed = true),
            ("is a work queue", |c| {
                c.retention = RetentionPolicy::WorkQueue;
            }),
            ("acknowledges before it writes", |c| {
                c.persist_mode = Some(PersistenceMode::Async);
            }),
            ("is a mirror", |c| {
                c.mirror = Some(async_nats::jetstream::stream::Source::default());
            }),
        ];
        for (setting, change) in lossy {
            let problem = said(change).unwrap_err();
            assert!(problem.contains(setting), "{problem}");
        }
    }

    #[test]
    fn what_works_and_is_not_as_init_declares_it_is_said_and_no_more() {
        let outdated: [(&str, Change); 8] = [
            ("compression S2", |c| c.compression = Some(Compression::S2)),
            ("discard New", |c| c.discard = DiscardPolicy::New),
            ("max_msgs 10", |c| c.max_messages = 10),
            ("max_msg_size 1KiB", |c| c.max_message_size = 1024),
            ("deny_delete false", |c| c.deny_delete = false),
            ("allow_direct false", |c| c.allow_direct = false),
            ("schema none", |c| c.metadata.clear()),
            ("neither an age nor a size", |c| {
                (c.max_age, c.max_bytes) = (Duration::ZERO, -1);
            }),
        ];
        for (setting, change) in outdated {
            let problem = said(change).unwrap().unwrap();
            assert!(problem.contains(setting), "{problem}");
        }
    }
}
