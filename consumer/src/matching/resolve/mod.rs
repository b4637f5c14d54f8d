//! Turns a message into a delivery for the engine: decodes it, and matches its events with the index.

mod matched;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use eso_relay::{
    Event, Slug,
    event::{Match, Settle},
};

pub(crate) use self::matched::{EventKind, Lane, MatchResult, MatchedEvent};
use super::{
    index::{Among, Index, Matched, MatchedWorkload, Skipped, StoreRef, Unrestarted},
    settle::{self, StoreSettle},
};
use crate::{
    engine::{Delivery, Refresh, Restart, StoreId, Urgency},
    object::ObjectKind,
    stream::{Message, decode},
};

/// A delivery for the engine, and its events for the reports.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub delivery: Delivery,
    pub events: Vec<MatchedEvent>,
    /// The skipped objects, each with the event's index.
    pub skipped: Vec<(usize, Skipped)>,
}

/// What the configuration says of stores.
#[derive(Debug, Clone, Default)]
pub(crate) struct StorePolicy {
    pub settles: Vec<StoreSettle>,
    /// Whether each has a rate limit.
    pub paced: bool,
    /// Whether an event that matches only a `find` restarts workloads.
    pub restart_by_find: bool,
}

impl StorePolicy {
    fn restarts(&self, workload: &MatchedWorkload) -> bool {
        match workload.against {
            None => true,
            Some(Unrestarted::Find) => self.restart_by_find,
            Some(Unrestarted::PinnedVersion | Unrestarted::Skipped | Unrestarted::Event) => false,
        }
    }

    fn paced<'a>(&self, stores: impl Iterator<Item = &'a StoreRef>) -> Arc<[StoreId]> {
        if !self.paced {
            return Arc::new([]);
        }
        let mut ids: Vec<StoreId> = stores.map(id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into()
    }
}

/// Stores with equal hashes would share a rate limit; there are 2⁶⁴ hashes.
fn id(store: &StoreRef) -> StoreId {
    let mut hasher = DefaultHasher::new();
    store.hash(&mut hasher);
    hasher.finish()
}

/// An event that matches more objects than this is mass work, whatever its kind.
const MAX_EXACT: usize = 100;

/// `objects`: how many ESO syncs for the event.
fn urgency(event: &Event, objects: usize) -> Urgency {
    match event.matches {
        Match::Exact(_) if objects <= MAX_EXACT => Urgency::Exact,
        _ => Urgency::Mass(event.source.clone()),
    }
}

/// Decodes and matches one message. Also returns the decoded events.
pub(crate) fn resolve(
    message: &Message,
    objects: &Index,
    cluster: &Slug,
    policy: &StorePolicy,
) -> (Resolved, Vec<(usize, Event)>) {
    let decoded = decode(message);
    let matching = |event: &Event| {
        let reaches = event.reaches_cluster(cluster);
        let matched = if reaches {
            objects.matching(event)
        } else {
            Matched::default()
        };
        Some(matched)
    };
    let mut resolved = match_all(
        message,
        &decoded.events,
        objects,
        (cluster, policy),
        matching,
    );
    resolved.delivery.rejected = decoded.rejected;
    (resolved, decoded.events)
}

/// Matches the events of an accepted message again, only with `among`. Events that match none are dropped.
pub(crate) fn resolve_among(
    message: &Message,
    events: &[(usize, Event)],
    objects: &Index,
    cluster: &Slug,
    policy: &StorePolicy,
    among: &Among,
) -> Resolved {
    let matching = |event: &Event| {
        let matched = objects.matching_among(event, among);
        let any = !matched.targets.is_empty() && event.reaches_cluster(cluster);
        any.then_some(matched)
    };
    match_all(message, events, objects, (cluster, policy), matching)
}

fn match_all(
    message: &Message,
    events: &[(usize, Event)],
    objects: &Index,
    (cluster, policy): (&Slug, &StorePolicy),
    matching: impl Fn(&Event) -> Option<Matched>,
) -> Resolved {
    let mut seen_events = Vec::new();
    let (mut refreshes, mut restarts, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for (index, event) in events {
        let Some(mut matched) = matching(event) else {
            continue;
        };
        matched
            .workloads
            .retain(|workload| policy.restarts(workload));
        let weights = matched.targets.iter().map(|target| objects.weight(target));
        let urgency = urgency(event, weights.sum());
        let reaches = event.reaches_cluster(cluster);
        let seen = MatchedEvent::new(*index, event, reaches, &matched, Lane::of(&urgency));
        refreshes.extend(matched.targets.into_iter().map(|target| {
            // A PushSecret writes, so it need not wait until readers get the new value.
            let settle = match target.kind() {
                ObjectKind::PushSecret => None,
                _ => settle::longest(&policy.settles, objects.stores_of(&target))
                    .max(objects.settle_of(&target))
                    .max(event.settle),
            };
            let (carries, sync) = objects.carried(&target);
            Refresh {
                carries,
                sync,
                urgency: urgency.clone(),
                stores: policy.paced(objects.stores_of(&target)),
                weight: objects.weight(&target),
                target,
                event: seen.value,
                index: *index,
                settle: settle.map(Settle::get),
            }
        }));
        let workloads = matched.workloads.into_iter();
        restarts.extend(workloads.filter_map(|matched| {
            Some(Restart {
                state: objects.workload(&matched.workload)?.clone(),
                workload: matched.workload,
                event: seen.value,
                index: *index,
                follows: matched.follows,
                settle: event
                    .settle
                    .filter(|_| matched.reads_store)
                    .map(Settle::get),
            })
        }));
        let skipped = matched.skipped.into_iter();
        left.extend(skipped.map(|skipped| (*index, skipped)));
        seen_events.push(seen);
    }
    Resolved {
        delivery: Delivery {
            sequence: message.sequence,
            attempt: message.attempt,
            pending: message.pending,
            age: message.age,
            kept: message.kept(),
            refreshes,
            restarts,
            rejected: Vec::new(),
        },
        events: seen_events,
        skipped: left,
    }
}

impl MatchedEvent {
    fn new(index: usize, event: &Event, reaches: bool, matched: &Matched, lane: Lane) -> Self {
        let (targets, skipped) = (matched.targets.len(), matched.skipped.len());
        let kind = EventKind::of(event);
        Self {
            index,
            value: event.fingerprint(),
            source: event.source.clone(),
            trace_id: event.traceparent.map(|trace| trace.trace_id()),
            traceparent: event.traceparent,
            tracestate: event.tracestate.clone(),
            event_type: event.kind,
            is_again: kind == EventKind::replay || event.refreshes_everything(),
            received_at: event.asked_at(),
            found: match (targets, skipped) {
                _ if !reaches => MatchResult::elsewhere,
                (0, 0) if matched.workloads.is_empty() => MatchResult::unmatched,
                (0, 1..) if matched.workloads.is_empty() => MatchResult::skipped,
                _ => MatchResult::matched,
            },
            targets,
            skipped,
            lane,
            kind,
        }
    }
}

#[cfg(test)]
mod tests;
