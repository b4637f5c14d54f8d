//! Namespaces whose objects could not be listed for a while. Events of that time may not have matched
//! objects there, so everything in the namespace is refreshed once.

use std::mem;

use eso_relay::{
    Event, Slug,
    event::{Pattern, Reach},
};
use jiff::Timestamp;

use super::{Phase, Worker, now};
use crate::{
    matching::index::Listing,
    stream::{Message, Reply},
};

/// The source of these events, in logs and receipts.
const SOURCE: &str = "opened";
/// The sequence of [`Message::synthetic`].
const SEQUENCE: u64 = 0;

impl Worker {
    /// Before the first pull no event can have been missed.
    pub(super) fn note_restored(&mut self, listing: Listing) {
        if self.index.is_synced() {
            self.restored.extend(listing.namespace);
        }
    }

    /// Whether a synthetic message may start. They share a sequence, so one is held at a time.
    pub(super) fn may_refresh_everything(&self) -> bool {
        let is_held = self.held.message(SEQUENCE).is_some();
        self.phase == Phase::Running && self.index.is_synced() && !is_held
    }

    pub(super) fn refresh_restored(&mut self) {
        if self.restored.is_empty() || !self.may_refresh_everything() {
            return;
        }
        let namespaces: Vec<_> = mem::take(&mut self.restored).into_iter().collect();
        self.report.access_restored(&namespaces);
        self.accept(message(&namespaces, &self.context.cluster, now()));
    }
}

fn message(namespaces: &[String], cluster: &Slug, now: Timestamp) -> Message {
    let reach = Reach {
        clusters: vec![Pattern::new(cluster.as_str())],
        namespaces: namespaces.iter().map(Pattern::new).collect(),
        ..Reach::default()
    };
    // OK because it is a slug.
    let source = SOURCE.parse().expect("a slug");
    let event = Event::refresh_everything(source, format!("{cluster}/{now}"), reach, now);
    Message::synthetic(&event, Reply::None)
}
