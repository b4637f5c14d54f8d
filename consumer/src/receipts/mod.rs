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
    delivery::{Received, Seen},
    engine::Step,
    index::Skipped,
    metrics::Found,
    target::Target,
};

/// The most events whose end is awaited, some half KiB each; what comes beyond ends the oldest of them as
/// it stands.
const MAX_OPEN: usize = 16_384;

/// The receipts that are being written. No I/O, no clock.
#[derive(Debug)]
pub struct Ledger {
    cluster: Slug,
    open: HashMap<Fingerprint, Receipt>,
    /// Oldest first; an event that has ended stays until it is the oldest.
    order: VecDeque<Fingerprint>,
    ready: Vec<Receipt>,
}

impl Ledger {
    pub fn new(cluster: Slug) -> Self {
        Self {
            cluster,
            open: HashMap::new(),
            order: VecDeque::new(),
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
            self.ready.push(receipt);
        } else if self.open.insert(event.value, receipt).is_none() {
            self.order.push_back(event.value);
            self.make_room();
        }
    }

    /// An event that has come before means more objects.
    pub fn late(&mut self, now: Timestamp, message: &Received, event: &Seen) {
        match self.open.get_mut(&event.value) {
            Some(receipt) => receipt.matched += event.targets,
            None => self.taken(now, message, event, iter::empty()),
        }
    }

    /// What became of an event at one of its targets.
    pub fn step(&mut self, now: Timestamp, event: Fingerprint, target: &Target, step: Step) {
        let Some(receipt) = self.open.get_mut(&event) else {
            return;
        };
        let was_patched = is_patched(receipt);
        *counted(&mut receipt.counts, step) += 1;
        match step {
            Step::Patched | Step::Carried | Step::Gone | Step::Refused | Step::GaveUp => {
                receipt.patched_at = Some(now);
            }
            Step::Synced | Step::Failed | Step::Silent => receipt.observed_at = Some(now),
        }
        match step {
            Step::Refused => example(receipt, target, "refused"),
            Step::GaveUp => example(receipt, target, "gave_up"),
            Step::Failed => example(receipt, target, "failed"),
            Step::Silent => example(receipt, target, "silent"),
            Step::Patched | Step::Carried | Step::Gone | Step::Synced => {}
        }
        receipt.last = receipt.unobserved() == 0;
        if receipt.last {
            self.ready.extend(self.open.remove(&event));
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

    fn make_room(&mut self) {
        while self.open.len() > MAX_OPEN {
            let oldest = self.order.pop_front();
            self.ready
                .extend(oldest.and_then(|event| self.open.remove(&event)));
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

fn example(receipt: &mut Receipt, target: &Target, what: &str) {
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
        ..
    } = receipt.counts;
    patched + gone + refused + gave_up >= receipt.matched
}
