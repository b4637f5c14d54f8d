//! Why an object is skipped, and what to change so that it is refreshed.

use std::fmt;

/// Why an object that an event matched is skipped. A closed set, for metrics and logs.
///
/// Ordered: where several hold, the first is reported. The object's own settings come before those of its
/// stores, and these before what depends on the event.
///
/// An event that skips an object is not lost: an object becomes refreshable by an edit of its spec, labels or
/// annotations, and after any of these ESO reads every value again (it compares generation, labels and
/// annotations with those of the last refresh: `shouldRefresh`). Where a store denied the object, the newest
/// event is matched again when the store allows it.
///
/// No policy makes ESO skip an object that it has never synced, or whose Secret is missing: these are refreshed
/// like any other.
///
/// Paths are of ESO 2.9: `externalsecret` is `pkg/controllers/externalsecret/externalsecret_controller.go`,
/// `client_manager` is `pkg/controllers/secretstore/client_manager.go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unrefreshable {
    /// It is being deleted.
    Deleting,
    /// It is excluded: [`crate::object::IGNORE_ANNOTATION`] is `true`.
    Ignored,
    /// `refresh.selector` does not select it.
    NotSelected,
    /// `refreshPolicy: CreatedOnce` (`externalsecret`, `shouldRefresh`), and it is not forced.
    CreatedOnce,
    /// `refreshInterval` is 0 or less and the policy is not `OnChange`, which ESO checks before any change
    /// (`externalsecret`, `shouldRefreshPeriodic`); and it is not forced.
    IntervalZero,
    /// `target.immutable`, and the Secret exists: ESO marks the object as synced and does not write the Secret
    /// (`externalsecret`, `Reconcile`). It does write what `target.manifest` creates.
    Immutable,
    /// It has a generator, which would issue a new credential, and `refresh.generators` excludes it: always, or
    /// because the event matched only a `find` of the object and no key (`externalsecret`,
    /// `handleGenerateSecrets`).
    Generator,
    /// One of its stores has another controller class: ESO skips the whole object (`externalsecret`,
    /// `shouldSkipUnmanagedStore`).
    ForeignController,
    /// The `conditions` of one of its cluster stores exclude its namespace: ESO reads nothing for it
    /// (`client_manager`, `shouldProcessSecret`).
    StoreDeniesNamespace,
    /// Its namespace does not permit one of its keys, or its role (`tenancy:`). Of KES, which refuses it too (KES
    /// `lib/poller.js`, `_isPermitted`).
    NotPermitted,
    /// It reads nothing but a `dataFrom[].find` through a store of the `webhook` provider, which implements none: ESO
    /// never syncs it (`providers/v1/webhook/webhook.go`, `GetAllSecrets`).
    FindNotSupported,
    /// It reads only fixed versions of the secret.
    PinnedVersion,
    /// A PushSecret that ESO has just pushed or is about to push: the push causes the event, or overwrites the
    /// change.
    PushEcho,
}

/// Whether an object may be refreshed, by its own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Refreshable {
    /// Or unknown.
    #[default]
    Yes,
    /// Only for an event that matches one of its keys, not for a `find` alone ([`Unrefreshable::Generator`]).
    ByKey,
    No(Unrefreshable),
}

impl Refreshable {
    /// Why not, for every event.
    pub fn refusal(self) -> Option<Unrefreshable> {
        match self {
            Self::Yes | Self::ByKey => None,
            Self::No(reason) => Some(reason),
        }
    }
}

impl Unrefreshable {
    pub const ALL: [Self; 13] = [
        Self::Deleting,
        Self::Ignored,
        Self::NotSelected,
        Self::CreatedOnce,
        Self::IntervalZero,
        Self::Immutable,
        Self::Generator,
        Self::ForeignController,
        Self::StoreDeniesNamespace,
        Self::NotPermitted,
        Self::FindNotSupported,
        Self::PinnedVersion,
        Self::PushEcho,
    ];

    /// A stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleting => "deleting",
            Self::Ignored => "ignored",
            Self::NotSelected => "not_selected",
            Self::CreatedOnce => "created_once",
            Self::IntervalZero => "interval_zero",
            Self::Immutable => "immutable",
            Self::Generator => "generator",
            Self::ForeignController => "foreign_controller",
            Self::StoreDeniesNamespace => "store_denies_namespace",
            Self::NotPermitted => "not_permitted",
            Self::FindNotSupported => "find_not_supported",
            Self::PinnedVersion => "pinned_version",
            Self::PushEcho => "push_echo",
        }
    }

    /// What to change so that the object is refreshed.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Deleting => "nothing: it is being deleted",
            Self::Ignored => "remove the annotation eso-relay.dev/ignore",
            Self::NotSelected => "give it labels that refresh.selector of eso-relay asks for",
            Self::CreatedOnce => {
                "set spec.refreshPolicy to OnChange or Periodic, or the annotation eso-relay.dev/force to \"true\""
            }
            Self::IntervalZero => {
                "set spec.refreshPolicy to OnChange, spec.refreshInterval above 0, or the annotation eso-relay.dev/force to \"true\""
            }
            Self::Immutable => "remove spec.target.immutable",
            Self::Generator => {
                "move the generator to an ExternalSecret of its own, or set refresh.generators of eso-relay to always"
            }
            Self::ForeignController => {
                "set spec.controller of its store to a class of kubernetes.controller_classes of eso-relay"
            }
            Self::StoreDeniesNamespace => {
                "add its namespace to spec.conditions of its ClusterSecretStore"
            }
            Self::NotPermitted => {
                "name only keys and a role that the annotations of its namespace permit, or change these"
            }
            Self::FindNotSupported => {
                "name its keys by data or dataFrom[].extract: ESO's webhook provider has no find"
            }
            Self::PinnedVersion => "leave remoteRef.version out, so that it follows the newest",
            Self::PushEcho => "nothing: ESO has just pushed it, or is about to",
        }
    }
}

impl fmt::Display for Unrefreshable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own_and_an_advice() {
        let names: BTreeSet<_> = Unrefreshable::ALL.map(Unrefreshable::as_str).into();
        assert_eq!(names.len(), Unrefreshable::ALL.len());
        let slug = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(names.iter().all(slug), "{names:?}");
        assert!(
            Unrefreshable::ALL
                .iter()
                .all(|reason| !reason.advice().is_empty())
        );
        assert!(
            Unrefreshable::ALL.is_sorted(),
            "the order is that of the reports"
        );
    }
}
