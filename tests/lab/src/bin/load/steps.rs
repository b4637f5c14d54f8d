//! Secrets per second that the real ESO brings up to date, from the webhook to the last of them: refreshed in
//! two steps ÷ in one.

use std::time::{Duration, Instant};

use anyhow::ensure;
use eso_relay_lab::{
    cluster::{Kind, cluster_store, create_all, external_secret, objects},
    documents::Documents,
    installation::{Hub, READY},
    operator::Operator,
};
use kube::{Client, api::ListParams};
use tokio::time::sleep;

use super::{
    Scale,
    burst::consumer,
    events::{NAMESPACE, STORE, key, webhook},
    http::{Connection, address},
    progress,
    report::{Measure, Unit},
    rounds::{alternate, rate},
};

/// Between two looks at all Secrets, which cost the API server some milliseconds.
const LOOK: Duration = Duration::from_millis(50);

/// ExternalSecrets that read one secret, refreshed alike.
struct Group {
    name: &'static str,
    /// Refreshed in two steps.
    forced: bool,
    /// Of the secret that they read.
    number: usize,
    objects: usize,
}

pub(crate) async fn measure(scale: Scale, asked: bool) -> anyhow::Result<Vec<Measure>> {
    if !asked && !Operator::is_at_hand() {
        return Ok(Vec::new());
    }
    let objects = scale.pick(100, 50);
    let what = format!("steps: {objects} Secrets by the real ESO, in two steps ÷ in one");
    progress(&format!("{what}: starting a real API and the operator"));
    let api = Operator::kubernetes_api().await?;
    let _operator = Operator::start(&api, &[]).await?;
    let documents = Documents::start().await?;
    let client = api.client();
    let store = cluster_store(STORE).provider(documents.provider());
    store.create(&client).await?;
    let [one, two] = [("one", false, 0), ("two", true, 1)].map(|(name, forced, number)| Group {
        name,
        forced,
        number,
        objects,
    });
    for group in [&one, &two] {
        documents.set(&key(group.number), "old");
        group.create(&client).await?;
        group.wait(&client, "old").await?;
    }
    let hub = Hub::start().await?;
    hub.init(&["load"]).await?;
    let mut ingress = hub.ingress().start().await?;
    ingress.wait_ready(READY).await?;
    let address = address(&ingress.url())?;
    let mut consumer = consumer(&hub, &api.kubeconfig()).start().await?;
    consumer.wait_ready(READY).await?;
    let round = async |group: &Group, value: String| {
        documents.set(&key(group.number), &value);
        let webhook = webhook(&value, group.number)?;
        let mut connection = Connection::open(address).await?;
        let started = Instant::now();
        connection.send(&webhook).await?;
        group.wait(&client, &value).await?;
        Ok(rate(objects, started.elapsed()))
    };
    let (mut ours, mut floor) = (0, 0);
    let rounds = alternate(
        &what,
        scale.pick(5, 2),
        async || {
            ours += 1;
            round(&two, format!("two-{ours}")).await
        },
        async || {
            floor += 1;
            round(&one, format!("one-{floor}")).await
        },
    );
    let measure = Measure::ratio(what.clone(), Unit::PerSecond, &rounds.await?, None);
    let metrics = consumer.metrics().await?;
    let resets = metrics.sum("eso_relay_consumer_resets_total", &[("result", "done")])?;
    ensure!(resets > 0.0, "nothing was refreshed in two steps");
    Ok(vec![measure])
}

impl Group {
    async fn create(&self, client: &Client) -> anyhow::Result<()> {
        let all = (0..self.objects).map(|at| {
            let object = external_secret(&format!("{}-{at}", self.name))
                .in_namespace(NAMESPACE)
                .cluster_store(STORE)
                .key(&key(self.number))
                .labelled("group", self.name);
            if self.forced {
                let forced = object.annotated("eso-relay.dev/force", "true");
                forced.refresh_interval("0s")
            } else {
                object
            }
        });
        create_all(client, all, 16).await
    }

    /// Until all Secrets hold this value.
    async fn wait(&self, client: &Client, value: &str) -> anyhow::Result<()> {
        let secrets = objects(client, Kind::Secret, Some(NAMESPACE));
        let group = ListParams::default().labels(&format!("group={}", self.name));
        let expected = base64(value);
        let started = Instant::now();
        loop {
            let secrets = secrets.list(&group).await?;
            let new = secrets
                .iter()
                .filter(|it| it.data["data"]["value"] == *expected);
            let new = new.count();
            if new == self.objects {
                return Ok(());
            }
            ensure!(
                started.elapsed() < 20 * READY,
                "{new} of {} Secrets hold {value}",
                self.objects
            );
            sleep(LOOK).await;
        }
    }
}

fn base64(value: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(value)
}
