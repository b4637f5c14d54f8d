//! Each change of an object begins a new poller, which decides once when to poll.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use eso_relay::command::clock;
use futures::StreamExt;
use jiff::Timestamp;
use kube::{
    Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{KesBuilder, Polls};
use crate::{
    cluster::{Kind, objects, write_secret},
    lock,
    standin::SecretValues,
};

pub(super) async fn run(client: Client, values: SecretValues, how: KesBuilder, polls: Polls) {
    let all = objects(&client, Kind::KesExternalSecret, None);
    let mut events = watcher(all, watcher::Config::default())
        .default_backoff()
        .boxed();
    let mut pollers = HashMap::new();
    let (due, mut polling) = mpsc::unbounded_channel();
    // A new poller does not end a poll that has begun.
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Apply(object) | Event::InitApply(object))) if how.manages(&object) => {
                    let (client, interval, due) = (client.clone(), how.interval, due.clone());
                    let id = object.uid();
                    let poller = tokio::spawn(async move {
                        if wait_until_due(&client, &object, interval).await {
                            due.send(object).ok();
                        }
                    });
                    pollers.insert(id, AbortOnDropHandle::new(poller));
                }
                Some(Ok(Event::Delete(object))) => drop(pollers.remove(&object.uid())),
                Some(_) => {}
                None => return,
            },
            Some(object) = polling.recv() => {
                let (client, values, delay) = (client.clone(), values.clone(), how.delay);
                polls.count(&object);
                under_way.spawn(async move { poll(&client, &values, delay, &object).await });
            }
            Some(_) = under_way.join_next() => {}
        }
    }
}

impl KesBuilder {
    fn manages(&self, object: &DynamicObject) -> bool {
        self.instance.as_deref() == object.data["spec"]["controllerId"].as_str()
    }
}

impl Polls {
    fn count(&self, object: &DynamicObject) {
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        *lock(&self.0).entry(key).or_default() += 1;
    }
}

/// KES's rule; false: never, until the object changes again.
async fn wait_until_due(
    client: &Client,
    object: &DynamicObject,
    interval: Option<Duration>,
) -> bool {
    let api = objects(
        client,
        Kind::KesExternalSecret,
        object.metadata.namespace.as_deref(),
    );
    let Ok(current) = api.get(&object.name_any()).await else {
        return false;
    };
    let status = &current.data["status"];
    let observed = status["observedGeneration"].as_f64().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "generations are small")]
    let generation = object.metadata.generation.unwrap_or_default() as f64;
    if observed < generation {
        return true;
    }
    let Some(interval) = interval else {
        return false;
    };
    let last: Option<Timestamp> = status["lastSync"].as_str().and_then(|at| at.parse().ok());
    let elapsed = last.map(|last| clock().duration_since(last));
    // A time in the future polls at once too.
    let elapsed = elapsed.map_or(interval, |elapsed| elapsed.try_into().unwrap_or(interval));
    sleep(interval.saturating_sub(elapsed)).await;
    true
}

async fn poll(client: &Client, values: &SecretValues, delay: Duration, object: &DynamicObject) {
    let read = read(values, &object.data["spec"]);
    sleep(delay).await;
    let status = match read {
        Ok(values) => {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            match write_secret(client, &namespace, &name, &values).await {
                Ok(()) => "SUCCESS".to_owned(),
                Err(error) => format!("ERROR, {error}"),
            }
        }
        Err(error) => format!("ERROR, {error}"),
    };
    // A conflict is ignored: the change that caused it has begun a new poller.
    if let Err(error) = write_status(client, object, &status).await {
        tracing::debug!(%error, "the stand-in KES could not write a status");
    }
}

fn read(values: &SecretValues, spec: &Value) -> Result<BTreeMap<String, String>, String> {
    let mut data = BTreeMap::new();
    for entry in spec["data"].as_array().into_iter().flatten() {
        let key = entry["key"].as_str().unwrap_or_default();
        let name = entry["name"].as_str().unwrap_or(key);
        let value = values
            .get(key)
            .ok_or_else(|| format!("{key} does not exist"))?;
        data.insert(name.to_owned(), value);
    }
    Ok(data)
}

/// With the version that the watch gave, as KES's PUT.
async fn write_status(client: &Client, object: &DynamicObject, status: &str) -> kube::Result<()> {
    let metadata = &object.metadata;
    let patch = json!({
        "metadata": { "resourceVersion": metadata.resource_version },
        "status": {
            "lastSync": format!("{:.3}", clock()),
            "observedGeneration": metadata.generation,
            "status": status,
        },
    });
    objects(
        client,
        Kind::KesExternalSecret,
        metadata.namespace.as_deref(),
    )
    .patch_status(
        &object.name_any(),
        &PatchParams::default(),
        &Patch::Merge(patch),
    )
    .await
    .map(drop)
}
