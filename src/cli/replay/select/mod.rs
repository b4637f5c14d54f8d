//! Which events a replay publishes again: the newest of those that mean the same. No I/O.

use std::collections::HashMap;

use bytes::Bytes;
use eso_relay::{
    Event, Slug,
    event::{BatchError, EventError},
};
use jiff::Timestamp;

use crate::cli::again::{meaning, names, narrowed};

pub(super) struct Selection {
    cluster: Slug,
    keys: Vec<String>,
    /// Whether refreshes of everything by hand are among what was asked for.
    resyncs: bool,
    pub(super) counts: Counts,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    newest: HashMap<Bytes, (u64, Event)>,
}

/// What was read. All but `messages` count events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Counts {
    pub(super) messages: u64,
    pub(super) events: u64,
    /// Messages or events that this version cannot read.
    pub(super) unreadable: u64,
    /// Not meant for the cluster.
    pub(super) elsewhere: u64,
    /// Without one of the keys that were asked for.
    pub(super) other_keys: u64,
    /// A newer event means the same.
    pub(super) superseded: u64,
    /// Refreshes of everything, by hand: replayed with the rest they would refresh everything again.
    pub(super) resyncs: u64,
}

impl Selection {
    /// Without keys, all keys. `resyncs`: with refreshes of everything by hand.
    pub(super) fn new(cluster: Slug, keys: Vec<String>, resyncs: bool) -> Self {
        Self {
            cluster,
            keys,
            resyncs,
            counts: Counts::default(),
            first: None,
            last: None,
            newest: HashMap::new(),
        }
    }

    /// The next message of the stream.
    pub(super) fn message(
        &mut self,
        published: Timestamp,
        events: Result<Vec<Result<Event, EventError>>, BatchError>,
    ) {
        self.counts.messages += 1;
        self.first.get_or_insert(published);
        self.last = Some(published);
        match events {
            Ok(events) => events.into_iter().for_each(|event| self.event(event)),
            Err(_) => self.counts.unreadable += 1,
        }
    }

    fn event(&mut self, event: Result<Event, EventError>) {
        self.counts.events += 1;
        let Ok(event) = event else {
            self.counts.unreadable += 1;
            return;
        };
        if !event.reaches_cluster(&self.cluster) {
            self.counts.elsewhere += 1;
            return;
        }
        if !self.keys.is_empty() && !self.keys.iter().any(|key| names(&event.matches, key)) {
            self.counts.other_keys += 1;
            return;
        }
        if event.refreshes_everything() && !self.resyncs {
            self.counts.resyncs += 1;
            return;
        }
        let event = Event {
            target: Some(narrowed(event.target, self.cluster.as_str())),
            ..event
        };
        let at = self.counts.events;
        if self.newest.insert(meaning(&event), (at, event)).is_some() {
            self.counts.superseded += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.newest.len()
    }

    /// In the order of the stream.
    pub(super) fn into_events(self) -> Vec<Event> {
        let mut events: Vec<_> = self.newest.into_values().collect();
        events.sort_unstable_by_key(|(at, _)| *at);
        events.into_iter().map(|(_, event)| event).collect()
    }
}

#[cfg(test)]
mod tests;
