//! The secrets in the store, and the ExternalSecrets that read them.

use eso_relay_lab::{installation::Cluster, standin::Eso};

pub(crate) const NAMESPACE: &str = "torture";
pub(crate) const STORE: &str = "store";

/// More than the webhooks of a round: each of them stands for itself, no later one hides its loss.
const QUIET: usize = 1_000;
/// Changed again and again: the newest value wins.
const BUSY: usize = 4;

/// A secret in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Read by one ExternalSecret.
    Quiet(usize),
    /// Read by several.
    Busy(usize),
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Key> {
    (0..QUIET).map(Key::Quiet).chain((0..BUSY).map(Key::Busy))
}

impl Key {
    /// The one that the webhook of this number is about.
    pub(crate) fn of(number: usize) -> Self {
        if number.is_multiple_of(5) {
            Self::Busy(number / 5 % BUSY)
        } else {
            Self::Quiet(number % QUIET)
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Quiet(at) => format!("/torture/quiet/{at:03}"),
            Self::Busy(at) => format!("/torture/busy/{at}"),
        }
    }

    pub(crate) fn readers(self) -> impl Iterator<Item = String> {
        let (name, readers) = match self {
            Self::Quiet(at) => (format!("quiet-{at:03}"), 1),
            Self::Busy(at) => (format!("busy-{at}"), 4),
        };
        (0..readers).map(move |reader| format!("{name}-{reader}"))
    }

    /// The store of this cluster has the value of this webhook now.
    pub(crate) fn change(self, cluster: &Cluster, number: usize) {
        cluster.values.set(&self.name(), &number.to_string());
    }

    /// Whether ESO gave each reader this value, or a newer one.
    pub(crate) fn has_arrived(self, eso: &Eso, number: usize) -> bool {
        let newest = |reader: String| {
            let values = eso.values(NAMESPACE, &reader)?;
            values.get("value")?.parse::<usize>().ok()
        };
        self.readers()
            .all(|reader| newest(reader).is_some_and(|value| value >= number))
    }
}
