//! ClusterExternalSecrets and the objects that they own.
//!
//! The controller removes an annotation of a child, perhaps before ESO looks. So the owner's annotation is changed,
//! once for all its children (ESO `clusterexternalsecret_controller.go`). If the owner may not be listed, or if the
//! event may not reach all of its children, they are refreshed themselves, in two steps
//! ([`crate::kubernetes::refresh`]).

use std::collections::{BTreeSet, HashMap};

use super::{Index, Observation};
use crate::object::{ObjectRef, RefreshMark, SyncState, Uid};

#[derive(Debug, Default)]
pub(super) struct Owners {
    present: HashMap<ObjectRef, Owner>,
    /// By child; few objects have an owner.
    of: HashMap<u32, ObjectRef>,
    children: HashMap<ObjectRef, BTreeSet<u32>>,
}

#[derive(Debug)]
pub(super) struct Owner {
    pub(super) value: Option<RefreshMark>,
    pub(super) uid: Option<Uid>,
    /// The generation of the list that it was last part of.
    pub(super) seen: u64,
}

impl Owners {
    /// Adds or updates an owner.
    pub(super) fn appear(&mut self, target: ObjectRef, owner: Owner) {
        self.present.insert(target, owner);
    }

    /// Removes an owner; returns whether it existed.
    pub(super) fn vanish(&mut self, owner: &ObjectRef) -> bool {
        self.present.remove(owner).is_some()
    }

    /// Those that were not listed since.
    pub(super) fn missed(&self, since: u64) -> Vec<ObjectRef> {
        let missed = self.present.iter().filter(|(_, owner)| owner.seen < since);
        missed.map(|(target, _)| target.clone()).collect()
    }

    pub(super) fn get(&self, owner: &ObjectRef) -> Option<&Owner> {
        self.present.get(owner)
    }

    pub(super) fn put(&mut self, child: u32, owner: Option<ObjectRef>) {
        if self.of.get(&child) == owner.as_ref() {
            return;
        }
        self.remove(child);
        if let Some(owner) = owner {
            let children = self.children.entry(owner.clone());
            children.or_default().insert(child);
            self.of.insert(child, owner);
        }
    }

    pub(super) fn remove(&mut self, child: u32) {
        let Some(owner) = self.of.remove(&child) else {
            return;
        };
        if let Some(children) = self.children.get_mut(&owner) {
            children.remove(&child);
            if children.is_empty() {
                self.children.remove(&owner);
            }
        }
    }

    pub(super) fn children(&self, owner: &ObjectRef) -> impl Iterator<Item = u32> {
        let children = self.children.get(owner);
        children.into_iter().flatten().copied()
    }

    /// Whether it has an owner, listed or not.
    pub(super) fn owns(&self, child: u32) -> bool {
        self.of.contains_key(&child)
    }

    pub(super) fn count(&self, owner: &ObjectRef) -> usize {
        self.children.get(owner).map_or(0, BTreeSet::len)
    }

    /// The child's owner, if it is listed.
    pub(super) fn of(&self, child: u32) -> Option<&ObjectRef> {
        let owner = self.of.get(&child)?;
        self.present.contains_key(owner).then_some(owner)
    }
}

impl Index {
    pub(super) fn owner_carries(&self, owner: &ObjectRef) -> Option<Observation> {
        let value = self.owners.get(owner)?.value;
        Some(Observation::Carries {
            target: owner.clone(),
            value,
            sync: self.sync_of_owned(owner),
        })
    }

    /// Synced when everything that it owns carries its mark and is synced.
    pub(super) fn sync_of_owned(&self, owner: &ObjectRef) -> SyncState {
        let value = self.owners.get(owner).and_then(|owner| owner.value);
        let mut all = SyncState::Synced;
        for child in self.owners.children(owner) {
            let Some(child) = self.objects.get(child) else {
                continue;
            };
            let refreshable = child.refreshable.refusal().is_none() && !child.forced;
            match child.shown.sync {
                _ if !refreshable => {}
                SyncState::Failed => all = SyncState::Failed,
                SyncState::Synced | SyncState::Emptied if child.mirrored == value => {}
                SyncState::Synced
                | SyncState::Emptied
                | SyncState::Waiting
                | SyncState::Returned
                | SyncState::Unknown { .. } => {
                    return SyncState::Waiting;
                }
            }
        }
        all
    }

    /// How many objects ESO syncs when the target is refreshed.
    pub fn weight(&self, target: &ObjectRef) -> usize {
        if target.is_owner() {
            self.owners.count(target).max(1)
        } else {
            1
        }
    }

    /// The objects that an owner refreshes.
    pub fn owned(&self, owner: &ObjectRef) -> impl Iterator<Item = &ObjectRef> {
        let children = self.owners.children(owner);
        children.filter_map(|child| Some(&self.objects.get(child)?.target))
    }

    pub(super) fn remove_owner(&mut self, owner: ObjectRef) -> Option<Observation> {
        self.owners
            .vanish(&owner)
            .then_some(Observation::Gone(owner))
    }
}
