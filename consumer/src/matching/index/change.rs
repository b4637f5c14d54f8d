//! What the watch says, and what the engine must know of it.

use eso_relay::event::{StoreKind, TemplateSource};
use jiff::Timestamp;

use crate::{
    matching::{
        provider::Backend,
        selector::{LabelSelector, Labels},
    },
    object::{
        ListKind, ObjectKind, ObjectRef, RefreshMark, Refreshable, SyncState, SyncVersion, Uid,
    },
};

/// What the watch says.
#[derive(Debug, Clone)]
pub enum Change {
    Applied(ExternalSecret),
    Deleted(ObjectRef),
    StoreApplied(Store),
    StoreDeleted(StoreRef),
    /// A ClusterExternalSecret, with what its annotation holds.
    OwnerApplied {
        owner: ObjectRef,
        value: Option<RefreshMark>,
        uid: Option<Uid>,
    },
    OwnerDeleted(ObjectRef),
    NamespaceApplied {
        name: String,
        labels: Labels,
    },
    NamespaceDeleted(String),
    /// What follows, up to the end of the same listing, is everything there is.
    ListBegins(Listing),
    /// What has not been applied since the beginning is gone.
    ListEnds(Listing),
    /// It may not be seen, or not any more.
    ListDenied(Listing),
    /// It may be seen again, and has been listed. What changed meanwhile was not seen, and events that
    /// meant it were not known to.
    AccessRestored(Listing),
    /// Everything has been listed once.
    Synced,
}

/// What the engine must know of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// What the object's annotation holds; `None` when it holds nothing of ours.
    Carries {
        target: ObjectRef,
        value: Option<RefreshMark>,
        /// Whether ESO has synced it since; for an owner, all that it owns.
        sync: SyncState,
    },
    /// It is not there, or cannot be refreshed, and so needs nothing.
    Gone(ObjectRef),
    /// It reads something that it was not known to read, or what kept it from being refreshed is gone: an
    /// event of a moment ago may mean it.
    Reads(ObjectRef),
    /// Its value was taken away before ESO looked at it, so ESO will not: the event means it again.
    MarkRemoved {
        target: ObjectRef,
        value: RefreshMark,
    },
}

/// All of an ExternalSecret that matters here; or of a PushSecret, which names secrets of stores as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalSecret {
    pub target: ObjectRef,
    /// The refresh annotation.
    pub value: Option<RefreshMark>,
    /// What ESO has copied of its owner's annotation.
    pub mirrored: Option<RefreshMark>,
    pub sync: SyncState,
    /// Which sync that is; `None` when it is not known.
    pub version: Option<SyncVersion>,
    pub uid: Option<Uid>,
    /// The ClusterExternalSecret that it belongs to, whether that is known or not.
    pub owner: Option<ObjectRef>,
    pub refreshable: Refreshable,
    /// Whether its policy keeps ESO from refreshing it, and it is to be refreshed all the same.
    pub forced: bool,
    /// Whether `spec.syncWindows` says when it may be synced. ESO asks them before a refresh that its
    /// interval brings, and not before one that a change of the metadata brings.
    pub sync_windows: bool,
    pub references: Vec<Reference>,
    /// What its template takes from its namespace.
    pub templates: Vec<TemplateSource>,
    /// Of a PushSecret, when ESO pushed it last.
    pub pushed: Option<Timestamp>,
    /// What of it could not be read. The rest of it counts all the same.
    pub problems: Vec<String>,
}

impl ExternalSecret {
    /// With nothing said of it but what it reads.
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
            pushed: None,
            problems: Vec::new(),
        }
    }
}

/// One place in an ExternalSecret that names secrets of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub store: StoreRef,
    pub form: Form,
    /// `remoteRef.version`, if it asks for one. What it means is up to the provider.
    pub version: Option<String>,
}

/// How a reference names secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `remoteRef.key` or `extract.key`.
    Key(String),
    /// `dataFrom[].find`.
    Find(FindSpec),
}

/// `dataFrom[].find`: both conditions hold when both are there. Without either (`tags`, or nothing)
/// an event cannot tell, so it may mean every secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FindSpec {
    pub path: Option<String>,
    pub regexp: Option<String>,
    /// Whether it asks for tags, whatever they are.
    pub tags: bool,
}

/// A SecretStore in its namespace, or a ClusterSecretStore.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreRef {
    Namespaced {
        namespace: String,
        name: String,
    },
    Cluster {
        name: String,
    },
    /// Chosen by labels, in this namespace if the kind is in one: any that is there may be it.
    Any {
        kind: StoreKind,
        namespace: String,
    },
}

impl StoreRef {
    pub fn kind(&self) -> StoreKind {
        match self {
            Self::Namespaced { .. } => StoreKind::SecretStore,
            Self::Cluster { .. } => StoreKind::ClusterSecretStore,
            Self::Any { kind, .. } => *kind,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Namespaced { name, .. } | Self::Cluster { name } => name,
            // No store is called so.
            Self::Any { .. } => "*",
        }
    }
}

/// A SecretStore or a ClusterSecretStore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub name: StoreRef,
    /// `None` when its spec does not say.
    pub backend: Option<Backend>,
    pub admits: Admits,
}

/// For whom ESO reads through a store; by default for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admits {
    /// Its `controller` is a class that is not ours.
    pub foreign: bool,
    /// Of a ClusterSecretStore, the namespaces of its `conditions`; `None` for all.
    pub namespaces: Option<Admitted>,
}

/// Namespaces by any of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admitted {
    pub names: Vec<String>,
    pub regexes: Vec<String>,
    /// By their labels. Where these are not known, every selector lets in.
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
        let kind = match target.kind() {
            ObjectKind::ClusterExternalSecret => ListKind::ClusterExternalSecrets,
            ObjectKind::ExternalSecret => ListKind::ExternalSecrets,
            ObjectKind::PushSecret => ListKind::PushSecrets,
        };
        self.kind == kind && self.spans(target.namespace())
    }

    pub(super) fn holds_owners(&self) -> bool {
        self.kind == ListKind::ClusterExternalSecrets
    }

    /// Whether, when it may not be seen any more, nothing is better than what was seen last: old labels
    /// would keep somebody out, and what may not be listed is not to be pushed. Old stores and owners
    /// still tell more than none.
    pub(super) fn is_as_good_as_empty(&self) -> bool {
        matches!(self.kind, ListKind::Namespaces | ListKind::PushSecrets)
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
            StoreRef::Any { .. } => false,
        }
    }

    fn spans(&self, namespace: &str) -> bool {
        self.namespace.as_ref().is_none_or(|only| only == namespace)
    }
}
