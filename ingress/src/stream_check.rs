//! Keeps an eye on the events stream: whether it can be used, what `init` is to bring up to date, how
//! full it is, how large a message it takes. Changes nothing: `eso-relay init` does.

use std::{convert::Infallible, fmt, time::Duration};

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

/// Between looks: while something is wrong, and while nothing is. For so long at most a stream that
/// somebody has made useless is believed.
const WHILE_WRONG: Duration = Duration::from_secs(1);
const WHILE_RIGHT: Duration = Duration::from_secs(5);

pub(crate) struct StreamCheck {
    pub(crate) client: Client,
    pub(crate) jetstream: Context,
    /// Met while the stream is known to be usable.
    pub(crate) condition: Condition,
    /// While the server does not answer, what was known before holds: an election passes.
    pub(crate) usable: Usable,
    pub(crate) metrics: Metrics,
    /// The setting `publish.max_message_bytes`.
    pub(crate) max_message_bytes: usize,
}

/// What holds messages below what the configuration allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    /// Of a message's body.
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
struct Said {
    problem: Option<Problem>,
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
        let mut said = Said::default();
        loop {
            let pause = match verify::events(&self.jetstream).await {
                Ok(events) => match self.bound(&events) {
                    Some(bound) if bound.bytes < LEAST_MESSAGE_BYTES => {
                        self.wrong(bound.problem(), &mut said);
                        WHILE_WRONG
                    }
                    bound => {
                        self.right(&events, bound, &mut said);
                        WHILE_RIGHT
                    }
                },
                Err(problem) => {
                    self.wrong(problem, &mut said);
                    WHILE_WRONG
                }
            };
            sleep(pause).await;
        }
    }

    /// Also tells the publisher what the stream takes; what the server takes it knows itself.
    fn bound(&self, events: &Found) -> Option<Bound> {
        // None, or not above zero: no limit.
        let stream = usize::try_from(events.info.config.max_message_size).ok();
        let stream = stream.filter(|&bytes| bytes > 0);
        self.usable.set_largest(stream);
        Bound::of(self.client.max_payload(), stream, self.max_message_bytes)
    }

    fn wrong(&self, problem: Problem, said: &mut Said) {
        // First, so that no request is answered 202 once the log says otherwise.
        if problem.is_known() {
            self.usable.set(false);
        }
        self.condition.unmet(problem.to_string());
        if said.problem.as_ref() == Some(&problem) {
            return;
        }
        if problem.is_known() {
            warn!(%problem, "the events stream is missing or misconfigured; answering 503");
        } else {
            warn!(%problem, "cannot look at the events stream; trying again");
        }
        said.problem = Some(problem);
    }

    fn right(&self, events: &Found, bound: Option<Bound>, said: &mut Said) {
        self.usable.set(true);
        if said.problem.take().is_some() {
            info!("the events stream is as it must be");
        }
        if let Some(problem) = &events.outdated
            && said.outdated.as_ref() != Some(problem)
        {
            warn!(%problem, "the events stream is not as this version declares it");
        }
        said.outdated.clone_from(&events.outdated);
        if let Some(bound) = bound
            && said.bound != Some(bound)
        {
            warn!("{bound}; an event that is larger is answered 503");
        }
        said.bound = bound;

        let history = History::of(Stream::Events, &events.info, now());
        self.metrics.stream(&history);
        let before = said.fill;
        said.fill = history.fill(before);
        if said.fill > before {
            warn!("{history}");
        } else if said.fill == Fill::Roomy && before > Fill::Roomy {
            info!("the events stream has room again");
        }

        let outdated = events.outdated.as_ref().map(Problem::to_string);
        let filling = (said.fill > Fill::Roomy).then(|| history.to_string());
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
            "{by} holds messages to {} bytes, below `publish.max_message_bytes`",
            self.bytes
        )
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of the oldest message is told to people"
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
