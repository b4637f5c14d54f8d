//! Targets that are likely to fail: those whose last patch failed, and those of a namespace whose last result
//! was a fault.
//!
//! A patch that hangs holds its slot until it times out. So all suspects together share a part of every limit,
//! and the others have the rest.

use std::{collections::HashMap, time::Duration};

use super::{Entry, token_bucket::TokenBucket};
use crate::object::ObjectRef;

/// A quarter, and at least one.
fn share(of: usize) -> usize {
    (of / 4).max(1)
}

#[derive(Debug)]
pub(super) struct Suspects {
    /// Each with the target that failed. It is removed with that target, so there are at most as many namespaces
    /// as targets.
    namespaces: HashMap<Box<str>, ObjectRef>,
    in_flight: usize,
    mass_in_flight: usize,
    bucket: Option<TokenBucket>,
}

impl Suspects {
    /// `rate`: the limit for all patches.
    pub(super) fn new(rate: Option<f64>) -> Self {
        Self {
            namespaces: HashMap::new(),
            in_flight: 0,
            mass_in_flight: 0,
            bucket: rate.and_then(|rate| TokenBucket::new(rate / 4.0)),
        }
    }

    pub(super) fn are(&self, entry: &Entry) -> bool {
        entry.failing || self.contains(entry.target.namespace())
    }

    pub(super) fn contains(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace)
    }

    /// The target's patch failed. Returns whether its namespace was not suspect before.
    pub(super) fn add(&mut self, target: &ObjectRef) -> bool {
        let namespace = target.namespace().into();
        self.namespaces.insert(namespace, target.clone()).is_none()
    }

    /// Returns whether the namespace was suspect.
    pub(super) fn clear(&mut self, namespace: &str) -> bool {
        self.namespaces.remove(namespace).is_some()
    }

    /// Returns whether the namespace is removed with the target.
    pub(super) fn forget(&mut self, target: &ObjectRef) -> bool {
        let namespace = target.namespace();
        self.namespaces.get(namespace) == Some(target) && self.clear(namespace)
    }

    pub(super) fn take_namespaces(&mut self) -> impl Iterator<Item = Box<str>> + use<> {
        std::mem::take(&mut self.namespaces).into_keys()
    }

    pub(super) fn started(&mut self, now: Duration, mass: bool) {
        self.in_flight += 1;
        self.mass_in_flight += usize::from(mass);
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now);
        }
    }

    pub(super) fn ended(&mut self, mass: bool) {
        self.in_flight -= 1;
        self.mass_in_flight -= usize::from(mass);
    }

    /// When the next suspect may start, if a slot is free.
    pub(super) fn next(&self, slots: usize) -> Option<Duration> {
        let bucket = self
            .bucket
            .as_ref()
            .map_or(Duration::ZERO, TokenBucket::next);
        (self.in_flight < share(slots)).then_some(bucket)
    }

    /// Whether the next suspect may be mass work.
    pub(super) fn has_mass_room(&self, window: usize) -> bool {
        self.mass_in_flight < share(window)
    }

    #[cfg(test)]
    pub(super) fn namespaces(&self) -> usize {
        self.namespaces.len()
    }
}
