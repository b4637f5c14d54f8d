//! What runs: NATS, the ingress, and two clusters with two consumers each.

use eso_relay_lab::{
    daemon::{Binary, Daemon},
    installation::{Hub, KubernetesKind, READY, Webhooks},
    nats_server,
};

use crate::{own::Own, site::Site, tell::Teller, watch::Journal};

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
    pub(crate) async fn start(
        kubernetes: Kubernetes,
        own: Option<&'a Own>,
        tell: &Teller,
    ) -> anyhow::Result<Self> {
        tell.scene("The stage");
        let building = Binary::Cli.path();
        tell.during("building the daemons", building).await?;
        let obtaining = nats_server::obtain();
        tell.during("looking for nats-server, or fetching it", obtaining)
            .await?;
        let hub = Hub::start().await?;
        hub.init(&["east", "west"]).await?;
        let url = hub.nats.url();
        tell.say(format!("NATS        {url}, streams by `eso-relay init`"));

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
            site.set_values(&[(key.to_owned(), value.to_owned())])
                .await?;
        }
        Ok(())
    }

    /// The last lines of every daemon's log.
    pub(crate) fn logs(&self) -> String {
        let daemons = self.sites().into_iter().flat_map(|site| {
            let consumers = site.consumers.iter();
            consumers.map(move |consumer| (format!("a consumer of {}", site.name), consumer))
        });
        let ingress = ("the ingress".to_owned(), &self.ingress);
        let tail = |(name, daemon): (String, &Daemon)| {
            const LINES: usize = 8;
            let log = daemon.logs();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(LINES)..].join("\n  ");
            format!("the end of the log of {name}:\n  {tail}\n")
        };
        std::iter::once(ingress).chain(daemons).map(tail).collect()
    }
}
