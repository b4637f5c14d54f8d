//! Receipts: the progress of each event in this cluster, for `eso-relay trace`. Best effort: no ack waits for one.

mod publish;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    iter, mem,
};

use eso_relay::{
    Slug,
    event::Fingerprint,
    stream::{
        Receipt,
        receipt::{Counts, Example, MAX_EXAMPLES},
    },
};
use jiff::Timestamp;

pub(crate) use self::publish::{CAPACITY, publish, send};
use crate::{
    engine::{RolloutResult, Step},
    matching::{Lane, MatchResult, MatchedEvent, index::Skipped},
    object::ObjectRef,
    stream::Message,
};

/// The most open receipts, some half KiB each; beyond that the oldest is published as it is.
const MAX_OPEN: usize = 16_384;
/// The most ended receipts that are kept for late matches: as many as recent events (`worker/recent.rs`).
const MAX_ENDED: usize = 4096;

/// Collects the receipts. No I/O, no clock.
#[derive(Debug)]
pub(crate) struct Ledger {
    cluster: Slug,
    open: HashMap<Fingerprint, Open>,
    /// Oldest first; an ended event stays until it is the oldest.
    order: VecDeque<Fingerprint>,
    /// The last receipts, for late matches.
    ended: HashMap<Fingerprint, Receipt>,
    /// Oldest first; an event that is open again stays until it is the oldest.
    ended_order: VecDeque<Fingerprint>,
    ready: Vec<Receipt>,
}

#[derive(Debug)]
struct Open {
    receipt: Receipt,
    lane: Lane,
}

impl Ledger {
    pub(crate) fn new(cluster: Slug) -> Self {
        Self {
            cluster,
            open: HashMap::new(),
            order: VecDeque::new(),
            ended: HashMap::new(),
            ended_order: VecDeque::new(),
            ready: Vec::new(),
        }
    }

    /// Starts the receipt of an event, with the number of workloads to restart and the objects that are skipped.
    pub(crate) fn start<'a>(
        &mut self,
        now: Timestamp,
        message: &Message,
        event: &MatchedEvent,
        workloads: usize,
        skipped: impl Iterator<Item = &'a Skipped>,
    ) {
        if event.found == MatchResult::elsewhere {
            return;
        }
        let mut receipt = Receipt {
            fingerprint: event.value,
            source: event.source.clone(),
            cluster: self.cluster.clone(),
            sequence: message.sequence,
            attempt: message.attempt,
            trace_id: event.trace_id.clone(),
            received_at: event.received_at,
            taken_at: now,
            patched_at: None,
            observed_at: None,
            restarted_at: None,
            last: event.targets + workloads == 0,
            matched: event.targets,
            workloads,
            counts: Counts::default(),
            skipped: BTreeMap::new(),
            examples: Vec::new(),
        };
        for Skipped { target, reason } in skipped {
            let count = receipt.skipped.entry(reason.as_str().to_owned());
            *count.or_default() += 1;
            example(&mut receipt, target, reason.as_str());
        }
        if receipt.last {
            self.ended(receipt);
        } else {
            self.open(receipt, event.lane);
        }
    }

    /// Adds the objects of a late match.
    pub(crate) fn late(&mut self, now: Timestamp, message: &Message, event: &MatchedEvent) {
        if let Some(open) = self.open.get_mut(&event.value) {
            open.receipt.matched += event.targets;
        } else if let Some(mut receipt) = self.ended.remove(&event.value) {
            receipt.matched += event.targets;
            receipt.last = false;
            self.open(receipt, event.lane);
        } else {
            self.start(now, message, event, 0, iter::empty());
        }
    }

    /// Adds a step of the event at one of its targets or workloads.
    pub(crate) fn step(
        &mut self,
        now: Timestamp,
        event: Fingerprint,
        target: &ObjectRef,
        step: Step,
    ) {
        let Some(Open { receipt, .. }) = self.open.get_mut(&event) else {
            return;
        };
        let before = (is_patched(receipt), receipt.unobserved() == 0);
        let most = match step {
            Step::Restarted | Step::NotRestarted(_) => receipt.workloads,
            _ => receipt.matched,
        };
        let count = counted(&mut receipt.counts, step);
        // The steps of a message that was delivered twice may come twice.
        *count = (*count + 1).min(most);
        match step {
            Step::Patched
            | Step::Carried
            | Step::Gone
            | Step::Refused
            | Step::GaveUp
            | Step::Superseded => receipt.patched_at = Some(now),
            Step::Synced | Step::Failed | Step::Silent => receipt.observed_at = Some(now),
            Step::Restarted | Step::NotRestarted(_) => receipt.restarted_at = Some(now),
        }
        match step {
            Step::Refused => example(receipt, target, "refused"),
            Step::GaveUp => example(receipt, target, "gave_up"),
            Step::Failed => example(receipt, target, "failed"),
            Step::Silent => example(receipt, target, "silent"),
            Step::NotRestarted(why) => example(receipt, target, why.as_str()),
            Step::Patched
            | Step::Carried
            | Step::Gone
            | Step::Superseded
            | Step::Synced
            | Step::Restarted => {}
        }
        let after = (is_patched(receipt), receipt.unobserved() == 0);
        receipt.last = after.1 && receipt.unrestarted() == 0;
        if receipt.last {
            if let Some(open) = self.open.remove(&event) {
                self.ended(open.receipt);
            }
            self.forget_the_ended();
        } else if after.0 && after != before {
            self.ready.push(receipt.clone());
        }
    }

    /// Adds that a workload has rolled out for the event, or fails to. The receipt may have ended with its restart.
    pub(crate) fn rolled_out(
        &mut self,
        now: Timestamp,
        event: Fingerprint,
        workload: &ObjectRef,
        result: RolloutResult,
    ) {
        let open = self.open.get_mut(&event);
        let open = open.map(|open| &mut open.receipt);
        let Some(receipt) = open.or_else(|| self.ended.get_mut(&event)) else {
            return;
        };
        receipt.restarted_at = Some(now);
        match result {
            RolloutResult::Done => {
                let count = receipt.counts.rolled_out + 1;
                receipt.counts.rolled_out = count.min(receipt.workloads);
            }
            RolloutResult::Failed => example(receipt, workload, "rollout_failed"),
        }
        self.ready.push(receipt.clone());
    }

    /// Ends the open receipts. An event that is not patched everywhere continues in another replica, which
    /// publishes its own receipt.
    pub(crate) fn end(&mut self) {
        for event in mem::take(&mut self.order) {
            let open = self.open.remove(&event).map(|open| open.receipt);
            let patched = open.filter(is_patched);
            self.ready
                .extend(patched.map(|it| Receipt { last: true, ..it }));
        }
    }

    /// The source of an open event.
    pub(crate) fn source(&self, event: Fingerprint) -> Option<&Slug> {
        Some(&self.open.get(&event)?.receipt.source)
    }

    /// By which lane an open event goes, and when it was received.
    pub(crate) fn asked(&self, event: Fingerprint) -> Option<(Lane, Timestamp)> {
        let open = self.open.get(&event)?;
        Some((open.lane, open.receipt.received_at))
    }

    /// Takes the receipts to publish.
    pub(crate) fn ready(&mut self) -> Vec<Receipt> {
        mem::take(&mut self.ready)
    }

    fn open(&mut self, receipt: Receipt, lane: Lane) {
        let event = receipt.fingerprint;
        if self.open.insert(event, Open { receipt, lane }).is_none() {
            self.order.push_back(event);
        }
        while self.open.len() > MAX_OPEN {
            self.publish_oldest();
        }
    }

    fn publish_oldest(&mut self) {
        let oldest = self.order.pop_front();
        let open = oldest.and_then(|event| self.open.remove(&event));
        self.ready.extend(open.map(|open| open.receipt));
    }

    fn ended(&mut self, receipt: Receipt) {
        let event = receipt.fingerprint;
        self.ready.push(receipt.clone());
        if self.ended.insert(event, receipt).is_none() {
            self.ended_order.push_back(event);
        }
        while self.ended_order.len() > MAX_ENDED {
            let oldest = self.ended_order.pop_front();
            oldest.and_then(|event| self.ended.remove(&event));
        }
    }

    fn forget_the_ended(&mut self) {
        while let Some(oldest) = self.order.front() {
            // A few open ones at the front may keep many ended ones: at most twice the bound.
            if self.open.contains_key(oldest) && self.order.len() < 2 * MAX_OPEN {
                return;
            }
            self.publish_oldest();
        }
    }
}

fn example(receipt: &mut Receipt, target: &ObjectRef, what: &str) {
    if receipt.examples.len() < MAX_EXAMPLES {
        receipt.examples.push(Example {
            object: target.to_string(),
            what: what.to_owned(),
        });
    }
}

fn counted(counts: &mut Counts, step: Step) -> &mut usize {
    match step {
        Step::Patched | Step::Carried => &mut counts.patched,
        Step::Gone => &mut counts.gone,
        Step::Refused => &mut counts.refused,
        Step::GaveUp => &mut counts.gave_up,
        Step::Superseded => &mut counts.superseded,
        Step::Synced => &mut counts.synced,
        Step::Failed => &mut counts.failed,
        Step::Silent => &mut counts.silent,
        Step::Restarted => &mut counts.restarted,
        Step::NotRestarted(_) => &mut counts.not_restarted,
    }
}

/// Whether the API has had its word about every object.
fn is_patched(receipt: &Receipt) -> bool {
    let Counts {
        patched,
        gone,
        refused,
        gave_up,
        superseded,
        ..
    } = receipt.counts;
    patched + gone + refused + gave_up + superseded >= receipt.matched
}
