//! What a store has kept out, and what it lets in later: an event of the time between means it then.

use std::collections::BTreeSet;

use super::{Index, Observation, gate::Gate};
use crate::matching::selector::Labels;

impl Index {
    /// The readers of this store that their stores keep out, if it is about to get another gate.
    pub(super) fn kept_out_by(&self, store: u32, next: &Gate) -> BTreeSet<u32> {
        let store = self.stores.get(store);
        let store = store.filter(|store| !store.gate.is_open() && store.gate != *next);
        let users = store.into_iter().flat_map(|store| &store.users);
        users
            .copied()
            .filter(|user| self.is_kept_out(*user))
            .collect()
    }

    /// Those of them that no store keeps out any more.
    pub(super) fn admitted(&self, kept_out: BTreeSet<u32>) -> Vec<Observation> {
        let now = kept_out.into_iter().filter(|user| !self.is_kept_out(*user));
        let objects = now.filter_map(|user| self.objects.get(user));
        objects
            .map(|object| Observation::Reads(object.target.clone()))
            .collect()
    }

    pub(super) fn label_namespace(&mut self, name: String, labels: Labels) -> Vec<Observation> {
        let changed = self.namespaces.labels(&name) != Some(&labels);
        let asking = self.stores.iter().filter(|_| changed);
        let asking = asking.filter(|(_, store)| store.gate.asks_for_labels());
        let users = asking.flat_map(|(_, store)| &store.users);
        let within = |user: &u32| {
            let object = self.objects.get(*user);
            object.is_some_and(|object| object.target.namespace() == name)
        };
        let kept_out = users.copied().filter(within);
        let kept_out: BTreeSet<u32> = kept_out.filter(|user| self.is_kept_out(*user)).collect();
        self.namespaces.appear(name, labels, self.generation);
        self.admitted(kept_out)
    }

    fn is_kept_out(&self, object: u32) -> bool {
        let object = self.objects.get(object);
        object.is_some_and(|object| self.refused(object).is_some())
    }
}
