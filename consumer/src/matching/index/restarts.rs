//! Which of the workloads that read a changed secret are restarted. A refresh may be repeated, a restart may not: only an
//! event that says that one secret has a new value restarts, or one that asks for it.

use std::collections::{BTreeMap, BTreeSet};

use eso_relay::event::{Event, Kind, Match, Operation};
use serde::Serialize;

use super::Index;
use crate::{matching::workload::Takes, object::ObjectRef};

/// A workload that reads a secret of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedWorkload {
    pub workload: ObjectRef,
    /// The targets of the event for which ESO writes what it reads: they come before its restart.
    pub follows: Vec<ObjectRef>,
    /// Whether it reads a secret of the event from the store itself.
    pub reads_store: bool,
    /// Why it is not restarted.
    pub against: Option<Unrestarted>,
}

/// Why a workload is not restarted. The order is that of the reports: where several references are matched, the first
/// reason counts, and none before all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrestarted {
    /// Its ExternalSecret is matched only by a `find`, which may find the secret or not.
    Find,
    /// It asks for a fixed version.
    PinnedVersion,
    /// Its ExternalSecret is skipped.
    Skipped,
    /// The event does not say that a secret has a new value, or was replayed, and does not ask for it.
    Event,
}

impl Unrestarted {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::PinnedVersion => "pinned_version",
            Self::Skipped => "skipped",
            Self::Event => "event",
        }
    }

    /// What to change so that it is restarted.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Find => "set restart.find of eso-relay",
            Self::PinnedVersion => {
                "leave the version out of its reference, so that it follows the newest"
            }
            Self::Skipped => "see its ExternalSecret above",
            Self::Event => {
                "only a new event that a secret has changed restarts; send --restart asks for it"
            }
        }
    }
}

/// Whether the event may restart workloads.
pub(super) fn restarts(event: &Event) -> bool {
    if event.restart {
        // Without the secret no pod would start.
        return event.kind != Kind::SecretDeleted;
    }
    let has_new_value = !matches!(event.operation, Operation::Deleted | Operation::Metadata);
    event.kind == Kind::SecretChanged
        && matches!(event.matches, Match::Exact(_))
        && has_new_value
        && event.origin.replayed_at.is_none()
}

/// The workloads found for an event, by id.
#[derive(Debug, Default)]
pub(super) struct Found(BTreeMap<u32, Reading>);

#[derive(Debug)]
struct Reading {
    follows: BTreeSet<ObjectRef>,
    reads_store: bool,
    against: Option<Unrestarted>,
}

impl Found {
    fn add(&mut self, id: u32, against: Option<Unrestarted>) -> &mut Reading {
        let reading = self.0.entry(id).or_insert_with(|| Reading {
            follows: BTreeSet::new(),
            reads_store: false,
            against,
        });
        reading.against = reading.against.min(against);
        reading
    }

    /// An object is matched; `target`: what is refreshed for it.
    pub(super) fn follow(
        &mut self,
        readers: Vec<u32>,
        target: Option<&ObjectRef>,
        against: Option<Unrestarted>,
    ) {
        for reader in readers {
            self.add(reader, against).follows.extend(target.cloned());
        }
    }

    pub(super) fn into_matched(mut self, index: &Index, event: &Event) -> Vec<MatchedWorkload> {
        index.workloads.reading(event, |id, takes| {
            let pinned = takes == Takes::Pinned;
            let reading = self.add(id, pinned.then_some(Unrestarted::PinnedVersion));
            reading.reads_store |= !pinned;
        });
        let not_at_all = (!restarts(event)).then_some(Unrestarted::Event);
        let found = self.0.into_iter().filter_map(|(id, reading)| {
            Some(MatchedWorkload {
                workload: index.workloads.target(id)?.clone(),
                follows: reading.follows.into_iter().collect(),
                reads_store: reading.reads_store,
                against: not_at_all.or(reading.against),
            })
        });
        found.collect()
    }
}
