//! ClusterExternalSecrets and what they own.
//!
//! An annotation of a child's own would be taken away again, which refreshes it once more; so the
//! owner's is changed, once for all its children (ESO `clusterexternalsecret_controller.go`). Children
//! whose owner is not known, for want of permission, are refreshed themselves.

use std::collections::HashMap;

use crate::{target::Target, value::Value};

#[derive(Debug, Default)]
pub(super) struct Owners {
    present: HashMap<Target, Owner>,
    /// By child. Few have one.
    of: HashMap<u32, Target>,
}

#[derive(Debug)]
struct Owner {
    value: Option<Value>,
    /// The listing that it was last part of.
    seen: u64,
}

impl Owners {
    /// Notes that the owner is there.
    pub(super) fn appear(&mut self, owner: Target, value: Option<Value>, seen: u64) {
        self.present.insert(owner, Owner { value, seen });
    }

    /// Notes that it is not there any more; whether it was.
    pub(super) fn vanish(&mut self, owner: &Target) -> bool {
        self.present.remove(owner).is_some()
    }

    /// Those that were not seen since.
    pub(super) fn missed(&self, since: u64) -> Vec<Target> {
        let missed = self.present.iter().filter(|(_, owner)| owner.seen < since);
        missed.map(|(target, _)| target.clone()).collect()
    }

    pub(super) fn carried(&self, owner: &Target) -> Option<Value> {
        self.present.get(owner)?.value
    }

    pub(super) fn put(&mut self, child: u32, owner: Option<Target>) {
        match owner {
            Some(owner) => drop(self.of.insert(child, owner)),
            None => self.remove(child),
        }
    }

    pub(super) fn remove(&mut self, child: u32) {
        self.of.remove(&child);
    }

    pub(super) fn children(&self, owner: &Target) -> impl Iterator<Item = u32> {
        let children = self.of.iter().filter(move |(_, of)| *of == owner);
        children.map(|(child, _)| *child)
    }

    /// Whose annotation refreshes the child, if not its own.
    pub(super) fn of(&self, child: u32) -> Option<&Target> {
        let owner = self.of.get(&child)?;
        self.present.contains_key(owner).then_some(owner)
    }
}
