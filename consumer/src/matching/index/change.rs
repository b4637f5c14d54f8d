//! The input of the index, and the observations for the engine.

use std::sync::Arc;

use eso_relay::event::{Reach, StoreKind, TemplateSource};
use jiff::Timestamp;

use crate::{
    matching::{
        provider::Backend,
        selector::{LabelSelector, Labels},
        tenancy::{Claims, Permitted},
        workload::{ValuesRef, Workload},
    },
    object::{
        ListKind, ObjectRef, RefreshMark, Refreshable, SyncState, SyncVersion, Uid, WorkloadState,
    },
};

/// A change of the cluster, from the watch.
#[derive(Debug, Clone)]
pub enum Change {
    Applied(ExternalSecret),
    Deleted(ObjectRef),
    StoreApplied(Store),
    StoreDeleted(StoreRef),
    /// A ClusterExternalSecret, with its mark.
    OwnerApplied {
        owner: ObjectRef,
        value: Option<RefreshMark>,
        uid: Option<Uid>,
    },
    OwnerDeleted(ObjectRef),
    NamespaceApplied {
        name: String,
        labels: Labels,
        permitted: Permitted,
    },
    NamespaceDeleted(String),
    WorkloadApplied(Workload),
    /// It was deleted, or has not opted in to restarts.
    WorkloadGone(ObjectRef),
    /// A list begins: what follows, up to its end, is complete.
    ListBegins(Listing),
    /// A list ends: what has not been applied since its beginning is gone.
    ListEnds(Listing),
    /// It may not be listed, or not any more.
    ListDenied(Listing),
    /// It may be listed again, and has been listed. Events of the time between may have missed objects there.
    AccessRestored(Listing),
    /// Everything has been listed once.
    Synced,
}

/// The consequence of a change for the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The object's mark; `None` when its annotation holds none.
    Carries {
        target: ObjectRef,
        value: Option<RefreshMark>,
        /// Whether ESO has synced it since; for an owner, everything that it owns.
        sync: SyncState,
    },
    /// It does not exist or cannot be refreshed.
    Gone(ObjectRef),
    /// The state of a workload; `None`: it is gone, or nothing can restart it any more.
    Workload {
        workload: ObjectRef,
        state: Option<WorkloadState>,
    },
    /// It reads something new, or is not denied any more: a recent event may match it.
    Reads(ObjectRef),
    /// Its mark was removed before ESO looked, so ESO will not refresh it: the mark must be written again.
    MarkRemoved {
        target: ObjectRef,
        value: RefreshMark,
    },
}

/// An ExternalSecret, reduced to what is needed here; or one of KES or a PushSecret, which reference secrets as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalSecret {
    pub target: ObjectRef,
    /// The mark in its refresh annotation.
    pub value: Option<RefreshMark>,
    /// The mark that ESO has copied from its owner's annotation.
    pub mirrored: Option<RefreshMark>,
    pub sync: SyncState,
    /// The version of that sync; `None` when unknown.
    pub version: Option<SyncVersion>,
    pub uid: Option<Uid>,
    /// The ClusterExternalSecret that owns it, listed or not.
    pub owner: Option<ObjectRef>,
    pub refreshable: Refreshable,
    /// Whether its policy makes ESO skip it, and that is overridden.
    pub forced: bool,
    /// Whether it has `spec.syncWindows`. ESO respects them for a refresh by the interval, not for one by a change
    /// of the metadata.
    pub sync_windows: bool,
    pub references: Vec<Reference>,
    /// The ConfigMaps and Secrets that its template uses.
    pub templates: Vec<TemplateSource>,
    /// What ESO writes for it; `None`: a Secret of its own name.
    pub writes: Option<Writes>,
    /// For a PushSecret: when ESO pushed it last.
    pub pushed: Option<Timestamp>,
    /// What its namespace must permit; `None`: nothing.
    pub claims: Option<Box<Claims>>,
    /// Its malformed fields. The others count.
    pub problems: Vec<String>,
}

impl ExternalSecret {
    /// With these references and defaults otherwise.
    pub fn new(target: ObjectRef, references: Vec<Reference>) -> Self {
        Self {
            target,
            value: None,
            mirrored: None,
            sync: SyncState::default(),
            version: None,
            uid: None,
            owner: None,
            refreshable: Refreshable::default(),
            forced: false,
            sync_windows: false,
            references,
            templates: Vec::new(),
            writes: None,
            pushed: None,
            claims: None,
            problems: Vec::new(),
        }
    }
}

/// What ESO writes for an ExternalSecret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writes {
    /// In its namespace; `None`: nothing that pods read.
    pub values: Option<ValuesRef>,
    /// Its annotations for Stakater's Reloader: `ignore`, and `match`.
    pub ignored: bool,
    pub matched: bool,
}

impl Writes {
    /// As ESO does without further settings.
    pub fn own_name(target: &ObjectRef) -> Self {
        Self {
            values: Some(ValuesRef::Secret(target.name().into())),
            ignored: false,
            matched: false,
        }
    }
}

/// One entry of an ExternalSecret that names secrets of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub store: StoreRef,
    pub form: Form,
    /// `remoteRef.version`, whose meaning depends on the provider.
    pub version: Option<String>,
    /// `remoteRef.property`, which only templates of a store make a part of the secret's name.
    pub property: Option<String>,
}

/// How a reference names secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `remoteRef.key` or `extract.key`.
    Key(String),
    /// `dataFrom[].find`.
    Find(FindSpec),
}

/// `dataFrom[].find`: both conditions must hold. Without either (only `tags`, or nothing) it may find every secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FindSpec {
    pub path: Option<String>,
    pub regexp: Option<String>,
    /// Whether it selects by tags.
    pub tags: bool,
}

/// A SecretStore in its namespace, or a ClusterSecretStore; or what takes the place of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreRef {
    Namespaced {
        namespace: String,
        name: String,
    },
    Cluster {
        name: String,
    },
    /// Selected by labels, in this namespace if the kind has one: it may be any store there.
    Any {
        kind: StoreKind,
        namespace: String,
    },
    /// No object: what an ExternalSecret of KES says itself of where it reads.
    Implied(Arc<Backend>),
}

impl StoreRef {
    /// `None` where it is no object.
    pub fn kind(&self) -> Option<StoreKind> {
        match self {
            Self::Namespaced { .. } => Some(StoreKind::SecretStore),
            Self::Cluster { .. } => Some(StoreKind::ClusterSecretStore),
            Self::Any { kind, .. } => Some(*kind),
            Self::Implied(_) => None,
        }
    }

    /// Whether an event with this reach may match through it. One that may reach certain stores only reaches none
    /// that has no name.
    pub(super) fn is_within(&self, reach: &Reach) -> bool {
        match self.kind() {
            Some(kind) => reach.allows_store(kind, self.name()),
            None => reach.stores.is_empty(),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Namespaced { name, .. } | Self::Cluster { name } => name,
            // No store has this name.
            Self::Any { .. } | Self::Implied(_) => "*",
        }
    }
}

/// A SecretStore or a ClusterSecretStore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub name: StoreRef,
    /// `None` when its spec names none.
    pub backend: Option<Backend>,
    pub admits: Admits,
}

/// Which objects ESO serves through a store; by default all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admits {
    /// Its `controller` is a class that is not served.
    pub foreign: bool,
    /// For a ClusterSecretStore: the namespaces of its `conditions`; `None` for all.
    pub namespaces: Option<Admitted>,
    /// The role by which it reads, which namespaces may permit or not.
    pub role: Option<String>,
}

/// A namespace is admitted by any of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admitted {
    pub names: Vec<String>,
    pub regexes: Vec<String>,
    /// By labels. While the labels are unknown, every selector admits.
    pub selectors: Vec<LabelSelector>,
}

/// What one list of the API holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listing {
    pub kind: ListKind,
    /// `None` for the whole cluster.
    pub namespace: Option<String>,
}

impl Listing {
    pub(super) fn holds(&self, target: &ObjectRef) -> bool {
        self.kind == target.kind().list() && self.spans(target.namespace())
    }

    pub(super) fn holds_owners(&self) -> bool {
        self.kind == ListKind::ClusterExternalSecrets
    }

    /// Whether its objects are dropped when it may not be listed any more: stale labels could deny objects, and without
    /// permission objects of KES must not be refreshed, PushSecrets not pushed, and workloads not restarted. Stale stores
    /// and owners are better than none.
    pub(super) fn is_dropped_when_denied(&self) -> bool {
        matches!(
            self.kind,
            ListKind::Namespaces
                | ListKind::KesExternalSecrets
                | ListKind::PushSecrets
                | ListKind::Workloads(_)
        )
    }

    pub(super) fn holds_namespaces(&self) -> bool {
        self.kind == ListKind::Namespaces
    }

    pub(super) fn holds_store(&self, store: &StoreRef) -> bool {
        match store {
            StoreRef::Namespaced { namespace, .. } => {
                self.kind == ListKind::SecretStores && self.spans(namespace)
            }
            StoreRef::Cluster { .. } => self.kind == ListKind::ClusterSecretStores,
            StoreRef::Any { .. } | StoreRef::Implied(_) => false,
        }
    }

    fn spans(&self, namespace: &str) -> bool {
        self.namespace.as_ref().is_none_or(|only| only == namespace)
    }
}
