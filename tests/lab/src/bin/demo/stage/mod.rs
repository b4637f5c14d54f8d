//! What stands on the stage: NATS, the ingress, and two clusters with two consumers each.

mod journal;
mod own;
mod sightings;
mod site;

use eso_relay_lab::{
    daemon::{Binary, Daemon},
    installation::{Hub, KubernetesKind, READY, Webhooks},
    nats_server,
};

pub(crate) use self::{journal::Journal, own::Own, sightings::Sighting, site::Site};
use crate::narrate::Narrator;

/// What a cluster is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Kubernetes {
    /// A small API of our own: starts at once
    #[default]
    StandIn,
    /// The upstream kube-apiserver: built once, which takes ten minutes
    Real,
}

/// All that runs. Dropping it ends all processes.
pub(crate) struct Stage<'a> {
    pub(crate) ingress: Daemon,
    pub(crate) webhooks: Webhooks,
    pub(crate) journal: Journal,
    pub(crate) east: Site<'a>,
    pub(crate) west: Site<'a>,
    // Last, so that it outlives those that use it.
    pub(crate) hub: Hub,
}

impl<'a> Stage<'a> {
    /// Starts everything and waits until it is ready and every ExternalSecret has its first values.
    pub(crate) async fn set(
        kubernetes: Kubernetes,
        own: Option<&'a Own>,
        tell: &Narrator,
    ) -> anyhow::Result<Self> {
        tell.scene("The stage");
        let building = Binary::Cli.path();
        tell.during("building the daemons", building).await?;
        let obtaining = nats_server::obtain();
        tell.during("looking for nats-server, or fetching it", obtaining)
            .await?;
        let hub = tell.during("starting nats-server", Hub::start()).await?;
        hub.init(&["east", "west"]).await?;
        tell.say(format!(
            "NATS        {}, streams by `eso-relay init`",
            hub.nats.url()
        ));

        let kind = match kubernetes {
            Kubernetes::StandIn => KubernetesKind::StandIn,
            Kubernetes::Real => KubernetesKind::Real,
        };
        let east = match own {
            Some(own) => Site::own("east", own, &hub, tell).await?,
            None => Site::lab("east", kind, &hub, tell).await?,
        };
        let west = Site::lab("west", kind, &hub, tell).await?;
        let mut ingress = hub.ingress().start().await?;
        ingress.wait_ready(READY).await?;
        tell.say(format!("ingress     {}", ingress.url()));
        Ok(Self {
            webhooks: Webhooks::to(&ingress.url()),
            journal: Journal::open(hub.jetstream().await?),
            ingress,
            east,
            west,
            hub,
        })
    }

    pub(crate) fn sites(&self) -> [&Site<'a>; 2] {
        [&self.east, &self.west]
    }

    /// The same secret has this value in every cluster's store now.
    pub(crate) async fn rotate(&self, key: &str, value: &str) -> anyhow::Result<()> {
        for site in self.sites() {
            site.set_value(key, value).await?;
        }
        Ok(())
    }

    /// The last lines of every daemon's log.
    pub(crate) fn tails(&self) -> String {
        let tail = |name: &str, daemon: &Daemon| {
            const LINES: usize = 8;
            let log = daemon.logs();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(LINES)..].join("\n  ");
            format!("the end of the log of {name}:\n  {tail}\n")
        };
        let mut text = tail("the ingress", &self.ingress);
        for site in self.sites() {
            for (at, consumer) in site.consumers.iter().enumerate() {
                text += &tail(&format!("consumer {} of {}", at + 1, site.name), consumer);
            }
        }
        text
    }
}

/// The clock, for what is compared with times in the stream.
#[expect(clippy::disallowed_methods, reason = "the demo reads the clock here")]
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
