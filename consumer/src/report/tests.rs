use std::time::Duration;

use eso_relay::{event::Fingerprint, stream::Receipt};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use super::{AnsweredPatch, Reporter, metrics::Metrics, reporter::now};
use crate::{
    engine::Step,
    matching::{EventKind, Lane, MatchedEvent, index::Index},
    object::{ObjectRef, Outcome, RefreshMark, Stage, SyncState},
    tests::{matched_event, received},
};

struct Told {
    reporter: Reporter,
    registry: Registry,
    _receipts: mpsc::Receiver<Receipt>,
}

impl Told {
    fn new() -> Self {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let (receipts, receiver) = mpsc::channel(8);
        Self {
            reporter: Reporter::new("east".parse().unwrap(), metrics, receipts, None),
            registry,
            _receipts: receiver,
        }
    }

    fn says(&self, line: &str) {
        let text = eso_relay::metrics::text(&self.registry).unwrap();
        let line = format!("eso_relay_consumer_{line}");
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }

    fn patched(&mut self, event: &MatchedEvent, stage: Stage) {
        let mark = RefreshMark {
            event: event.value,
            stage,
        };
        let patch = AnsweredPatch {
            target: &target(),
            value: mark,
            outcome: &Outcome::Done,
            status: None,
            took: Duration::ZERO,
        };
        self.reporter.patched(&patch, Some(event));
    }

    /// A new event with one target, which is patched, and then this.
    fn ends(&mut self, event: &MatchedEvent, end: Step) {
        let (index, message) = (Index::new(), received(7));
        let events = [event.clone()];
        self.reporter
            .accepted(&message, &events, &[], &[], true, &index);
        for step in [Step::Patched, end] {
            let after = Duration::from_secs(3);
            self.reporter
                .step(event.value, &target(), step, after, &index);
        }
    }
}

fn target() -> ObjectRef {
    ObjectRef::new("team", "db")
}

/// Received 100 s ago.
fn event(number: u64, lane: Lane, kind: EventKind) -> MatchedEvent {
    let value: Fingerprint = format!("{number:020}").parse().unwrap();
    let received_at: Timestamp = now() - SignedDuration::from_secs(100);
    MatchedEvent {
        lane,
        kind,
        ..matched_event(value, received_at)
    }
}

#[test]
fn the_age_of_an_event_counts_by_lane_and_kind() {
    let mut told = Told::new();
    told.patched(&event(1, Lane::exact, EventKind::live), Stage::First);
    told.patched(&event(2, Lane::mass, EventKind::live), Stage::First);
    told.patched(&event(3, Lane::exact, EventKind::replay), Stage::First);
    told.patched(&event(4, Lane::exact, EventKind::replay), Stage::First);
    told.patched(&event(5, Lane::mass, EventKind::replay), Stage::Settled);
    for (lane, kind, count) in [
        ("exact", "live", 1),
        ("mass", "live", 1),
        ("exact", "replay", 2),
        ("mass", "replay", 0),
    ] {
        told.says(&format!(
            r#"event_age_seconds_count{{lane="{lane}",kind="{kind}"}} {count}"#
        ));
    }
    told.says(r#"event_age_seconds_bucket{le="60.0",lane="exact",kind="live"} 0"#);
    told.says(r#"event_age_seconds_bucket{le="3600.0",lane="exact",kind="live"} 1"#);
}

#[test]
fn a_sync_counts_in_the_lane_of_its_event() {
    let mut told = Told::new();
    told.ends(&event(1, Lane::mass, EventKind::live), Step::Synced);
    told.says(r#"sync_duration_seconds_sum{lane="mass"} 3.0"#);
    told.says(r#"sync_duration_seconds_count{lane="exact"} 0"#);
    told.says(r#"event_to_sync_seconds_bucket{le="60.0",lane="mass"} 0"#);
    told.says(r#"event_to_sync_seconds_bucket{le="3600.0",lane="mass"} 1"#);
    told.ends(&event(2, Lane::exact, EventKind::live), Step::Synced);
    told.says(r#"sync_duration_seconds_count{lane="exact"} 1"#);
    told.says(r#"event_to_sync_seconds_count{lane="exact"} 1"#);
    // What ESO did not sync has no duration.
    told.ends(&event(3, Lane::exact, EventKind::live), Step::Silent);
    told.says(r#"sync_duration_seconds_count{lane="exact"} 1"#);
    told.says(r#"event_to_sync_seconds_count{lane="exact"} 1"#);
}

#[test]
fn an_object_counts_as_unsynced_until_it_is_synced_or_gone() {
    let mut told = Told::new();
    told.ends(&event(1, Lane::exact, EventKind::live), Step::Failed);
    told.says(r#"unsynced_objects{why="failed"} 1"#);
    told.ends(&event(2, Lane::exact, EventKind::live), Step::Silent);
    told.says(r#"unsynced_objects{why="failed"} 0"#);
    told.says(r#"unsynced_objects{why="silent"} 1"#);
    // ESO has tried again by itself.
    told.reporter.observed(&target(), SyncState::Failed);
    told.says(r#"unsynced_objects{why="silent"} 1"#);
    told.reporter.observed(&target(), SyncState::Synced);
    told.says(r#"unsynced_objects{why="silent"} 0"#);
    told.ends(&event(3, Lane::exact, EventKind::live), Step::Failed);
    told.reporter.gone(&target());
    told.says(r#"unsynced_objects{why="failed"} 0"#);
}
