//! Keeps an eye on the events stream: whether it can be used, what `init` is to bring up to date, how
//! full it is. Changes nothing: `eso-relay init` does.

use std::{convert::Infallible, time::Duration};

use async_nats::jetstream::Context;
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

use crate::publish::{Metrics, Usable};

/// Between looks: while something is wrong, and while nothing is. For so long at most a stream that
/// somebody has made useless is believed.
const WHILE_WRONG: Duration = Duration::from_secs(1);
const WHILE_RIGHT: Duration = Duration::from_secs(5);

pub(crate) struct StreamCheck {
    pub(crate) jetstream: Context,
    /// Met while the stream is known to be usable.
    pub(crate) condition: Condition,
    /// While the server does not answer, what was known before holds: an election passes.
    pub(crate) usable: Usable,
    pub(crate) metrics: Metrics,
}

/// What was logged last: each change is logged once.
#[derive(Default)]
struct Said {
    problem: Option<Problem>,
    outdated: Option<Problem>,
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
                Ok(events) => {
                    self.right(&events, &mut said);
                    WHILE_RIGHT
                }
                Err(problem) => {
                    self.wrong(problem, &mut said);
                    WHILE_WRONG
                }
            };
            sleep(pause).await;
        }
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

    fn right(&self, events: &Found, said: &mut Said) {
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
        let warnings: Vec<_> = outdated.into_iter().chain(filling).collect();
        let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
        self.condition.warn(warning);
        self.condition.met();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of the oldest message is told to people"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
