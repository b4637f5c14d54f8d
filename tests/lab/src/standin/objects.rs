//! All objects and the history of their changes. A watch is nothing but a place in that history.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{
    failure::Failure,
    stored::{Key, Stored},
};
use crate::{cluster::Kind, lock};

/// Changes of one kind that are kept; a watch further behind gets 410.
const HISTORY: usize = 50_000;

#[derive(Default)]
pub(super) struct Objects {
    inner: Mutex<Inner>,
    pulse: watch::Sender<Pulse>,
}

#[derive(Default)]
struct Inner {
    version: u64,
    kinds: HashMap<Kind, Row>,
}

#[derive(Default)]
struct Row {
    objects: BTreeMap<Key, Arc<Stored>>,
    history: VecDeque<Change>,
    /// The newest version whose change is no longer in the history.
    compacted: u64,
}

impl Row {
    fn reaches_back_to(&self, version: u64) -> Result<(), Failure> {
        if version < self.compacted {
            return Err(Failure::expired(version));
        }
        Ok(())
    }
}

/// Wakes the watches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pulse {
    pub(super) version: u64,
    /// How often all watches have been closed.
    pub(super) closings: u64,
}

#[derive(Clone)]
pub(super) struct Change {
    pub(super) kind: ChangeKind,
    pub(super) object: Arc<Stored>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// What a request does to one object.
pub(super) enum Write {
    Keep(Arc<Stored>),
    Put(Stored),
    Remove(Stored),
}

/// One page of a list.
pub(super) struct Page {
    pub(super) objects: Vec<Arc<Stored>>,
    /// Whether there is another after it.
    pub(super) more: bool,
    pub(super) version: u64,
}

impl Objects {
    pub(super) fn get(&self, kind: Kind, key: &Key) -> Option<Arc<Stored>> {
        lock(&self.inner)
            .kinds
            .get(&kind)?
            .objects
            .get(key)
            .cloned()
    }

    /// Of one namespace, or of all. Costs what the page holds, and not what the kind holds.
    pub(super) fn page(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        after: Option<&Key>,
        limit: Option<usize>,
    ) -> Page {
        let inner = lock(&self.inner);
        let first = Key::new(namespace.unwrap_or_default(), "");
        let from = match after {
            Some(key) => Bound::Excluded(key),
            None => Bound::Included(&first),
        };
        let row = inner.kinds.get(&kind);
        let mut selected = row
            .into_iter()
            .flat_map(|row| row.objects.range((from, Bound::Unbounded)))
            .take_while(|(key, _)| key.is_in(namespace))
            .map(|(_, object)| object);
        let limit = limit.unwrap_or(usize::MAX);
        Page {
            objects: selected.by_ref().take(limit).cloned().collect(),
            more: selected.next().is_some(),
            version: inner.version,
        }
    }

    /// The changes after `version`, and the version up to which that is all.
    ///
    /// # Errors
    /// 410 when the history no longer reaches back to `version`.
    pub(super) fn changes(&self, kind: Kind, version: u64) -> Result<(Vec<Change>, u64), Failure> {
        let mut inner = lock(&self.inner);
        let upto = inner.version;
        let row = inner.kinds.entry(kind).or_default();
        row.reaches_back_to(version)?;
        let start = row
            .history
            .partition_point(|change| change.object.version <= version);
        Ok((row.history.range(start..).cloned().collect(), upto))
    }

    /// # Errors
    /// 410 when the history does not.
    pub(super) fn reaches_back_to(&self, kind: Kind, version: u64) -> Result<(), Failure> {
        let mut inner = lock(&self.inner);
        inner
            .kinds
            .entry(kind)
            .or_default()
            .reaches_back_to(version)
    }

    /// Changes one object; nothing else happens meanwhile. `decide` gets the object as it is and the version it will have.
    pub(super) fn write(
        &self,
        kind: Kind,
        key: &Key,
        decide: impl FnOnce(Option<&Arc<Stored>>, u64) -> Result<Write, Failure>,
    ) -> Result<Arc<Stored>, Failure> {
        let mut inner = lock(&self.inner);
        let version = inner.version + 1;
        let row = inner.kinds.entry(kind).or_default();
        let current = row.objects.get(key);
        let existed = current.is_some();
        let (kind, object) = match decide(current, version)? {
            Write::Keep(object) => return Ok(object),
            Write::Put(object) if existed => (ChangeKind::Modified, Arc::new(object)),
            Write::Put(object) => (ChangeKind::Added, Arc::new(object)),
            Write::Remove(object) => (ChangeKind::Deleted, Arc::new(object)),
        };
        if let ChangeKind::Deleted = kind {
            row.objects.remove(key);
        } else {
            row.objects.insert(key.clone(), object.clone());
        }
        row.history.push_back(Change {
            kind,
            object: object.clone(),
        });
        if row.history.len() > HISTORY
            && let Some(forgotten) = row.history.pop_front()
        {
            row.compacted = forgotten.object.version;
        }
        inner.version = version;
        drop(inner);
        self.pulse.send_modify(|pulse| pulse.version = version);
        Ok(object)
    }

    /// Forgets the whole history; every version handed out before is too old.
    pub(super) fn expire(&self) {
        let mut inner = lock(&self.inner);
        inner.version += 1;
        let version = inner.version;
        for kind in Kind::ALL {
            let row = inner.kinds.entry(kind).or_default();
            row.history.clear();
            row.compacted = version;
        }
        drop(inner);
        self.pulse.send_modify(|pulse| pulse.version = version);
    }

    pub(super) fn close_watches(&self) {
        self.pulse.send_modify(|pulse| pulse.closings += 1);
    }

    pub(super) fn pulse(&self) -> watch::Receiver<Pulse> {
        self.pulse.subscribe()
    }
}
