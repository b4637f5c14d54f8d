//! What the objects read from Vault and OpenBao, for the list that pollers watch.
//!
//! Listed is what an event about a new version would refresh, or restart: keys of ExternalSecrets that can be refreshed,
//! and references of workloads. Not a `find`, which names no path; not what a PushSecret writes, since a poller would
//! answer every push; not what is read through an unknown store, or one that is selected by labels.

use eso_relay::stream::Watched;

use super::{Index, Object, lookup::Form};
use crate::object::ObjectKind;

/// How many objects, and about how many paths, one part of the list is made of: it delays the events by less than a
/// millisecond.
const OBJECTS: usize = 1024;
const PATHS: usize = 512;

/// A place in a pass over the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the object of this id.
    Object(u32),
    /// Before the workload of this id, after all objects.
    Workload(u32),
}

impl Place {
    pub const START: Self = Self::Object(0);
}

/// Some of the paths; a path may come more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub paths: Vec<Watched>,
    /// `None` for the last one.
    pub next: Option<Place>,
}

impl Index {
    /// Differs from before if anything is read that was not, or the other way round; possibly without a reason.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The paths that are read, from this place on. A pass that lasts while the index changes may miss an object.
    pub fn watched(&self, from: Place) -> Part {
        let mut paths = Vec::new();
        let workloads = match from {
            Place::Object(from) => {
                for (count, (id, object)) in self.objects.slots(from).enumerate() {
                    if count >= OBJECTS || paths.len() >= PATHS {
                        let next = Some(Place::Object(id));
                        return Part { paths, next };
                    }
                    if let Some(object) = object {
                        self.watched_by(id, object, &mut paths);
                    }
                }
                0
            }
            Place::Workload(from) => from,
        };
        for (count, (id, watched)) in self.workloads.watched(workloads).enumerate() {
            if count >= OBJECTS || paths.len() >= PATHS {
                let next = Some(Place::Workload(id));
                return Part { paths, next };
            }
            paths.extend(watched);
        }
        Part { paths, next: None }
    }

    fn watched_by(&self, id: u32, object: &Object, paths: &mut Vec<Watched>) {
        let own = object.refreshable.refusal();
        let is_refreshed = own.or_else(|| self.refused(id, object)).is_none();
        if object.target.kind() != ObjectKind::ExternalSecret || !is_refreshed {
            return;
        }
        for (place, entry) in object.references.iter().enumerate() {
            let store = self.stores.get(entry.store);
            let Some(backend) = store.and_then(|store| store.view.backend()) else {
                continue;
            };
            let Form::Key(key) = &entry.form else {
                continue;
            };
            let version = self.details.version(id, place);
            let path = backend.watched(key, version);
            // Many of an object's values are of one secret.
            paths.extend(path.filter(|path| paths.last() != Some(path)));
        }
    }
}
