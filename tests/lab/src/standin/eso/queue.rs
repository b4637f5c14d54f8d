//! The work queue: an object waits once, is worked on by one worker at a time, and once more if it changed meanwhile.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::pin,
};

use futures::StreamExt;
use kube::{
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::task::JoinSet;

use super::{
    decide::should_refresh,
    sync::{Outcome, Syncer},
    synced_resource_version,
};
use crate::cluster::{Kind, objects};

type Key = (String, String);

#[derive(Default)]
struct Queue {
    known: HashMap<Key, DynamicObject>,
    waiting: VecDeque<Key>,
    queued: HashSet<Key>,
    active: HashSet<Key>,
}

pub(super) async fn run(syncer: Syncer, workers: usize) {
    let api = objects(&syncer.client, Kind::ExternalSecret, None);
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
    let mut queue = Queue::default();
    let mut working = JoinSet::new();
    loop {
        while working.len() < workers {
            let Some(object) = queue.next() else { break };
            let syncer = syncer.clone();
            working.spawn(async move {
                let outcome = syncer.sync(&object).await;
                (key(&object), outcome)
            });
        }
        tokio::select! {
            Some(event) = events.next() => match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => queue.see(object),
                Ok(Event::Delete(object)) => drop(queue.known.remove(&key(&object))),
                Ok(Event::Init) => queue.known.clear(),
                Ok(Event::InitDone) => {}
                Err(error) => tracing::debug!(%error, "the stand-in ESO goes on watching"),
            },
            Some(Ok((key, outcome))) = working.join_next() => queue.done(key, outcome),
            else => return,
        }
    }
}

impl Queue {
    /// A change of the status alone causes no sync (ESO `shouldEnqueueExternalSecretUpdate`).
    fn see(&mut self, object: DynamicObject) {
        let key = key(&object);
        let version = synced_resource_version(&object.metadata);
        let wanted = should_refresh(&object);
        let before = self.known.insert(key.clone(), object);
        let moved =
            before.is_none_or(|before| synced_resource_version(&before.metadata) != version);
        if wanted && moved {
            self.enqueue(key);
        }
    }

    fn enqueue(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.waiting.push_back(key);
        }
    }

    /// The next object that still wants a refresh and that no worker has.
    fn next(&mut self) -> Option<DynamicObject> {
        for _ in 0..self.waiting.len() {
            let key = self.waiting.pop_front()?;
            if self.active.contains(&key) {
                self.waiting.push_back(key);
                continue;
            }
            self.queued.remove(&key);
            if let Some(object) = self.known.get(&key).filter(|object| should_refresh(object)) {
                self.active.insert(key);
                return Some(object.clone());
            }
        }
        None
    }

    fn done(&mut self, key: Key, outcome: Outcome) {
        self.active.remove(&key);
        match outcome {
            // The watch may lag behind: what was just written counts as seen, unless the watch has
            // shown something newer.
            Outcome::Written { version, status } => {
                if let Some(object) = self.known.get_mut(&key)
                    && object.metadata.resource_version.as_ref() == Some(&version)
                    && let Some(data) = object.data.as_object_mut()
                {
                    data.insert("status".to_owned(), status);
                }
            }
            Outcome::Failed => {}
            Outcome::Again => self.enqueue(key),
        }
    }
}

fn key(object: &DynamicObject) -> Key {
    (
        object.metadata.namespace.clone().unwrap_or_default(),
        object.metadata.name.clone().unwrap_or_default(),
    )
}
