//! Namespaces that could not be seen for a while: events that meant something there were not known to, so
//! all that is there is refreshed once.

use std::mem;

use eso_relay::{
    Event, Slug,
    event::{Pattern, Reach},
};
use jiff::Timestamp;

use super::{Phase, Worker, now};
use crate::{
    matching::index::Listing,
    stream::{Received, Reply},
};

/// Whose events these are, in logs and receipts.
const SOURCE: &str = "opened";
/// Of an event of the consumer's own ([`Received::own`]).
const SEQUENCE: u64 = 0;

impl Worker {
    /// Before the first pull nothing can have been missed.
    pub(super) fn opened(&mut self, listing: Listing) {
        if self.index.is_synced() {
            self.opened.extend(listing.namespace);
        }
    }

    /// Whether a refresh that no message asked for is at work; there is one at a time.
    pub(super) fn is_catching_up(&self) -> bool {
        self.held.message(SEQUENCE).is_some()
    }

    pub(super) fn refresh_opened(&mut self) {
        if self.opened.is_empty() || self.phase != Phase::Running || self.is_catching_up() {
            return;
        }
        let namespaces: Vec<_> = mem::take(&mut self.opened).into_iter().collect();
        self.report.opened(&namespaces);
        self.accept(message(&namespaces, &self.context.cluster, now()));
    }
}

fn message(namespaces: &[String], cluster: &Slug, now: Timestamp) -> Received {
    let target = Reach {
        clusters: vec![Pattern::new(cluster.as_str())],
        namespaces: namespaces.iter().map(Pattern::new).collect(),
        ..Reach::default()
    };
    // OK because it is a slug.
    let source = SOURCE.parse().expect("a slug");
    let event = Event::refresh_everything(source, format!("{cluster}/{now}"), target, now);
    Received::own(&event, Reply::Said)
}
