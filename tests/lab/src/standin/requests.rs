//! What was asked of the API: counts, and every refresh that was patched.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Instant,
};

use serde_json::{Map, Value};

use super::{
    call::{Call, Verb},
    read,
    stored::Key,
};
use crate::{
    cluster::{Kind, REFRESH},
    lock,
};

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answered: BTreeMap<(Verb, Kind, u16), u64>,
    patches: HashMap<Key, Vec<PatchSeen>>,
    in_flight: HashMap<Key, usize>,
    most_in_flight: HashMap<Key, usize>,
}

/// An accepted patch of the refresh annotation of an ExternalSecret.
#[derive(Debug, Clone)]
pub struct PatchSeen {
    pub value: String,
    pub field_manager: Option<String>,
    pub at: Instant,
    /// False when the object was so already.
    pub changed: bool,
}

impl Requests {
    /// Answered requests, whatever their answer.
    pub fn count(&self, verb: Verb, kind: Kind) -> u64 {
        let inner = lock(&self.0);
        let of_it = inner
            .answered
            .range((verb, kind, 0)..=(verb, kind, u16::MAX));
        of_it.map(|(_, count)| count).sum()
    }

    /// Requests answered with this HTTP status.
    pub fn count_of(&self, verb: Verb, kind: Kind, code: u16) -> u64 {
        let count = lock(&self.0).answered.get(&(verb, kind, code)).copied();
        count.unwrap_or_default()
    }

    /// The patches of one ExternalSecret, oldest first.
    pub fn patches(&self, namespace: &str, name: &str) -> Vec<PatchSeen> {
        let key = Key::new(namespace, name);
        lock(&self.0).patches.get(&key).cloned().unwrap_or_default()
    }

    /// The most patches of one ExternalSecret that were under way at once. A patch whose client has
    /// hung up counts until the server notices.
    pub fn most_in_flight(&self, namespace: &str, name: &str) -> usize {
        let most = lock(&self.0)
            .most_in_flight
            .get(&Key::new(namespace, name))
            .copied();
        most.unwrap_or_default()
    }

    /// The same, of all ExternalSecrets.
    pub fn most_in_flight_of_any(&self) -> usize {
        let inner = lock(&self.0);
        inner
            .most_in_flight
            .values()
            .copied()
            .max()
            .unwrap_or_default()
    }

    /// A request is under way until what this returns is dropped.
    pub(super) fn begin(&self, call: &Call) -> Option<InFlight> {
        if (call.verb, call.kind, call.status) != (Verb::Patch, Kind::ExternalSecret, false) {
            return None;
        }
        let key = read::key(call);
        let mut inner = lock(&self.0);
        let now = inner.in_flight.entry(key.clone()).or_default();
        *now += 1;
        let now = *now;
        let most = inner.most_in_flight.entry(key.clone()).or_default();
        *most = now.max(*most);
        Some(InFlight {
            requests: self.clone(),
            key,
        })
    }

    pub(super) fn answered(&self, call: &Call, code: u16) {
        let mut inner = lock(&self.0);
        *inner
            .answered
            .entry((call.verb, call.kind, code))
            .or_default() += 1;
    }

    pub(super) fn patched(&self, call: &Call, patch: &Map<String, Value>, changed: bool) {
        let value = patch
            .get("metadata")
            .map(|metadata| &metadata["annotations"][REFRESH]);
        if let (Kind::ExternalSecret, Some(value)) = (call.kind, value.and_then(Value::as_str)) {
            let seen = PatchSeen {
                value: value.to_owned(),
                field_manager: call.query.get("fieldManager").cloned(),
                at: Instant::now(),
                changed,
            };
            lock(&self.0)
                .patches
                .entry(read::key(call))
                .or_default()
                .push(seen);
        }
    }
}

pub(super) struct InFlight {
    requests: Requests,
    key: Key,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut inner = lock(&self.requests.0);
        if let Some(now) = inner.in_flight.get_mut(&self.key) {
            *now -= 1;
            if *now == 0 {
                inner.in_flight.remove(&self.key);
            }
        }
    }
}
