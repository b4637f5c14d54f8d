//! The types of object that are watched: those of ESO, those of KES, Namespaces, and workloads.

use std::fmt::Debug;

use kube::{
    Resource,
    core::{ApiResource, DynamicResourceScope},
};
use serde::de::DeserializeOwned;

use super::{
    Object, Selection,
    kes::{self, KesObject},
    namespace::{self, NamespaceObject},
    read,
    workload::{self, WorkloadObject},
};
use crate::{matching::index::Change, object::ListKind};

/// An object of the API as it is watched.
pub(super) trait Watched:
    Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// It exists.
    fn applied(&self, kind: ListKind, selection: &Selection) -> Option<Change>;
    /// It was deleted.
    fn deleted(&self, kind: ListKind) -> Option<Change>;
    fn into_item(self) -> Item;
}

impl Watched for Object {
    fn applied(&self, kind: ListKind, selection: &Selection) -> Option<Change> {
        read::applied(kind, self, selection)
    }

    fn deleted(&self, kind: ListKind) -> Option<Change> {
        read::deleted(kind, self)
    }

    fn into_item(self) -> Item {
        Item::Object(self)
    }
}

impl Watched for KesObject {
    fn applied(&self, _: ListKind, selection: &Selection) -> Option<Change> {
        kes::applied(self, selection)
    }

    fn deleted(&self, _: ListKind) -> Option<Change> {
        kes::deleted(self)
    }

    fn into_item(self) -> Item {
        Item::Kes(self)
    }
}

impl Watched for NamespaceObject {
    fn applied(&self, _: ListKind, selection: &Selection) -> Option<Change> {
        namespace::applied(self, selection)
    }

    fn deleted(&self, _: ListKind) -> Option<Change> {
        namespace::deleted(self)
    }

    fn into_item(self) -> Item {
        Item::Namespace(self)
    }
}

impl Watched for WorkloadObject {
    fn applied(&self, kind: ListKind, selection: &Selection) -> Option<Change> {
        match kind {
            ListKind::Workloads(kind) => workload::applied(kind, self, selection),
            _ => None,
        }
    }

    fn deleted(&self, kind: ListKind) -> Option<Change> {
        match kind {
            ListKind::Workloads(kind) => workload::deleted(kind, self),
            _ => None,
        }
    }

    fn into_item(self) -> Item {
        Item::Workload(self)
    }
}

/// An object on its way to the task that reads it.
pub(super) enum Item {
    Object(Object),
    Kes(KesObject),
    Namespace(NamespaceObject),
    Workload(WorkloadObject),
}

impl Item {
    pub(super) fn applied(&self, kind: ListKind, selection: &Selection) -> Option<Change> {
        match self {
            Self::Object(object) => object.applied(kind, selection),
            Self::Kes(object) => object.applied(kind, selection),
            Self::Namespace(object) => object.applied(kind, selection),
            Self::Workload(object) => object.applied(kind, selection),
        }
    }

    pub(super) fn deleted(&self, kind: ListKind) -> Option<Change> {
        match self {
            Self::Object(object) => object.deleted(kind),
            Self::Kes(object) => object.deleted(kind),
            Self::Namespace(object) => object.deleted(kind),
            Self::Workload(object) => object.deleted(kind),
        }
    }
}
