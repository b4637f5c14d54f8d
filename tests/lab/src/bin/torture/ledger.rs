//! What the ingress answered, and what each answer of 202 is still waiting for.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Answers to webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Answers {
    /// 202: from here on it is a promise.
    pub(crate) accepted: u64,
    /// 503: the sender sends it again, or not; nothing is promised.
    pub(crate) refused: u64,
    /// The connection broke or nothing came in time: nothing is promised either.
    pub(crate) unanswered: u64,
}

/// One webhook that was answered 202.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Of the webhook.
    pub(crate) number: usize,
    /// The event's, as the ingress said it.
    pub(crate) id: String,
    at: Instant,
    /// The clusters where its effect was not seen yet.
    missing: Vec<usize>,
}

/// Of one round.
#[derive(Debug)]
pub(crate) struct Ledger {
    clusters: usize,
    pub(crate) answers: Answers,
    /// Answers that are neither 202 nor 503.
    pub(crate) strange: Vec<String>,
    pub(crate) ids: Vec<String>,
    pub(crate) waiting: Vec<Accepted>,
    /// Since when no fault is on; none while one is.
    up_since: Option<Instant>,
    /// The longest that an effect took since its webhook was accepted or since no fault was on,
    /// whichever is later. An effect that comes while a fault is on counts as none.
    pub(crate) longest_wait: Duration,
    /// The effects that took longer than promised.
    pub(crate) late: u64,
}

impl Ledger {
    pub(crate) fn new(clusters: usize, now: Instant) -> Self {
        Self {
            clusters,
            answers: Answers::default(),
            strange: Vec::new(),
            ids: Vec::new(),
            waiting: Vec::new(),
            up_since: Some(now),
            longest_wait: Duration::ZERO,
            late: 0,
        }
    }

    pub(crate) fn accepted(&mut self, number: usize, id: String, now: Instant) {
        self.answers.accepted += 1;
        self.ids.push(id.clone());
        self.waiting.push(Accepted {
            number,
            id,
            at: now,
            missing: (0..self.clusters).collect(),
        });
    }

    pub(crate) fn fault_begins(&mut self) {
        self.up_since = None;
    }

    /// The last fault that was on has ended.
    pub(crate) fn all_up(&mut self, now: Instant) {
        self.up_since = Some(now);
    }

    /// Looks for effects: `has_arrived` in this cluster of the webhook of this number.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        promise: Duration,
        has_arrived: impl Fn(usize, usize) -> bool,
    ) {
        let (up_since, longest, late) = (self.up_since, &mut self.longest_wait, &mut self.late);
        for it in &mut self.waiting {
            let (at, number) = (it.at, it.number);
            it.missing.retain(|cluster| {
                let arrived = has_arrived(*cluster, number);
                if let (true, Some(up_since)) = (arrived, up_since) {
                    let wait = now.saturating_duration_since(at.max(up_since));
                    *longest = wait.max(*longest);
                    *late += u64::from(wait > promise);
                }
                !arrived
            });
        }
        self.waiting.retain(|it| !it.missing.is_empty());
    }
}

impl std::ops::AddAssign for Answers {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISE: Duration = Duration::from_secs(20);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_effect_must_be_seen_in_each_cluster() {
        let start = Instant::now();
        let mut ledger = Ledger::new(2, start);
        ledger.accepted(7, "a".into(), start);
        ledger.look(start, PROMISE, |cluster, number| {
            cluster == 0 && number == 7
        });
        assert_eq!(ledger.waiting[0].missing, [1]);
        ledger.look(start, PROMISE, |cluster, _| cluster == 1);
        assert!(ledger.waiting.is_empty());
        assert_eq!(ledger.ids, ["a"]);
    }

    #[test]
    fn a_wait_is_counted_since_the_webhook_or_since_all_was_up() {
        let start = Instant::now();
        let mut ledger = Ledger::new(1, start);
        ledger.accepted(1, "a".into(), start);
        ledger.fault_begins();
        ledger.all_up(start + seconds(30));
        ledger.accepted(2, "b".into(), start + seconds(35));
        ledger.look(start + seconds(40), PROMISE, |_, number| number == 2);
        assert_eq!((ledger.longest_wait, ledger.late), (seconds(5), 0));
        ledger.look(start + seconds(51), PROMISE, |_, _| true);
        assert_eq!((ledger.longest_wait, ledger.late), (seconds(21), 1));
    }

    #[test]
    fn an_effect_amid_a_fault_counts_as_no_wait() {
        let start = Instant::now();
        let mut ledger = Ledger::new(1, start);
        ledger.accepted(1, "a".into(), start);
        ledger.fault_begins();
        ledger.look(start + seconds(60), PROMISE, |_, _| true);
        assert_eq!((ledger.longest_wait, ledger.late), (Duration::ZERO, 0));
        assert!(ledger.waiting.is_empty());
    }
}
