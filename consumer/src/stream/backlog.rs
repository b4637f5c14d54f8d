//! Observes the durable: how far behind this cluster is, whether messages are close to removal, and whether
//! `init` has a configuration to update.

use std::{convert::Infallible, time::Duration};

use async_nats::{connection::State, jetstream::Context};
use eso_relay::{
    Slug,
    admin::Condition,
    stream::{
        History, Stream,
        history::is_near_removal,
        verify::{self, Problem},
    },
};
use jiff::Timestamp;
use tokio::time::interval;
use tracing::{info, warn};

use crate::report::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Backlog {
    pub jetstream: Context,
    pub cluster: Slug,
    pub metrics: Metrics,
    /// The pull loop's condition; only its warning is set here.
    pub condition: Condition,
}

/// What was logged last, so that each change is logged once.
#[derive(Default)]
struct Logged {
    outdated: Vec<Problem>,
    near_removal: bool,
}

impl Backlog {
    /// Updates the gauges and the warning, for ever.
    pub(crate) async fn observe(self) -> Infallible {
        let mut every = interval(EVERY);
        let mut logged = Logged::default();
        loop {
            every.tick().await;
            // A request without a connection would only time out.
            if self.jetstream.client().connection_state() == State::Connected {
                self.check(&mut logged).await;
            }
        }
    }

    /// A durable that is missing or unusable is reported by the pull loop.
    async fn check(&self, logged: &mut Logged) {
        let Ok(durable) = verify::durable(&self.jetstream, &self.cluster).await else {
            return;
        };
        let info = durable.cached_info();
        self.metrics.backlog.set(info.num_pending);
        self.metrics.ack_pending.set(info.num_ack_pending as u64);
        let events = verify::events(&self.jetstream).await;

        let durable = verify::durable_config(&self.cluster, &info.config);
        let stream = events.as_ref().map(|events| events.outdated.clone());
        let outdated: Vec<_> = [stream.unwrap_or_default(), durable.unwrap_or_default()]
            .into_iter()
            .flatten()
            .collect();
        for problem in outdated.iter().filter(|it| !logged.outdated.contains(it)) {
            warn!(%problem, "not as this version declares it");
        }

        let unacked = info.num_pending > 0 || info.num_ack_pending > 0;
        let exposure = events.as_ref().ok().filter(|_| unacked).map(|events| {
            let history = History::of(Stream::Events, &events.info, now());
            history.exposure(info.ack_floor.stream_sequence, None)
        });
        let exposure = exposure.unwrap_or_default();
        self.metrics.expiry.set(exposure);
        let near_removal = is_near_removal(exposure, logged.near_removal);
        if near_removal && !logged.near_removal {
            warn!(
                exposure,
                "about to miss events: the first message that is not acked will soon be removed from the stream"
            );
        } else if logged.near_removal && !near_removal {
            info!("no longer about to miss events");
        }

        let near = near_removal.then(|| "it is about to miss events".to_owned());
        let warnings = outdated.iter().map(Problem::to_string).chain(near);
        let warnings: Vec<_> = warnings.collect();
        let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
        self.condition.warn(warning);
        *logged = Logged {
            outdated,
            near_removal,
        };
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of the oldest message is measured from now"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
