//! What a replay read and what it publishes.

use std::fmt;

use eso_relay::{Event, Slug, command::Table};
use jiff::Timestamp;
use serde::Serialize;

use super::select::{Counts, Selection};

/// More is for `--output json`.
const SHOWN: usize = 20;

#[derive(Serialize)]
pub(super) struct Report {
    cluster: Slug,
    since: Timestamp,
    /// When the first and the last message that was read came into the stream.
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    read: Counts,
    kept: usize,
    pub(super) published: usize,
    events: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    id: String,
    original_id: Option<String>,
    source: Slug,
    provider: Slug,
    keys: Vec<String>,
}

impl Report {
    pub(super) fn new(cluster: &Slug, since: Timestamp, selection: &Selection) -> Self {
        Self {
            cluster: cluster.clone(),
            since,
            first: selection.first,
            last: selection.last,
            read: selection.counts,
            kept: selection.len(),
            published: 0,
            events: Vec::new(),
        }
    }

    pub(super) fn list(&mut self, events: &[Event]) {
        let line = |event: &Event| Line {
            id: event.id.clone(),
            original_id: event.origin.event_id.clone(),
            source: event.source.clone(),
            provider: event.provider.clone(),
            keys: event.matches.keys().to_vec(),
        };
        self.events = events.iter().map(line).collect();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            messages,
            events,
            unreadable,
            elsewhere,
            other_keys,
            superseded,
            resyncs,
        } = self.read;
        match (self.first, self.last) {
            (Some(first), Some(last)) => {
                writeln!(
                    f,
                    "read       {events} events in {messages} messages, {first:.0} to {last:.0}"
                )?;
            }
            _ => writeln!(f, "read       nothing: no event since {:.0}", self.since)?,
        }
        let left_out = [
            (superseded, "older than another that means the same"),
            (elsewhere, "not for this cluster"),
            (other_keys, "of other keys"),
            (unreadable, "not readable"),
            (
                resyncs,
                "refreshes of everything, by hand (--source includes them)",
            ),
        ];
        for (count, why) in left_out.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "left out   {count} {why}")?;
        }
        writeln!(
            f,
            "to publish {} for cluster {} alone",
            self.kept, self.cluster
        )?;
        if self.events.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&["SOURCE", "PROVIDER", "KEYS", "ORIGINAL ID"]);
        for line in self.events.iter().take(SHOWN) {
            let keys = if line.keys.is_empty() {
                "(all)".to_owned()
            } else {
                line.keys.join(" ")
            };
            let id = line.original_id.clone().unwrap_or_default();
            table.row(vec![
                line.source.to_string(),
                line.provider.to_string(),
                keys,
                id,
            ]);
        }
        write!(f, "\n{table}")?;
        match self.events.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "… and {more} more (--output json lists all)"),
        }
    }
}
