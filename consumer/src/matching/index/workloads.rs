//! Workloads: which read what ESO writes for an ExternalSecret, and which read a store themselves.
//!
//! Only those that have opted in are here. A lookup costs nothing where there are none, and otherwise depends on how many
//! read the changed secret.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use eso_relay::{
    event::{Event, Match},
    stream::Watched,
};
use tracing::warn;

use super::{
    Index, Observation,
    change::{Listing, Writes},
    lookup::{Family, Lookup, Named, Posting, View},
    matching::readings,
    slab::Slab,
};
use crate::{
    matching::{
        provider::{Query, Reading, RemoteRef},
        workload::{By, Patterns, Read, StoreReference, Takes, ValuesRef, Workload},
    },
    object::{ObjectKind, ObjectRef, Uid, WorkloadState},
};

#[derive(Debug, Default)]
pub(super) struct Workloads {
    entries: Slab<Entry>,
    ids: HashMap<ObjectRef, u32>,
    namespaces: HashMap<Box<str>, Readers>,
    /// Their references to stores: the store of a posting is the place of the reference among those of its workload.
    lookup: Lookup,
    /// What ESO writes for ExternalSecrets, by object; most write a Secret of their own name and are not here.
    writes: HashMap<u32, Writes>,
    /// Malformed fields that were logged.
    problems: HashMap<ObjectRef, Vec<String>>,
}

#[derive(Debug)]
struct Entry {
    target: ObjectRef,
    uid: Option<Uid>,
    state: WorkloadState,
    reads: Vec<Read>,
    patterns: Option<Arc<Patterns>>,
    references: Box<[Reference]>,
    /// The generation of the list that it was last part of.
    seen: u64,
}

#[derive(Debug)]
struct Reference {
    view: View,
    any: View,
    key: Box<str>,
    takes: Takes,
}

/// The workloads of a namespace.
#[derive(Debug, Default)]
struct Readers {
    of: HashMap<ValuesRef, BTreeMap<u32, By>>,
    by_pattern: BTreeSet<u32>,
}

impl Workloads {
    pub(super) fn uid(&self, target: &ObjectRef) -> Option<Uid> {
        self.entries.get(*self.ids.get(target)?)?.uid
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    #[cfg(test)]
    pub(super) fn holds_nothing(&self) -> bool {
        self.is_empty()
            && self.entries.len() == 0
            && self.namespaces.is_empty()
            && self.lookup.is_empty()
            && self.writes.is_empty()
            && self.problems.is_empty()
    }

    /// `None`: a Secret of its own name.
    pub(super) fn put_writes(&mut self, object: u32, writes: Option<Writes>) {
        match writes {
            Some(writes) => self.writes.insert(object, writes),
            None => self.writes.remove(&object),
        };
    }

    /// Whether it has the references that it had.
    fn reads_the_same(&self, workload: &Workload) -> bool {
        let id = self.ids.get(&workload.target);
        let old = id.and_then(|id| self.entries.get(*id));
        let old = old.map_or(&[][..], |entry| &entry.references);
        let same = |(old, new): (&Reference, &StoreReference)| {
            old.view.backend() == Some(&new.backend)
                && *old.key == *new.key
                && old.takes == new.takes
        };
        old.len() == workload.references.len() && old.iter().zip(&workload.references).all(same)
    }

    fn put(&mut self, workload: Workload, seen: u64) {
        let Workload {
            target,
            uid,
            state,
            reads,
            patterns,
            references,
            problems,
        } = workload;
        self.remove(&target);
        if !problems.is_empty() {
            self.problems.insert(target.clone(), problems);
        }
        let entry = Entry {
            target: target.clone(),
            uid,
            state,
            reads,
            patterns,
            references: references.into_iter().map(Reference::new).collect(),
            seen,
        };
        let id = self.entries.insert(entry);
        self.ids.insert(target, id);
        self.link(id);
    }

    fn link(&mut self, id: u32) {
        let Some(entry) = self.entries.get(id) else {
            return;
        };
        if entry.patterns.is_some() || !entry.reads.is_empty() {
            let namespace = entry.target.namespace().into();
            let readers = self.namespaces.entry(namespace).or_default();
            for Read { values, by } in &entry.reads {
                readers
                    .of
                    .entry(values.clone())
                    .or_default()
                    .insert(id, *by);
            }
            if entry.patterns.is_some() {
                readers.by_pattern.insert(id);
            }
        }
        for (store, reference) in (0..).zip(&entry.references) {
            let posting = Posting { object: id, store };
            self.lookup.add(&reference.view, reference.named(), posting);
            self.lookup.add(&reference.any, reference.named(), posting);
        }
    }

    fn unlink(&mut self, id: u32, entry: &Entry) {
        if let Some(readers) = self.namespaces.get_mut(entry.target.namespace()) {
            readers.by_pattern.remove(&id);
            for Read { values, .. } in &entry.reads {
                if let Some(of) = readers.of.get_mut(values) {
                    of.remove(&id);
                    if of.is_empty() {
                        readers.of.remove(values);
                    }
                }
            }
            if readers.of.is_empty() && readers.by_pattern.is_empty() {
                self.namespaces.remove(entry.target.namespace());
            }
        }
        for (store, reference) in (0..).zip(&entry.references) {
            let posting = Posting { object: id, store };
            self.lookup
                .remove(&reference.view, reference.named(), posting);
            self.lookup
                .remove(&reference.any, reference.named(), posting);
        }
    }

    fn remove(&mut self, target: &ObjectRef) -> bool {
        self.problems.remove(target);
        let Some(id) = self.ids.remove(target) else {
            return false;
        };
        if let Some(entry) = self.entries.remove(id) {
            self.unlink(id, &entry);
        }
        true
    }

    fn missed(&self, listing: &Listing, since: u64) -> Vec<ObjectRef> {
        let missed = self.entries.iter().map(|(_, entry)| entry);
        let missed = missed.filter(|entry| entry.seen < since && listing.holds(&entry.target));
        missed.map(|entry| entry.target.clone()).collect()
    }

    /// Those that must see a new value of what ESO writes for the object.
    pub(super) fn readers(&self, object: u32, target: &ObjectRef) -> Vec<u32> {
        let readers = self.namespaces.get(target.namespace());
        let writes = matches!(
            target.kind(),
            ObjectKind::ExternalSecret | ObjectKind::KesExternalSecret
        );
        let Some(readers) = readers.filter(|_| writes) else {
            return Vec::new();
        };
        let own = || Writes::own_name(target);
        let writes = self.writes.get(&object).cloned().unwrap_or_else(own);
        let Some(values) = &writes.values else {
            return Vec::new();
        };
        let named = readers.of.get(values).into_iter().flatten();
        let named = named.filter(|(_, by)| match by {
            By::Own => true,
            By::Reloader => !writes.ignored,
            By::ReloaderSearch => !writes.ignored && writes.matched,
        });
        let mut found: Vec<u32> = named.map(|(id, _)| *id).collect();
        let fits = |id: &u32| {
            let patterns = self
                .entries
                .get(*id)
                .and_then(|entry| entry.patterns.as_ref());
            patterns.is_some_and(|patterns| patterns.name(values))
        };
        if !writes.ignored {
            found.extend(readers.by_pattern.iter().copied().filter(fits));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Those with a reference to a secret of the event, within its reach; with what the reference takes. A workload may
    /// be found more than once.
    pub(super) fn reading(&self, event: &Event, mut found: impl FnMut(u32, Takes)) {
        for (family, query) in &readings(event) {
            if let Match::Exact(_) = &event.matches {
                self.lookup
                    .candidates(family, query, |Posting { object, store }| {
                        let entry = self.entries.get(object);
                        let reference =
                            entry.and_then(|entry| entry.references.get(store as usize));
                        let entry = entry.zip(reference);
                        if let Some((entry, reference)) = entry
                            && reference.is_meant(family, query, event)
                            && entry.is_within(event)
                        {
                            found(object, reference.takes);
                        }
                    });
                continue;
            }
            // Only for a restart that was asked for.
            for (id, entry) in self
                .entries
                .iter()
                .filter(|(_, entry)| entry.is_within(event))
            {
                for reference in &entry.references {
                    if reference.is_meant(family, query, event) {
                        found(id, reference.takes);
                    }
                }
            }
        }
    }

    /// What each workload from this id on reads, as in [`super::watch_list`].
    pub(super) fn watched(
        &self,
        from: u32,
    ) -> impl Iterator<Item = (u32, impl Iterator<Item = Watched>)> {
        self.entries.slots(from).map(|(id, entry)| {
            let references = entry.into_iter().flat_map(|entry| &entry.references);
            (id, references.filter_map(Reference::watched))
        })
    }

    pub(super) fn target(&self, id: u32) -> Option<&ObjectRef> {
        Some(&self.entries.get(id)?.target)
    }
}

impl Entry {
    /// A reference goes through no store of ESO, so an event that is for some stores does not reach it.
    fn is_within(&self, event: &Event) -> bool {
        event.target.as_ref().is_none_or(|reach| {
            reach.stores.is_empty() && reach.allows_namespace(self.target.namespace())
        })
    }
}

impl Reference {
    fn new(reference: StoreReference) -> Self {
        let view = View::of_store(Some(reference.backend));
        Self {
            any: view.of_any_provider(),
            view,
            key: reference.key,
            takes: reference.takes,
        }
    }

    /// The secret that it reads, if a poller can watch it.
    fn watched(&self) -> Option<Watched> {
        let newest = self.takes == Takes::Newest;
        self.view
            .backend()
            .filter(|_| newest)?
            .watched(&self.key, None)
    }

    fn named(&self) -> Named<'_> {
        Named::Key(RemoteRef::of_key(&self.key))
    }

    fn is_meant(&self, family: &Family, query: &Query<'_>, event: &Event) -> bool {
        let view = match family {
            Family::Any => &self.any,
            family if self.view.family == *family => &self.view,
            _ => return false,
        };
        let (rules, remote) = (view.rules(), RemoteRef::of_key(&self.key));
        let reading = Reading::Key(remote);
        if self.takes == Takes::Written {
            let same = |theirs: &String| theirs.trim_matches('/') == self.key.trim_matches('/');
            return matches!(&event.matches, Match::Exact(keys) if keys.as_slice().iter().any(same))
                && rules.reaches(&reading, query);
        }
        match &event.matches {
            Match::Exact(_) => rules.reads(remote, query) && rules.reaches(&reading, query),
            Match::Prefix(_) => rules.is_below(&reading, query) && rules.reaches(&reading, query),
            Match::Scope => rules.reaches(&reading, query),
            Match::All => true,
        }
    }
}

impl Index {
    pub(super) fn put_workload(&mut self, workload: Workload) -> Observation {
        let target = workload.target.clone();
        let problems = &workload.problems;
        if !problems.is_empty() && self.workloads.problems.get(&target) != Some(problems) {
            warn!(object = %target, ?problems, "ignoring malformed fields of this workload");
        }
        let state = workload.may_restart().then(|| workload.state.clone());
        // Most changes are the controller's own, to the status.
        if !self.workloads.reads_the_same(&workload) {
            self.revision += 1;
        }
        self.workloads.put(workload, self.generation);
        Observation::Workload {
            workload: target,
            state,
        }
    }

    pub(super) fn remove_workload(&mut self, target: ObjectRef) -> Option<Observation> {
        let known = self.workloads.remove(&target);
        self.revision += u64::from(known);
        known.then_some(Observation::Workload {
            workload: target,
            state: None,
        })
    }

    pub(super) fn sweep_workloads(&mut self, listing: &Listing, since: u64) -> Vec<Observation> {
        let missed = self.workloads.missed(listing, since).into_iter();
        missed
            .filter_map(|target| self.remove_workload(target))
            .collect()
    }

    /// The workload as the watch has shown it last.
    pub fn workload(&self, target: &ObjectRef) -> Option<&WorkloadState> {
        let id = self.workloads.ids.get(target)?;
        Some(&self.workloads.entries.get(*id)?.state)
    }
}
