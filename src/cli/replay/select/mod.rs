//! Which events a replay publishes again: the newest of those that mean the same. No I/O.

use std::collections::HashMap;

use bytes::Bytes;
use eso_relay::{
    Event, Slug,
    event::{BatchError, EventError, Kind, Match, Operation, Origin, Pattern, Reach, encode},
};
use jiff::Timestamp;

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
        let is_resync = event.kind == Kind::RefreshRequested && event.matches == Match::All;
        if is_resync && !self.resyncs {
            self.counts.resyncs += 1;
            return;
        }
        let event = Event {
            target: Some(narrowed(event.target, &self.cluster)),
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

/// The same stores and namespaces, in this cluster alone.
fn narrowed(target: Option<Reach>, cluster: &Slug) -> Reach {
    Reach {
        clusters: vec![Pattern::new(cluster.as_str())],
        ..target.unwrap_or_default()
    }
}

/// Source, provider, match, keys, scope and target: equal for events that refresh the same.
fn meaning(event: &Event) -> Bytes {
    let matches = match &event.matches {
        // Aliases of one secret, in whatever order the sender lists them.
        Match::Exact(keys) => {
            let mut keys = keys.as_slice().to_vec();
            keys.sort_unstable();
            // They come out of valid keys.
            eso_relay::event::Keys::new(keys).map_or_else(|_| event.matches.clone(), Match::Exact)
        }
        other => other.clone(),
    };
    encode(&Event {
        matches,
        id: String::new(),
        // A key of a store and a source of templates may be called the same.
        kind: match event.kind {
            Kind::TemplateChanged => Kind::TemplateChanged,
            _ => Kind::RefreshRequested,
        },
        time: None,
        traceparent: None,
        operation: Operation::Unknown,
        version: None,
        received_at: Timestamp::UNIX_EPOCH,
        origin: Origin::default(),
        ..event.clone()
    })
}

/// A leading slash makes no difference: providers write the same key with and without it.
fn names(matches: &Match, wanted: &str) -> bool {
    let bare = |key: &str| key.trim_start_matches('/').to_owned();
    let wanted = bare(wanted);
    match matches {
        Match::Exact(keys) => keys.as_slice().iter().any(|key| bare(key) == wanted),
        Match::Prefix(path) => wanted.starts_with(&bare(path)),
        Match::Scope | Match::All => false,
    }
}

#[cfg(test)]
mod tests;
