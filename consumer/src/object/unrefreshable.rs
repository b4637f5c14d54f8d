//! Which ExternalSecrets a change of their annotation does not refresh, and what would mend that.

use std::fmt;

/// Why an ExternalSecret that an event means is left alone. A closed set, for metrics and logs.
///
/// Ordered: where several hold, the first is told. What the object itself says comes before what its
/// stores say, and that before what depends on the event.
///
/// An event that is skipped is not lost. What makes an object refreshable again is an edit of its
/// spec, its labels or its annotations, after any of which ESO reads every value anew (it compares
/// generation, labels and annotations with those of the last refresh: `shouldRefresh`). Where a store has
/// kept it out, the newest event means it again as soon as it is let in.
///
/// No policy keeps ESO from an object that it has never synced, or whose Secret is not there: those are
/// refreshed like any other.
///
/// Paths are of ESO 2.9: `externalsecret` is `pkg/controllers/externalsecret/externalsecret_controller.go`,
/// `client_manager` is `pkg/controllers/secretstore/client_manager.go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unrefreshable {
    /// It is being deleted.
    Deleting,
    /// Its owner has opted out: [`crate::object::IGNORE_ANNOTATION`] is `true`.
    Ignored,
    /// It is not among those of `refresh.selector`.
    NotSelected,
    /// `refreshPolicy: CreatedOnce` (`externalsecret`, `shouldRefresh`), and it is not forced.
    CreatedOnce,
    /// `refreshInterval` is 0 or less and the policy is not `OnChange`; this is looked at before any
    /// change (`externalsecret`, `shouldRefreshPeriodic`). And it is not forced.
    IntervalZero,
    /// `target.immutable`, and the Secret is there: it is marked as synced and stays as it is
    /// (`externalsecret`, `Reconcile`). What `target.manifest` makes is written all the same.
    Immutable,
    /// It has a generator, which would give out a new credential, and `refresh.generators` of
    /// eso-relay is against it: whatever the event, or because it means no key of the object, but
    /// what a `find` of it may find (`externalsecret`, `handleGenerateSecrets`).
    Generator,
    /// A store of its names another controller class: ESO passes the whole object over
    /// (`externalsecret`, `shouldSkipUnmanagedStore`).
    ForeignController,
    /// The `conditions` of a ClusterSecretStore of its leave its namespace out: ESO reads nothing
    /// for it (`client_manager`, `shouldProcessSecret`).
    StoreDeniesNamespace,
    /// All that it reads of the secret are versions that stay as they are.
    PinnedVersion,
    /// A PushSecret that ESO has just pushed, or is about to: what the event tells of is overwritten, or
    /// is that push.
    PushEcho,
}

/// Whether to refresh an object, by what it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Refreshable {
    /// Also when that cannot be told.
    #[default]
    Yes,
    /// For an event that means a key of it, and not on account of a `find` alone
    /// ([`Unrefreshable::Generator`]).
    ByKey,
    No(Unrefreshable),
}

impl Refreshable {
    /// Why not, whatever the event.
    pub fn refusal(self) -> Option<Unrefreshable> {
        match self {
            Self::Yes | Self::ByKey => None,
            Self::No(reason) => Some(reason),
        }
    }
}

impl Unrefreshable {
    pub const ALL: [Self; 11] = [
        Self::Deleting,
        Self::Ignored,
        Self::NotSelected,
        Self::CreatedOnce,
        Self::IntervalZero,
        Self::Immutable,
        Self::Generator,
        Self::ForeignController,
        Self::StoreDeniesNamespace,
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
            "the order is that of telling"
        );
    }
}
