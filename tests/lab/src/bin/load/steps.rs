//! A refresh in two steps ÷ a refresh in one, on the real External Secrets Operator and a real API: from the webhook
//! until every Secret holds the new value, and the CPU time that the operator takes for it.

use std::time::{Duration, Instant};

use eso_relay_lab::{
    cluster::{
        ExternalSecretBuilder, Kind, cluster_store, create_all, create_namespace, external_secret,
        objects,
    },
    documents::Documents,
    installation::{Hub, READY, Webhooks},
    operator::{self, Operator},
    wait,
};
use kube::{Client, api::ListParams};
use serde_json::json;
use tokio::time::sleep;

use super::{
    Scale, progress,
    report::{Measure, Unit, milliseconds, rounds},
    rig::{self, NAMESPACE, cpu_time},
};

const STORE: &str = "store";
/// From the last Secret to the end of the operator's work on it.
const SETTLED: Duration = Duration::from_secs(1);

/// How many steps the refresh of an object takes.
#[derive(Debug, Clone, Copy)]
enum Steps {
    One,
    /// As what is forced does, whatever its policy.
    Two,
}

/// The objects of one row: as many of each, which read one key.
struct Group {
    steps: Steps,
    size: usize,
}

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    if !operator::is_asked_for() {
        return Ok(Vec::new());
    }
    let mut measures = Vec::new();
    for size in scale.pick([1, 200], [1, 20]) {
        measures.extend(refresh(size, scale.pick(10, 2)).await?);
    }
    Ok(measures)
}

async fn refresh(size: usize, times: usize) -> anyhow::Result<[Measure; 2]> {
    let what = format!("{size} on the real ESO: two steps ÷ one");
    progress(&format!("{what}: creating the objects"));
    let groups = [Steps::Two, Steps::One].map(|steps| Group { steps, size });
    let documents = Documents::start().await?;
    let api = Operator::kubernetes_api().await?;
    let operator = Operator::start(&api, &[]).await?;
    let client = api.client();
    create_namespace(&client, NAMESPACE).await?;
    let store = cluster_store(STORE).provider(documents.provider());
    store.create(&client).await?;
    for group in &groups {
        documents.set(&group.key(), "first");
        create_all(&client, group.objects(), 8).await?;
        group.hold(&client, "first").await?;
    }

    let hub = Hub::start().await?;
    hub.init(&[rig::CLUSTER]).await?;
    let (_ingress, address) = rig::ingress(&hub, "").await?;
    let webhooks = Webhooks::to(&format!("http://{address}"));
    let _consumer = rig::consumer(&hub, api.kubeconfig(), "").await?;
    let change = async |group: &Group, value: &str| {
        documents.set(&group.key(), value);
        let event =
            json!({ "id": format!("{}{value}", group.key()), "secret": { "name": group.key() } });
        let (cpu, started) = (cpu_time(operator.process.id())?, Instant::now());
        webhooks.generic(&event).await?;
        group.hold(&client, value).await?;
        let took = milliseconds(started.elapsed());
        sleep(SETTLED).await;
        anyhow::Ok((
            took,
            milliseconds(cpu_time(operator.process.id())?.saturating_sub(cpu)),
        ))
    };
    let one = async |round: usize| {
        let value = format!("round-{round}");
        let (two, two_cpu) = change(&groups[0], &value).await?;
        let (one, one_cpu) = change(&groups[1], &value).await?;
        Ok([(two, one), (two_cpu, one_cpu)])
    };
    let [time, cpu] = rounds(&what, times, one).await?;
    Ok([
        Measure::ratio(&what, Unit::Milliseconds, &time),
        Measure::ratio(format!("{what}, CPU of ESO"), Unit::Milliseconds, &cpu),
    ])
}

impl Group {
    fn key(&self) -> String {
        format!("/{:?}", self.steps).to_lowercase()
    }

    fn name(&self, number: usize) -> String {
        format!("{:?}-{number}", self.steps).to_lowercase()
    }

    fn objects(&self) -> impl Iterator<Item = ExternalSecretBuilder> {
        (0..self.size).map(|number| {
            let object = external_secret(&self.name(number)).in_namespace(NAMESPACE);
            let object = object.cluster_store(STORE).key(&self.key());
            match self.steps {
                Steps::One => object,
                Steps::Two => object.annotated("eso-relay.dev/force", "true"),
            }
        })
    }

    /// Waits until all of its Secrets hold this value.
    async fn hold(&self, client: &Client, value: &str) -> anyhow::Result<()> {
        let secrets = objects(client, Kind::Secret, Some(NAMESPACE));
        let prefix = self.name(0).replace('0', "");
        let value = json!(data_encoding::BASE64.encode(value.as_bytes()));
        let what = format!("the Secrets of {:?}", self.steps);
        wait::until_ok(what, 5 * READY, async || {
            let secrets = secrets.list(&ListParams::default()).await;
            let secrets = secrets.map_err(|error| error.to_string())?;
            let holding = secrets.iter().filter(|secret| {
                let name = secret.metadata.name.as_deref().unwrap_or_default();
                name.starts_with(&prefix) && secret.data["data"]["value"] == value
            });
            match holding.count() {
                count if count == self.size => Ok(()),
                count => Err(format!("{count} of {}", self.size)),
            }
        })
        .await
    }
}
