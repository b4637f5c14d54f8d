//! Which objects a store denies, or their namespace does not permit ([`crate::matching::tenancy`]), and which become
//! permitted.

use std::collections::BTreeSet;

use tracing::warn;

use super::{Index, Object, Observation, gate::Listed};
use crate::{
    matching::tenancy::NotPermitted,
    object::{ObjectRef, Unrefreshable},
};

impl Index {
    /// Why its namespace does not permit the object, if that excludes it.
    pub fn not_permitted(&self, target: &ObjectRef) -> Option<NotPermitted> {
        self.denial(*self.ids.get(target)?)
    }

    /// Why a store denies the object, so that ESO does not sync it at all; or its namespace.
    pub(super) fn refused(&self, id: u32, object: &Object) -> Option<Unrefreshable> {
        let namespace = object.target.namespace();
        let stores = object.references.iter().map(|reference| reference.store);
        let labels = self.namespaces.labels(namespace);
        let refuses = |store| self.stores.get(store)?.gate.refuses(namespace, labels);
        let permitted = self.denial(id).map(|_| Unrefreshable::NotPermitted);
        stores.filter_map(refuses).chain(permitted).min()
    }

    pub(super) fn denial(&self, id: u32) -> Option<NotPermitted> {
        let claims = self.claims.get(&id)?;
        let object = self.objects.get(id)?;
        let Some(permits) = self.namespaces.permits(object.target.namespace()) else {
            let unknown = claims.enforced || self.namespaces.listed() == Listed::All;
            return unknown.then_some(NotPermitted::Unknown);
        };
        let stores = object.references.iter();
        let of_stores = stores.filter_map(|entry| self.stores.get(entry.store)?.gate.role());
        permits.refuses(claims, claims.role.as_deref().into_iter().chain(of_stores))
    }

    /// The objects of a namespace that are denied, and that another annotation of it may permit. Before everything is
    /// listed no event has been matched with them.
    pub(super) fn denied_in(&self, namespace: &str) -> BTreeSet<u32> {
        let ids = self.claims.keys().copied().filter(|_| self.synced);
        let within = |id: &u32| {
            let object = self.objects.get(*id);
            object.is_some_and(|object| object.target.namespace() == namespace)
        };
        ids.filter(within)
            .filter(|id| self.denial(*id).is_some())
            .collect()
    }

    /// Once everything is listed, and when namespaces may not be listed any more.
    pub(super) fn warn_of_unknown_namespaces(&self) {
        let mut claims = self.claims.values();
        if self.namespaces.listed() == Listed::Denied && claims.any(|claims| claims.enforced) {
            warn!(
                "no permission to list namespaces: `tenancy.enforce` permits no object, and none that it holds is refreshed"
            );
        }
    }

    /// That the object is not denied any more, though it was before its change.
    pub(super) fn permitted_now(&self, id: u32, was_denied: bool) -> Option<Observation> {
        let object = self.objects.get(id)?;
        let permitted = was_denied && self.denial(id).is_none();
        permitted.then(|| Observation::Reads(object.target.clone()))
    }
}
