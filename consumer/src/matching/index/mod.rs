//! The index of all objects by the keys that they read.
//!
//! One task owns it. It applies each [`Change`] of the cluster, and [`Index::matching`] finds the objects that an
//! event matches, without a request to the API and without a scan.

mod change;
mod details;
mod find;
mod gate;
mod linking;
mod lists;
mod lookup;
mod matching;
mod owners;
mod permits;
mod pushes;
mod restarts;
mod shown;
mod slab;
mod stats;
mod stores;
mod templates;
mod watch_list;
mod why;
mod workloads;

use std::collections::{HashMap, HashSet};

use tracing::warn;

pub(crate) use self::shown::Shown;
pub use self::{
    change::{
        Admits, Admitted, Change, ExternalSecret, FindSpec, Form, Listing, Observation, Reference,
        Store, StoreRef, Writes,
    },
    matching::{Among, Matched, Skipped},
    restarts::{MatchedWorkload, Unrestarted},
    stats::Stats,
    watch_list::{Part, Place},
    why::{Compared, Differs, Reads},
};
use self::{
    details::Details,
    find::Finds,
    gate::{Gate, Namespaces},
    lookup::{Lookup, View},
    owners::{Owner, Owners},
    pushes::Pushes,
    slab::Slab,
    stores::Stores,
    templates::Templates,
    workloads::Workloads,
};
use crate::{
    matching::tenancy::Claims,
    object::{ObjectKind, ObjectRef, RefreshMark, Refreshable, Steps, SyncState, Uid},
};

/// Every ExternalSecret by the keys that it reads.
#[derive(Debug, Default)]
pub struct Index {
    objects: Slab<Object>,
    ids: HashMap<ObjectRef, u32>,
    stores: Stores,
    finds: Finds,
    lookup: Lookup,
    /// Counts the lists; an object keeps the number of the list in which it was last seen.
    generation: u64,
    /// The lists in progress, each with its generation.
    open: HashMap<Listing, u64>,
    details: Details,
    templates: Templates,
    pushes: Pushes,
    owners: Owners,
    namespaces: Namespaces,
    workloads: Workloads,
    /// Of the objects that their namespace must permit.
    claims: HashMap<u32, Box<Claims>>,
    /// Those with `spec.syncWindows`.
    sync_windows: HashSet<u32>,
    /// Malformed fields that were logged, by object: once, not at every status update.
    problems: HashMap<ObjectRef, Vec<String>>,
    references: usize,
    synced: bool,
    /// [`Self::revision`].
    revision: u64,
}

#[derive(Debug)]
struct Object {
    target: ObjectRef,
    shown: Shown,
    mirrored: Option<RefreshMark>,
    uid: Option<Uid>,
    refreshable: Refreshable,
    forced: bool,
    seen: u64,
    /// The keys in full, because a change of a store indexes them again.
    references: Box<[Entry]>,
}

#[derive(Debug)]
struct Entry {
    store: u32,
    form: lookup::Form,
}

impl Index {
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies a change; returns what the engine must know.
    pub fn apply(&mut self, change: Change) -> Vec<Observation> {
        match change {
            Change::Applied(object) => self.put(object),
            Change::Deleted(target) => self.remove(&target).into_iter().collect(),
            Change::StoreApplied(store) => {
                let gate = Gate::new(store.admits, &store.name);
                let id = self.stores.appear(store.name, self.generation);
                self.reread(id, View::of_store(store.backend), gate)
            }
            Change::StoreDeleted(name) => {
                self.remove_store(&name);
                Vec::new()
            }
            Change::OwnerApplied { owner, value, uid } => {
                let seen = self.generation;
                self.owners
                    .appear(owner.clone(), Owner { value, uid, seen });
                Vec::from_iter(self.owner_carries(&owner))
            }
            Change::OwnerDeleted(owner) => self.remove_owner(owner).into_iter().collect(),
            Change::NamespaceApplied {
                name,
                labels,
                permitted,
            } => self.put_namespace(&name, labels, permitted),
            Change::NamespaceDeleted(name) => {
                self.namespaces.vanish(&name);
                Vec::new()
            }
            Change::WorkloadApplied(workload) => vec![self.put_workload(workload)],
            Change::WorkloadGone(target) => self.remove_workload(target).into_iter().collect(),
            Change::ListBegins(listing) => {
                self.begin(listing);
                Vec::new()
            }
            Change::ListEnds(listing) => self.sweep(&listing),
            Change::ListDenied(listing) => self.deny(&listing),
            Change::AccessRestored(_) => Vec::new(),
            Change::Synced => {
                self.synced = true;
                self.warn_of_unknown_namespaces();
                Vec::new()
            }
        }
    }

    /// The object's mark and sync state, as the watch has shown them last.
    pub fn carried(&self, target: &ObjectRef) -> (Option<RefreshMark>, SyncState) {
        if target.is_owner() {
            let value = self.owners.get(target).and_then(|owner| owner.value);
            return (value, self.sync_of_owned(target));
        }
        let object = self.ids.get(target).and_then(|id| self.objects.get(*id));
        object.map_or_else(Default::default, |object| {
            (object.shown.carried(), object.shown.sync)
        })
    }

    /// Whether the object is refreshed in one step, which is enough for most; or in two, where another controller may
    /// remove the annotation before ESO looks, or where the annotation alone does not make ESO read.
    pub fn steps(&self, target: &ObjectRef) -> Steps {
        if target.kind() == ObjectKind::KesExternalSecret {
            return Steps::Kes;
        }
        let id = self.ids.get(target);
        let object = id.and_then(|id| Some((*id, self.objects.get(*id)?)));
        let needs_two = object.is_some_and(|(id, object)| {
            object.forced || object.shown.loses_values() || self.owners.owns(id)
        });
        if needs_two && target.kind() == ObjectKind::ExternalSecret {
            Steps::Two
        } else {
            Steps::One
        }
    }

    pub fn uid(&self, target: &ObjectRef) -> Option<Uid> {
        match target.kind() {
            ObjectKind::ClusterExternalSecret => self.owners.get(target)?.uid,
            ObjectKind::Workload(_) => self.workloads.uid(target),
            ObjectKind::ExternalSecret | ObjectKind::KesExternalSecret | ObjectKind::PushSecret => {
                self.objects.get(*self.ids.get(target)?)?.uid
            }
        }
    }

    /// The object's malformed fields.
    pub fn problems_of(&self, target: &ObjectRef) -> &[String] {
        self.problems.get(target).map_or(&[], Vec::as_slice)
    }

    /// Whether everything has been listed once. Before that, events would miss objects.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    fn put(&mut self, object: ExternalSecret) -> Vec<Observation> {
        let ExternalSecret {
            target,
            value,
            mirrored,
            sync,
            version,
            uid,
            owner,
            refreshable,
            forced,
            sync_windows,
            references,
            templates,
            writes,
            pushed,
            claims,
            problems,
        } = object;
        self.report(&target, problems);
        let known = self.ids.get(&target).copied();
        let id = known.unwrap_or_else(|| self.insert(&target));
        let was_denied = self.denial(id).is_some();
        // Most changes are ESO's own, to the status.
        let reads_anew = !self.reads_the_same(id, &references);
        if reads_anew {
            self.unlink(id);
            self.link(id, references);
        }
        let reads_anew = self.templates.put(id, templates) || reads_anew;
        self.workloads.put_writes(id, writes);
        if sync_windows {
            self.sync_windows.insert(id);
        } else {
            self.sync_windows.remove(&id);
        }
        if target.kind() == ObjectKind::PushSecret {
            self.pushes.put(id, pushed);
        }
        match claims {
            Some(claims) => drop(self.claims.insert(id, claims)),
            None => drop(self.claims.remove(&id)),
        }
        let reads_anew = reads_anew && self.synced;
        let reads = reads_anew.then(|| Observation::Reads(target.clone()));
        let reads = reads.or_else(|| self.permitted_now(id, was_denied));
        self.owners.put(id, owner);
        let Some(object) = self.objects.get_mut(id) else {
            return Vec::new();
        };
        if object.uid != uid {
            // Another object with the same name.
            object.shown = Shown::default();
        }
        let lost = object.shown.show(value, sync, version);
        let sync = object.shown.sync;
        let was_refreshable = known.is_some() && object.refreshable.refusal().is_none();
        object.mirrored = mirrored;
        object.uid = uid;
        object.refreshable = refreshable;
        object.forced = forced;
        object.seen = self.generation;
        let refused = refreshable.refusal().is_some();
        if refused == was_refreshable {
            self.revision += 1;
        }
        let gone = refused.then(|| Observation::Gone(target.clone()));
        let lost = lost.filter(|_| !refused);
        let lost = lost.map(|value| {
            let target = target.clone();
            Observation::MarkRemoved { target, value }
        });
        // The sync may be the last one, after which the object cannot be refreshed.
        let carries = (!refused || was_refreshable).then_some(Observation::Carries {
            target,
            value,
            sync,
        });
        let owner = self.owners.of(id);
        let owner = owner.and_then(|owner| self.owner_carries(owner));
        let own = carries.into_iter().chain(gone);
        own.chain(owner).chain(reads).chain(lost).collect()
    }

    fn insert(&mut self, target: &ObjectRef) -> u32 {
        let id = self.objects.insert(Object {
            target: target.clone(),
            shown: Shown::default(),
            mirrored: None,
            uid: None,
            refreshable: Refreshable::default(),
            forced: false,
            seen: self.generation,
            references: Box::default(),
        });
        self.ids.insert(target.clone(), id);
        id
    }

    fn remove(&mut self, target: &ObjectRef) -> Option<Observation> {
        self.problems.remove(target);
        let id = self.ids.remove(target)?;
        self.unlink(id);
        self.templates.remove(id);
        self.workloads.put_writes(id, None);
        self.pushes.remove(id);
        self.sync_windows.remove(&id);
        self.claims.remove(&id);
        self.owners.remove(id);
        let object = self.objects.remove(id)?;
        Some(Observation::Gone(object.target))
    }

    fn remove_store(&mut self, name: &StoreRef) {
        if let Some(id) = self.stores.vanish(name) {
            self.reread(id, View::of_store(None), Gate::default());
        }
    }

    fn report(&mut self, target: &ObjectRef, problems: Vec<String>) {
        if problems.is_empty() {
            self.problems.remove(target);
        } else if self.problems.get(target) != Some(&problems) {
            warn!(object = %target, ?problems, "ignoring malformed fields of this ExternalSecret");
            self.problems.insert(target.clone(), problems);
        }
    }
}

#[cfg(test)]
mod tests;
