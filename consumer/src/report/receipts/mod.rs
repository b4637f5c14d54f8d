//! What becomes of each event in this cluster, for `eso-relay trace`. Best effort: no ack waits for it.

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

pub use self::publish::{CAPACITY, hand_in, publish};
use crate::{
    engine::Step,
    matching::{Found, Seen, index::Skipped},
    object::ObjectRef,
    stream::Received,
};

/// The most events whose end is awaited, some half KiB each; what comes beyond ends the oldest of them as
/// it stands.
const MAX_OPEN: usize = 16_384;
/// The most receipts that a late match finds as they ended: as many as events that it is looked for in
/// (`worker/recent.rs`).
const MAX_ENDED: usize = 4096;

/// The receipts that are being written. No I/O, no clock.
#[derive(Debug)]
pub struct Ledger {
    cluster: Slug,
    open: HashMap<Fingerprint, Receipt>,
    /// Oldest first; an event that has ended stays until it is the oldest.
    order: VecDeque<Fingerprint>,
    /// The last receipts, for what is matched late.
    ended: HashMap<Fingerprint, Receipt>,
    /// Oldest first; an event that goes on stays until it is the oldest.
    ended_order: VecDeque<Fingerprint>,
    ready: Vec<Receipt>,
}

impl Ledger {
    pub fn new(cluster: Slug) -> Self {
        Self {
            cluster,
            open: HashMap::new(),
            order: VecDeque::new(),
            ended: HashMap::new(),
            ended_order: VecDeque::new(),
            ready: Vec::new(),
        }
    }

    /// An event has come, with those of its objects that a refresh would not reach.
    pub fn taken<'a>(
        &mut self,
        now: Timestamp,
        message: &Received,
        event: &Seen,
        skipped: impl Iterator<Item = &'a Skipped>,
    ) {
        if event.found == Found::elsewhere {
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
            last: event.targets == 0,
            matched: event.targets,
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
            self.open(receipt);
        }
    }

    /// An event that has come before means more objects.
    pub fn late(&mut self, now: Timestamp, message: &Received, event: &Seen) {
        if let Some(receipt) = self.open.get_mut(&event.value) {
            receipt.matched += event.targets;
        } else if let Some(mut receipt) = self.ended.remove(&event.value) {
            receipt.matched += event.targets;
            receipt.last = false;
            self.open(receipt);
        } else {
            self.taken(now, message, event, iter::empty());
        }
    }

    /// What became of an event at one of its targets.
    pub fn step(&mut self, now: Timestamp, event: Fingerprint, target: &ObjectRef, step: Step) {
        let Some(receipt) = self.open.get_mut(&event) else {
            return;
        };
        let was_patched = is_patched(receipt);
        let count = counted(&mut receipt.counts, step);
        // A message that was delivered twice can be told of twice.
        *count = (*count + 1).min(receipt.matched);
        match step {
            Step::Patched
            | Step::Carried
            | Step::Gone
            | Step::Refused
            | Step::GaveUp
            | Step::Superseded => receipt.patched_at = Some(now),
            Step::Synced | Step::Failed | Step::Silent => receipt.observed_at = Some(now),
        }
        match step {
            Step::Refused => example(receipt, target, "refused"),
            Step::GaveUp => example(receipt, target, "gave_up"),
            Step::Failed => example(receipt, target, "failed"),
            Step::Silent => example(receipt, target, "silent"),
            Step::Patched | Step::Carried | Step::Gone | Step::Superseded | Step::Synced => {}
        }
        receipt.last = receipt.unobserved() == 0;
        if receipt.last {
            if let Some(receipt) = self.open.remove(&event) {
                self.ended(receipt);
            }
            self.forget_the_ended();
        } else if is_patched(receipt) && !was_patched {
            self.ready.push(receipt.clone());
        }
    }

    /// Nobody will look any more. What is not patched everywhere goes on elsewhere, and is told there.
    pub fn end(&mut self) {
        for event in mem::take(&mut self.order) {
            let patched = self.open.remove(&event).filter(is_patched);
            self.ready
                .extend(patched.map(|it| Receipt { last: true, ..it }));
        }
    }

    /// Whose event it is, as long as its end is awaited.
    pub fn source(&self, event: Fingerprint) -> Option<&Slug> {
        Some(&self.open.get(&event)?.source)
    }

    /// What is to be published.
    pub fn ready(&mut self) -> Vec<Receipt> {
        mem::take(&mut self.ready)
    }

    fn open(&mut self, receipt: Receipt) {
        let event = receipt.fingerprint;
        if self.open.insert(event, receipt).is_none() {
            self.order.push_back(event);
        }
        while self.open.len() > MAX_OPEN {
            let oldest = self.order.pop_front();
            self.ready
                .extend(oldest.and_then(|event| self.open.remove(&event)));
        }
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
            // Few at the front hold up many that have ended behind: bounded by twice as many.
            if self.open.contains_key(oldest) && self.order.len() < 2 * MAX_OPEN {
                return;
            }
            let event = self.order.pop_front();
            self.ready
                .extend(event.and_then(|event| self.open.remove(&event)));
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
