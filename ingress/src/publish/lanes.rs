//! Events that wait to be published, in a lane for each subject. The lanes take turns, so that a busy source
//! does not delay the others.

use std::collections::{HashMap, VecDeque};

use eso_relay::stream::Subject;
use tokio::{sync::oneshot, time::Instant};

use super::{
    PublishError, Stored,
    split::{MessageLimits, Part, Size},
};

/// A part of a request, and the request that waits for it.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) part: Part,
    /// Its places in the queue.
    pub(super) places: usize,
    pub(super) waiter: Waiter,
}

/// A request that waits for a message, until its deadline at most. Dropping it answers that the outcome is
/// unknown.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) accepted: Instant,
    pub(super) deadline: Instant,
    pub(super) done: oneshot::Sender<Result<Stored, PublishError>>,
}

impl Waiter {
    pub(super) fn answer(self, result: Result<Stored, PublishError>) {
        // An error means that the client went away; its events are published all the same.
        self.done.send(result).ok();
    }
}

#[derive(Default)]
pub(super) struct Lanes {
    lanes: HashMap<Subject, VecDeque<Submission>>,
    turns: VecDeque<Subject>,
}

impl Lanes {
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    pub(super) fn push(&mut self, submission: Submission) {
        if let Some(lane) = self.lanes.get_mut(&submission.part.subject) {
            lane.push_back(submission);
            return;
        }
        let subject = submission.part.subject.clone();
        self.turns.push_back(subject.clone());
        self.lanes.insert(subject, VecDeque::from([submission]));
    }

    /// Answers the requests whose deadline has passed. Returns the places in the queue that this frees.
    pub(super) fn expire(&mut self, now: Instant) -> usize {
        let mut places = 0;
        self.lanes.retain(|_, lane| {
            // Dropping a submission answers it.
            lane.retain(|waiting| {
                let waits = now < waiting.waiter.deadline;
                places += if waits { 0 } else { waiting.places };
                waits
            });
            !lane.is_empty()
        });
        let lanes = &self.lanes;
        self.turns.retain(|subject| lanes.contains_key(subject));
        places
    }

    /// As much of the next lane as fits into a message: at least one submission, all of one subject.
    pub(super) fn gather(&mut self, limits: MessageLimits) -> Option<Vec<Submission>> {
        let subject = self.turns.pop_front()?;
        let mut lane = self.lanes.remove(&subject)?;
        let count = fitting(&lane, limits);
        let rest = lane.split_off(count);
        if !rest.is_empty() {
            self.turns.push_back(subject.clone());
            self.lanes.insert(subject, rest);
        }
        Some(lane.into())
    }
}

/// At least the first one: a submission by itself always fits.
fn fitting(lane: &VecDeque<Submission>, limits: MessageLimits) -> usize {
    let mut size = Size::default();
    let fit = lane.iter().take_while(|submission| {
        size = size.plus(submission.part.size);
        size.fits(limits)
    });
    fit.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{split::split, tests::event};

    const LIMITS: MessageLimits = MessageLimits {
        events: 3,
        bytes: 1 << 20,
    };

    fn push(lanes: &mut Lanes, source: &str, ids: &[&str]) {
        let events: Vec<_> = ids.iter().map(|id| event(source, id)).collect();
        for part in split(&events, LIMITS, LIMITS.bytes).unwrap() {
            let now = Instant::now();
            lanes.push(Submission {
                places: part.events.len(),
                part,
                waiter: Waiter {
                    accepted: now,
                    deadline: now,
                    done: oneshot::channel().0,
                },
            });
        }
    }

    /// Source and number of events in each submission, message by message.
    fn messages(lanes: &mut Lanes) -> Vec<(String, Vec<usize>)> {
        std::iter::from_fn(|| lanes.gather(LIMITS))
            .map(|gathered| {
                let sizes = gathered.iter();
                let sizes = sizes.map(|submission| submission.part.events.len());
                let source = gathered[0].part.subject.source.to_string();
                (source, sizes.collect())
            })
            .collect()
    }

    #[test]
    fn one_event_alone_is_a_message() {
        let mut lanes = Lanes::default();
        push(&mut lanes, "a", &["1"]);
        assert!(!lanes.is_empty());
        assert_eq!(messages(&mut lanes), [("a".to_owned(), vec![1])]);
        assert!(lanes.is_empty());
    }

    #[test]
    fn what_gathered_for_a_subject_shares_a_message_up_to_the_limit() {
        let mut lanes = Lanes::default();
        for id in ["1", "2", "3", "4"] {
            push(&mut lanes, "a", &[id]);
        }
        let expected = [("a".to_owned(), vec![1, 1, 1]), ("a".to_owned(), vec![1])];
        assert_eq!(messages(&mut lanes), expected);
    }

    #[test]
    fn a_submission_is_never_torn_apart() {
        let mut lanes = Lanes::default();
        push(&mut lanes, "a", &["1", "2"]);
        push(&mut lanes, "a", &["3", "4"]);
        let expected = [("a".to_owned(), vec![2]), ("a".to_owned(), vec![2])];
        assert_eq!(messages(&mut lanes), expected);
    }

    #[test]
    fn a_busy_subject_does_not_keep_another_waiting() {
        let mut lanes = Lanes::default();
        for id in ["1", "2", "3", "4", "5", "6", "7"] {
            push(&mut lanes, "busy", &[id]);
        }
        push(&mut lanes, "quiet", &["8"]);
        let order: Vec<_> = messages(&mut lanes)
            .into_iter()
            .map(|(source, _)| source)
            .collect();
        assert_eq!(order, ["busy", "quiet", "busy", "busy"]);
    }
}
