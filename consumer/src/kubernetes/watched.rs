//! The two types of object that are watched: those of ESO with Namespaces, and workloads.

use std::fmt::Debug;

use kube::{
    Resource,
    core::{ApiResource, DynamicResourceScope},
};
use serde::de::DeserializeOwned;

use super::{
    Object, Selection, read,
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
    Workload(WorkloadObject),
}
