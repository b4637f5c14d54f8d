//! One cluster of the demo: its API, its ESO, its two consumers, and a watch.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use eso_relay_lab::{
    cluster::{Kind, create_all, create_namespace, objects},
    daemon::{Daemon, DaemonOptions},
    installation::{Cluster, Hub, KubernetesKind, READY},
    standin::{Eso, StandIn},
    wait,
};
use kube::Client;

use crate::{
    cast::{self, ALL, CROWD},
    own::Own,
    tell::Teller,
    watch::Sightings,
};

/// The namespace in a cluster of ours; in the user's cluster it has a suffix.
const NAMESPACE: &str = "eso-relay-demo";
/// A real API is not slowed by a fault; this leaves time to kill a consumer at work.
const PATCHES_PER_SECOND: f64 = 10.0;
const FIRST_SYNC: Duration = Duration::from_secs(120);

pub(crate) struct Site<'a> {
    pub(crate) name: &'static str,
    /// Two replicas.
    pub(crate) consumers: Vec<Daemon>,
    pub(crate) sightings: Sightings,
    place: Place<'a>,
}

enum Place<'a> {
    Lab(Box<Cluster>),
    /// With a stand-in ESO, unless the real one is at work there.
    Own {
        own: &'a Own,
        eso: Option<Eso>,
    },
}

impl<'a> Site<'a> {
    pub(crate) async fn lab(
        name: &'static str,
        kind: KubernetesKind,
        hub: &Hub,
        tell: &Teller,
    ) -> anyhow::Result<Self> {
        let (what, slowly) = match kind {
            KubernetesKind::StandIn => ("stand-in API", String::new()),
            KubernetesKind::Real => ("kube-apiserver", slowly()),
        };
        let starting = Cluster::of_kind(name, kind);
        let what_now = format!("starting the {what} of {name}");
        let cluster = tell.during(&what_now, starting).await?;
        let at = cluster.client().clone();
        create_namespace(&at, NAMESPACE).await?;
        create_all(&at, cast::stores(NAMESPACE), 1).await?;
        let consumer = cluster.consumer(hub, &slowly);
        let place = Place::Lab(Box::new(cluster));
        let description = format!("{what}, stand-in ESO");
        Self::start(name, place, consumer, &description, tell).await
    }

    pub(crate) async fn own(
        name: &'static str,
        own: &'a Own,
        hub: &Hub,
        tell: &Teller,
    ) -> anyhow::Result<Self> {
        let Own {
            client,
            namespace,
            context,
            ..
        } = own;
        create_namespace(client, namespace).await?;
        create_all(client, cast::stores(namespace), 1).await?;
        let looking = tell.during("looking for an ESO", own.has_eso()).await;
        let eso = (!looking).then(|| {
            let eso = Eso::builder().in_namespace(namespace);
            eso.start(client, &own.values)
        });
        let whose = if looking {
            "its own ESO"
        } else {
            "stand-in ESO"
        };
        let url = hub.nats.url();
        let consumer = Daemon::consumer().config(format!(
            "cluster: {name}\nnats: {{ url: '{url}' }}\n\
             kubernetes: {{ context: '{context}', namespaces: [{namespace}] }}\n{}",
            slowly()
        ));
        let description = format!("context {context}, namespace {namespace}, {whose}");
        Self::start(name, Place::Own { own, eso }, consumer, &description, tell).await
    }

    async fn start(
        name: &'static str,
        place: Place<'a>,
        consumer: DaemonOptions,
        description: &str,
        tell: &Teller,
    ) -> anyhow::Result<Self> {
        let mut site = Self {
            name,
            consumers: Vec::new(),
            sightings: Sightings::watch(place.client(), place.namespace()),
            place,
        };
        site.set_values(&cast::first_values()).await?;
        create_all(site.client(), cast::external_secrets(site.namespace()), 16).await?;
        for _ in 0..2 {
            let mut daemon = consumer.clone().start().await?;
            daemon.wait_ready(READY).await?;
            site.consumers.push(daemon);
        }
        site.first_sync().await?;
        let count = ALL.len() + CROWD;
        tell.say(format!(
            "{name}        {description}; {count} ExternalSecrets, 2 consumers"
        ));
        Ok(site)
    }

    async fn first_sync(&self) -> anyhow::Result<()> {
        let last = cast::crowd_name(CROWD - 1);
        let parts = ALL.into_iter().filter(|part| self.gives_values_to(*part));
        for name in parts.map(|part| part.name).chain([last.as_str()]) {
            let what = format!("the first value of {name} in {}", self.name);
            wait::until_ok(what, FIRST_SYNC, || self.secret_holds(name, "first")).await?;
        }
        Ok(())
    }

    pub(crate) fn client(&self) -> &Client {
        self.place.client()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.place.namespace()
    }

    /// To slow it down.
    pub(crate) fn stand_in(&self) -> Option<&StandIn> {
        match &self.place {
            Place::Lab(cluster) => cluster.as_stand_in(),
            Place::Own { .. } => None,
        }
    }

    /// How to reach it with kubectl.
    pub(crate) fn kubectl(&self) -> String {
        match &self.place {
            Place::Lab(cluster) => {
                format!("kubectl --kubeconfig {}", cluster.kubeconfig().display())
            }
            Place::Own { own, .. } => format!("kubectl --context {}", own.context),
        }
    }

    /// Whether the ESO here can give a value to this ExternalSecret.
    pub(crate) fn gives_values_to(&self, part: cast::Part) -> bool {
        let is_real = matches!(self.place, Place::Own { eso: None, .. });
        !is_real || part.can_be_read_from_a_fake_store()
    }

    /// These secrets have these values in the stores now.
    pub(crate) async fn set_values(&self, values: &[(String, String)]) -> anyhow::Result<()> {
        let memory = match &self.place {
            Place::Own { own, eso: None } => return own.write_stores(values).await,
            Place::Own { own, .. } => &own.values,
            Place::Lab(cluster) => &cluster.values,
        };
        for (key, value) in values {
            memory.set(key, value);
        }
        Ok(())
    }

    /// Whether the Secret of this ExternalSecret has `value` under any of its keys.
    pub(crate) async fn secret_holds(&self, name: &str, value: &str) -> Result<(), String> {
        let secrets = objects(self.client(), Kind::Secret, Some(self.namespace()));
        let secret = secrets
            .get_opt(name)
            .await
            .map_err(|error| error.to_string())?;
        let secret = secret.ok_or("there is no Secret yet")?;
        let data = secret.data["data"].as_object();
        let mut texts = data.into_iter().flat_map(|data| data.values());
        let wanted = BASE64.encode(value);
        if texts.any(|text| *text == wanted) {
            Ok(())
        } else {
            Err("the Secret holds another value".to_owned())
        }
    }
}

impl Place<'_> {
    fn client(&self) -> &Client {
        match self {
            Self::Lab(cluster) => cluster.client(),
            Self::Own { own, .. } => &own.client,
        }
    }

    fn namespace(&self) -> &str {
        match self {
            Self::Lab(_) => NAMESPACE,
            Self::Own { own, .. } => &own.namespace,
        }
    }
}

fn slowly() -> String {
    format!("refresh: {{ rate: {PATCHES_PER_SECOND:?} }}\n")
}
