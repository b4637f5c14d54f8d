//! A stand-in for the controllers of Deployments, StatefulSets, DaemonSets and Argo's Rollouts: it starts no pod, and
//! says in the status how far a rollout has come.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, stream::select_all};
use kube::{
    Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::FAILS;
use crate::{
    cluster::{Kind, objects},
    lock,
};

/// Nodes of the cluster, as DaemonSets count them.
const NODES: u64 = 2;
/// Before what the API refused is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Running stand-ins; they stop when dropped.
pub struct Controllers {
    seen: Seen,
    _running: AbortOnDropHandle<()>,
}

/// How they are to work.
#[derive(Debug, Clone)]
#[must_use]
pub struct ControllersBuilder {
    delay: Duration,
    rollouts: bool,
}

impl Controllers {
    /// Rollouts are done at once, and Argo's are left alone.
    pub fn builder() -> ControllersBuilder {
        ControllersBuilder {
            delay: Duration::ZERO,
            rollouts: false,
        }
    }

    /// How often a workload was rolled out again since it is there.
    pub fn rollouts(&self, kind: Kind, namespace: &str, name: &str) -> u64 {
        let key = (kind, namespace.to_owned(), name.to_owned());
        let counts = lock(&self.seen.0);
        counts.rollouts.get(&key).copied().unwrap_or_default()
    }

    /// The most workloads that were rolled out again at once.
    pub fn most_at_once(&self) -> usize {
        lock(&self.seen.0).most
    }
}

impl ControllersBuilder {
    /// How long each rollout takes.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Argo's Rollouts too; they must be served.
    pub fn with_rollouts(mut self) -> Self {
        self.rollouts = true;
        self
    }

    pub fn start(self, client: &Client) -> Controllers {
        let seen = Seen::default();
        let run = run(client.clone(), self, seen.clone());
        Controllers {
            seen,
            _running: AbortOnDropHandle::new(tokio::spawn(run)),
        }
    }
}

type Key = (Kind, String, String);

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    rollouts: HashMap<Key, u64>,
    now: usize,
    most: usize,
}

impl Seen {
    /// One more is rolled out until what this returns is dropped.
    fn begin(&self, key: &Key) -> UnderWay {
        let mut counts = lock(&self.0);
        *counts.rollouts.entry(key.clone()).or_default() += 1;
        counts.now += 1;
        counts.most = counts.most.max(counts.now);
        UnderWay(self.clone())
    }
}

struct UnderWay(Seen);

impl Drop for UnderWay {
    fn drop(&mut self) {
        lock(&self.0.0).now -= 1;
    }
}

/// A rollout under way, of this generation.
struct Rolling {
    generation: i64,
    _task: AbortOnDropHandle<()>,
}

async fn run(client: Client, how: ControllersBuilder, seen: Seen) {
    let mut kinds = vec![Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];
    kinds.extend(how.rollouts.then_some(Kind::Rollout));
    let mut events = select_all(kinds.into_iter().map(|kind| {
        let api = objects(&client, kind, None);
        let events = watcher(api, watcher::Config::default()).default_backoff();
        events.map(move |event| (kind, event)).boxed()
    }));
    let mut rolling: HashMap<Key, Rolling> = HashMap::new();
    while let Some((kind, event)) = events.next().await {
        let (object, deleted) = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => (object, false),
            Ok(Event::Delete(object)) => (object, true),
            _ => continue,
        };
        let namespace = object.namespace().unwrap_or_default();
        let key = (kind, namespace, object.name_any());
        if deleted {
            rolling.remove(&key);
            continue;
        }
        let generation = object.metadata.generation.unwrap_or_default();
        let at_work = rolling.get(&key).map(|rolling| rolling.generation);
        if observed(&object) >= generation || at_work == Some(generation) {
            continue;
        }
        let again = observed(&object) > 0;
        let under_way = again.then(|| seen.begin(&key));
        let rollout = Rollout {
            client: client.clone(),
            kind,
            object,
            again,
        };
        let delay = how.delay;
        // The rollout before it, if there is one, is not finished any more.
        let task = tokio::spawn(async move { rollout.run(delay, under_way).await });
        let rollout = Rolling {
            generation,
            _task: AbortOnDropHandle::new(task),
        };
        rolling.insert(key, rollout);
    }
}

/// Argo writes it as text.
fn observed(object: &DynamicObject) -> i64 {
    let observed = &object.data["status"]["observedGeneration"];
    let text = observed.as_str().and_then(|text| text.parse().ok());
    text.or(observed.as_i64()).unwrap_or_default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No pod has the new template yet.
    Begun,
    Done,
    Failed,
}

struct Rollout {
    client: Client,
    kind: Kind,
    /// As it was when the rollout began.
    object: DynamicObject,
    /// Whether there was one before.
    again: bool,
}

impl Rollout {
    async fn run(&self, delay: Duration, under_way: Option<UnderWay>) {
        self.write(Stage::Begun).await;
        let spec = &self.object.data["spec"];
        let on_delete = spec["updateStrategy"]["type"] == "OnDelete";
        if spec["paused"] == true || (on_delete && self.again) {
            return;
        }
        if self.replicas() > 0 {
            tokio::time::sleep(delay).await;
        }
        // Before its end can be seen, and the next one begin.
        drop(under_way);
        let fails = self.again && self.object.annotations().contains_key(FAILS);
        self.write(if fails { Stage::Failed } else { Stage::Done })
            .await;
    }

    fn replicas(&self) -> u64 {
        match self.kind {
            Kind::DaemonSet => NODES,
            _ => self.object.data["spec"]["replicas"].as_u64().unwrap_or(1),
        }
    }

    /// Until the API takes it, or the object is gone.
    async fn write(&self, stage: Stage) {
        let namespace = self.object.namespace().unwrap_or_default();
        let api = objects(&self.client, self.kind, Some(&namespace));
        let patch = Patch::Merge(json!({ "status": self.status(stage) }));
        let (name, params) = (self.object.name_any(), PatchParams::default());
        while let Err(error) = api.patch_status(&name, &params, &patch).await {
            if matches!(&error, kube::Error::Api(status) if status.code == 404) {
                return;
            }
            tracing::debug!(%error, "the stand-in controller tries again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn status(&self, stage: Stage) -> Value {
        let all = self.replicas();
        let before = &self.object.data["status"];
        let before = |field: &str| before[field].as_u64().unwrap_or_default().min(all);
        let generation = self.object.metadata.generation;
        let updated = match stage {
            Stage::Begun => 0,
            Stage::Done => all,
            Stage::Failed => all.min(1),
        };
        if self.kind == Kind::DaemonSet {
            let available = match stage {
                Stage::Done => all,
                Stage::Begun | Stage::Failed => before("numberAvailable"),
            };
            return json!({
                "observedGeneration": generation,
                "desiredNumberScheduled": all,
                "currentNumberScheduled": all,
                "updatedNumberScheduled": updated,
                "numberAvailable": available,
                "numberReady": available,
            });
        }
        let available = match stage {
            Stage::Done => all,
            Stage::Begun | Stage::Failed => before("availableReplicas"),
        };
        let mut status = json!({
            "observedGeneration": generation,
            "replicas": all,
            "updatedReplicas": updated,
            "readyReplicas": available,
            "availableReplicas": available,
        });
        if self.kind != Kind::StatefulSet {
            let (progressing, reason) = match stage {
                Stage::Begun => ("True", "ReplicaSetUpdated"),
                Stage::Done => ("True", "NewReplicaSetAvailable"),
                Stage::Failed => ("False", "ProgressDeadlineExceeded"),
            };
            let condition =
                json!({ "type": "Progressing", "status": progressing, "reason": reason });
            status["conditions"] = json!([condition]);
        }
        if self.kind == Kind::Rollout {
            status["observedGeneration"] = generation.unwrap_or_default().to_string().into();
            if stage == Stage::Done {
                status["restartedAt"] = self.object.data["spec"]["restartAt"].clone();
            }
        }
        status
    }
}
