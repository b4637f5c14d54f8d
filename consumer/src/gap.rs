//! Events that were removed before this cluster had seen them: then everything is refreshed once.
//!
//! The position is written down (see [`Position`]) together with the gap, and the gap is taken out when
//! everything has been refreshed. Until then every start of a replica finds it and goes on: what
//! carries the gap's value already needs no patch.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::{
    Context, context::PublishErrorKind, message::PublishMessage, stream::DirectGetErrorKind,
};
use eso_relay::{
    Event, Slug,
    event::{Pattern, Target, encode_batch},
    nats::{self, timestamp},
    stream::{
        Position, Stream, Subject,
        position::{Gap, Seen},
        verify,
    },
};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tracing::{error, info, warn};

use crate::{
    delivery::{Received, Reply},
    metrics::Metrics,
};

/// How often the server is asked, and until it has answered for the first time.
const EVERY: Duration = Duration::from_secs(10);
const AT_FIRST: Duration = Duration::from_millis(500);
/// Whose events these are, in logs and receipts.
const SOURCE: &str = "gap";

/// Looks, hands gaps to the worker, and writes down when they are closed.
pub struct Gaps {
    jetstream: Context,
    cluster: Slug,
    metrics: Metrics,
    /// To the worker, one at a time.
    found: mpsc::Sender<Gap>,
    ended: mpsc::Receiver<Ended>,
    looked: watch::Sender<Looked>,
}

/// Where others learn of [`Gaps`], and tell it.
pub struct Ends {
    pub found: mpsc::Receiver<Gap>,
    pub ended: mpsc::Sender<Ended>,
    pub looked: watch::Receiver<Looked>,
}

/// Nothing may be pulled before the first look: an ack moves what it looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    NotYet,
    /// Tried, and tried again soon.
    Failed {
        why: String,
    },
    Once,
}

/// How the refresh of everything ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to do for it.
    Closed(Gap),
    /// It has to begin anew, here or in another replica.
    Again,
}

impl Gaps {
    pub fn new(jetstream: Context, cluster: Slug, metrics: Metrics) -> (Self, Ends) {
        let (found, gaps) = mpsc::channel(1);
        let (ends, ended) = mpsc::channel(8);
        let (looked, may_pull) = watch::channel(Looked::NotYet);
        let gaps = Ends {
            found: gaps,
            ended: ends,
            looked: may_pull,
        };
        let looking = Self {
            jetstream,
            cluster,
            metrics,
            found,
            ended,
            looked,
        };
        (looking, gaps)
    }

    /// Until nobody tells it any more how a refresh ended.
    pub async fn watch(mut self) {
        let mut said = None;
        let mut at_work = false;
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(next) => match self.look().await {
                    Ok(position) => {
                        said = None;
                        self.looked.send_replace(Looked::Once);
                        at_work = at_work || self.hand_on(position);
                        next = Instant::now() + EVERY;
                    }
                    Err(problem) => {
                        let problem = format!("{problem:#}");
                        if said.as_ref() != Some(&problem) {
                            warn!(problem, "cannot see whether events were missed; trying again");
                        }
                        next = Instant::now() + self.not_yet(&problem);
                        said = Some(problem);
                    }
                },
                ended = self.ended.recv() => match ended {
                    Some(Ended::Closed(gap)) => {
                        at_work = false;
                        self.close(&gap).await;
                    }
                    Some(Ended::Again) => at_work = false,
                    None => return,
                },
            }
        }
    }

    /// When to look again.
    fn not_yet(&self, why: &str) -> Duration {
        let waits = self.looked.send_if_modified(|looked| {
            let waits = *looked != Looked::Once;
            if waits {
                let why = why.to_owned();
                *looked = Looked::Failed { why };
            }
            waits
        });
        if waits { AT_FIRST } else { EVERY }
    }

    /// Brings the position up to date.
    async fn look(&self) -> anyhow::Result<Position> {
        nats::connected(&self.jetstream.client()).await?;
        loop {
            let (last, sequence) = self.read().await?;
            let position = Position::after(last.as_ref(), self.seen().await?, now());
            if last.as_ref() == Some(&position) || self.write(&position, sequence).await? {
                return Ok(position);
            }
        }
    }

    /// Whether there is a gap that the worker takes.
    fn hand_on(&self, position: Position) -> bool {
        let Some(gap) = position.gap else {
            return false;
        };
        let Gap { found_at, missed } = &gap;
        error!(
            %found_at,
            missed,
            "events were removed before this cluster had seen them: refreshing everything once"
        );
        self.metrics.gaps.inc();
        self.found.try_send(gap).is_ok()
    }

    async fn close(&self, gap: &Gap) {
        let closed = async {
            while let (Some(last), sequence) = self.read().await? {
                if self.write(&last.closed(gap), sequence).await? {
                    break;
                }
            }
            anyhow::Ok(())
        };
        match closed.await {
            Ok(()) => info!(found_at = %gap.found_at, "everything has been refreshed"),
            // The next look finds it again; what carries its value is not patched again.
            Err(error) => warn!(
                error = format!("{error:#}"),
                "cannot note that everything has been refreshed"
            ),
        }
    }

    async fn seen(&self) -> anyhow::Result<Seen> {
        let name = Stream::Events.name();
        let stream = self.jetstream.get_stream(name).await.with_context(|| {
            format!("cannot look at stream {name} (may this user publish to `$JS.API.STREAM.INFO.{name}`?)")
        })?;
        let stream = stream.cached_info();
        let durable = verify::durable(&self.jetstream, &self.cluster).await?;
        let durable = durable.cached_info();
        let config = &durable.config;
        let filtered = !config.filter_subject.is_empty() || !config.filter_subjects.is_empty();
        Ok(Seen {
            stream: timestamp(stream.created),
            // What a filter leaves out never moves the floor, and is not missed.
            first: if filtered {
                0
            } else {
                stream.state.first_sequence
            },
            ack_floor: durable.ack_floor.stream_sequence,
        })
    }

    /// The last position, and where it stands: at 0 if nowhere. One that cannot be read counts as none.
    async fn read(&self) -> anyhow::Result<(Option<Position>, u64)> {
        let name = Stream::Receipts.name();
        let subject = Position::subject(&self.cluster);
        let receipts = self.jetstream.get_stream_no_info(name).await?;
        match receipts.direct_get_last_for_subject(&subject).await {
            Ok(message) => {
                let position = serde_json::from_slice(&message.payload);
                Ok((position.ok(), message.sequence))
            }
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok((None, 0)),
            Err(error) => Err(error).with_context(|| {
                format!("cannot read {name} (may this user publish to `$JS.API.DIRECT.GET.{name}.{subject}`?)")
            }),
        }
    }

    /// Whether it is written: not if another replica has written since `after`.
    async fn write(&self, position: &Position, after: u64) -> anyhow::Result<bool> {
        let name = Stream::Receipts.name();
        let subject = Position::subject(&self.cluster);
        let message = PublishMessage::build()
            .expected_stream(name)
            .expected_last_subject_sequence(after)
            .payload(serde_json::to_vec(position)?.into());
        let failed = || format!("cannot write to {name} (may this user publish to `{subject}`?)");
        let sent = self.jetstream.send_publish(subject.clone(), message).await;
        match sent.with_context(failed)?.await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
            Err(error) => Err(error).with_context(failed),
        }
    }
}

/// The gap as a message of one event. It stands before all messages of the stream: whatever comes
/// takes its place at a target.
pub fn message(gap: Gap, cluster: &Slug) -> Received {
    let id = format!("{cluster}/{}", gap.found_at);
    let target = Target {
        clusters: vec![Pattern::new(cluster.as_str())],
        ..Target::default()
    };
    // OK because it is a slug.
    let source = SOURCE.parse().expect("a slug");
    let event = Event::refresh_everything(source, id, target, gap.found_at);
    Received {
        sequence: 0,
        attempt: 1,
        pending: 0,
        age: Duration::ZERO,
        reply: Reply::Gap(gap),
        subject: Subject::of(&event).to_string(),
        body: encode_batch([&event]),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time of finding is told to people"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
