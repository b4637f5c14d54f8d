//! An event once more: which events mean the same, and what differs when one is published again.

use bytes::Bytes;
use eso_relay::{
    Event,
    event::{Kind, Match, Operation, Origin, Pattern, Reach, encode},
};
use jiff::Timestamp;

/// Under an id of its own, so that no cluster takes it for an event that it has handled. When it happened and was received
/// stays: what follows from that, such as an echo of a push, is what it was.
pub(super) fn again(event: Event, id: String, now: Timestamp) -> Event {
    Event {
        origin: Origin {
            event_id: Some(event.id),
            replayed_at: Some(now),
            ..event.origin
        },
        id,
        ..event
    }
}

/// The same stores and namespaces, in this cluster alone.
pub(super) fn narrowed(target: Option<Reach>, cluster: &str) -> Reach {
    Reach {
        clusters: vec![Pattern::new(cluster)],
        ..target.unwrap_or_default()
    }
}

/// Source, provider, match, keys, scope and target: equal for events that refresh the same.
pub(super) fn meaning(event: &Event) -> Bytes {
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
        tracestate: None,
        operation: Operation::Unknown,
        version: None,
        received_at: Timestamp::UNIX_EPOCH,
        origin: Origin::default(),
        ..event.clone()
    })
}

/// A leading slash makes no difference: providers write the same key with and without it.
pub(super) fn names(matches: &Match, wanted: &str) -> bool {
    let bare = |key: &str| key.trim_start_matches('/').to_owned();
    let wanted = bare(wanted);
    match matches {
        Match::Exact(keys) => keys.as_slice().iter().any(|key| bare(key) == wanted),
        Match::Prefix(path) => wanted.starts_with(&bare(path)),
        Match::Scope | Match::All => false,
    }
}
