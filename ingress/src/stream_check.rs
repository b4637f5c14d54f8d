//! Checks the events stream: whether it is usable, whether `init` should update it, how full it is, and how
//! large a message may be. Changes nothing: that is what `eso-relay init` is for.

use std::{convert::Infallible, fmt, mem, time::Duration};

use async_nats::{Client, jetstream::Context};
use eso_relay::{
    admin::Condition,
    stream::{
        History, Stream,
        history::Fill,
        verify::{self, Found, Problem},
    },
};
use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::publish::{HEADER_BYTES, LEAST_MESSAGE_BYTES, Metrics, Usable};

/// The intervals between checks. A stream that becomes unusable is noticed within the second one.
const WHILE_WRONG: Duration = Duration::from_secs(1);
const WHILE_RIGHT: Duration = Duration::from_secs(5);

pub(crate) struct StreamCheck {
    pub(crate) client: Client,
    pub(crate) jetstream: Context,
    /// Met while the stream is known to be usable.
    pub(crate) condition: Condition,
    /// Keeps its value while the server does not answer, as during an election.
    pub(crate) usable: Usable,
    pub(crate) metrics: Metrics,
    /// The setting `publish.max_message_bytes`.
    pub(crate) max_message_bytes: usize,
}

/// A limit on messages that is lower than the configuration's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    /// The largest body of a message.
    bytes: usize,
    by: Limit,
}

/// What an operator can raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// `max_payload` of nats-server.
    Server,
    /// `max_msg_size` of the stream.
    Stream,
}

/// What was logged last: each change is logged once.
#[derive(Default)]
struct Logged {
    problem: bool,
    outdated: Option<Problem>,
    bound: Option<Bound>,
    fill: Fill,
}

impl StreamCheck {
    /// Until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        stop.run_until_cancelled(self.watch()).await;
        Ok(())
    }

    async fn watch(self) -> Infallible {
        let mut logged = Logged::default();
        loop {
            let pause = match verify::events(&self.jetstream).await {
                Ok(events) => match self.bound(&events) {
                    Some(bound) if bound.bytes < LEAST_MESSAGE_BYTES => {
                        self.wrong(&bound.problem(), &mut logged);
                        WHILE_WRONG
                    }
                    bound => {
                        self.right(&events, bound, &mut logged);
                        WHILE_RIGHT
                    }
                },
                Err(problem) => {
                    self.wrong(&problem, &mut logged);
                    WHILE_WRONG
                }
            };
            sleep(pause).await;
        }
    }

    /// Also tells the publisher the largest message of the stream; it knows the server's itself.
    fn bound(&self, events: &Found) -> Option<Bound> {
        // None, or not above zero: no limit.
        let stream = usize::try_from(events.info.config.max_message_size).ok();
        let stream = stream.filter(|&bytes| bytes > 0);
        self.usable.set_largest(stream);
        Bound::of(self.client.max_payload(), stream, self.max_message_bytes)
    }

    fn wrong(&self, problem: &Problem, logged: &mut Logged) {
        // First, so that no request is answered 202 after the log line.
        if problem.is_known() {
            self.usable.set(false);
        }
        let is_new = self.condition.report(problem.to_string());
        logged.problem = true;
        if !is_new {
            return;
        }
        if problem.is_known() {
            warn!(%problem, "the events stream is missing or misconfigured; answering 503");
        } else {
            warn!(%problem, "cannot check the events stream; trying again");
        }
    }

    fn right(&self, events: &Found, bound: Option<Bound>, logged: &mut Logged) {
        self.usable.set(true);
        if mem::take(&mut logged.problem) {
            info!("the events stream is usable");
        }
        if let Some(problem) = &events.outdated
            && logged.outdated.as_ref() != Some(problem)
        {
            warn!(%problem, "the events stream is not as this version declares it");
        }
        logged.outdated.clone_from(&events.outdated);
        if let Some(bound) = bound
            && logged.bound != Some(bound)
        {
            warn!("{bound}; larger events are answered 503");
        }
        logged.bound = bound;

        let history = History::of(Stream::Events, &events.info, now());
        self.metrics.stream(&history);
        let before = logged.fill;
        logged.fill = history.fill(before);
        if logged.fill > before {
            warn!("{history}");
        } else if logged.fill == Fill::Roomy && before > Fill::Roomy {
            info!("the events stream has room again");
        }

        let outdated = events.outdated.as_ref().map(Problem::to_string);
        let filling = (logged.fill > Fill::Roomy).then(|| history.to_string());
        let bound = bound.map(|bound| bound.to_string());
        let warnings: Vec<_> = [outdated, bound, filling].into_iter().flatten().collect();
        let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
        self.condition.warn(warning);
        self.condition.met();
    }
}

impl Bound {
    /// `server` and `stream`: bytes of a message with its headers. `None` when `allowed` bytes of a body
    /// fit into both.
    fn of(server: usize, stream: Option<usize>, allowed: usize) -> Option<Self> {
        let (takes, by) = match stream {
            Some(stream) if stream < server => (stream, Limit::Stream),
            _ => (server, Limit::Server),
        };
        let bytes = takes.saturating_sub(HEADER_BYTES);
        (bytes < allowed).then_some(Self { bytes, by })
    }

    fn problem(self) -> Problem {
        Problem::Stream {
            stream: Stream::Events,
            what: self.to_string(),
            remedy: match self.by {
                Limit::Server => format!(
                    "raise `max_payload` of nats-server to {} at least",
                    LEAST_MESSAGE_BYTES + HEADER_BYTES
                ),
                Limit::Stream => "run `eso-relay init`".to_owned(),
            },
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            Limit::Server => "`max_payload` of the server",
            Limit::Stream => "`max_msg_size` of the stream",
        };
        write!(
            f,
            "{by} limits messages to {} bytes, below `publish.max_message_bytes`",
            self.bytes
        )
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of the oldest message is shown to people"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn the_smaller_limit_bounds_a_message_and_is_named() {
        assert_eq!(Bound::of(MIB, None, MIB / 4), None);
        assert_eq!(Bound::of(MIB, Some(MIB / 2), MIB / 4), None);
        let by_server = Bound::of(MIB, None, MIB).unwrap();
        assert_eq!(by_server.bytes, MIB - HEADER_BYTES);
        assert!(by_server.to_string().contains("`max_payload`"));
        let by_stream = Bound::of(MIB, Some(1000), MIB).unwrap();
        assert_eq!((by_stream.bytes, by_stream.by), (744, Limit::Stream));
        let problem = by_stream.problem().to_string();
        assert!(problem.contains("eso-relay init"), "{problem}");
        // Smaller than the headers alone.
        assert_eq!(Bound::of(100, None, MIB).unwrap().bytes, 0);
    }
}
