use proptest::prelude::*;

use super::*;
use crate::{
    object::Unrefreshable,
    tests::{matched_event, received},
};

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn ledger() -> Ledger {
    Ledger::new("east".parse().unwrap())
}

fn fingerprint(number: usize) -> Fingerprint {
    format!("{number:020}").parse().unwrap()
}

fn target(number: usize) -> ObjectRef {
    ObjectRef::new("apps", &number.to_string())
}

fn take(
    ledger: &mut Ledger,
    number: usize,
    targets: usize,
    found: MatchResult,
    skipped: &[Skipped],
) {
    let (message, event) = taken(number, targets, found, skipped.len());
    ledger.start(START, &message, &event, 0, skipped.iter());
}

fn late(ledger: &mut Ledger, number: usize, targets: usize) {
    let (message, event) = taken(number, targets, MatchResult::matched, 0);
    ledger.late(START, &message, &event);
}

fn taken(
    number: usize,
    targets: usize,
    found: MatchResult,
    skipped: usize,
) -> (Message, MatchedEvent) {
    let message = received(number as u64);
    let event = MatchedEvent {
        found,
        targets,
        skipped,
        ..matched_event(fingerprint(number), START)
    };
    (message, event)
}

fn step(ledger: &mut Ledger, number: usize, object: usize, step: Step) -> Vec<Receipt> {
    ledger.step(START, fingerprint(number), &target(object), step);
    ledger.ready()
}

#[test]
fn receipts_follow_patches_and_syncs() {
    let mut ledger = ledger();
    take(&mut ledger, 1, 2, MatchResult::matched, &[]);
    assert_eq!(step(&mut ledger, 1, 0, Step::Patched), []);
    assert_eq!(step(&mut ledger, 1, 0, Step::Synced), []);
    let patched = step(&mut ledger, 1, 1, Step::Carried);
    assert_eq!(patched.len(), 1);
    assert_eq!((patched[0].counts.patched, patched[0].last), (2, false));
    let last = step(&mut ledger, 1, 1, Step::Silent);
    assert_eq!((last[0].counts.synced, last[0].last), (1, true));
    assert!(!last[0].is_well());
    assert_eq!(last[0].examples[0].object, "apps/1");
    assert_eq!(step(&mut ledger, 1, 1, Step::Synced), []);
    assert!(ledger.open.is_empty() && ledger.order.is_empty());
}

#[test]
fn an_unmatched_event_has_one_receipt() {
    let mut ledger = ledger();
    let skipped = [Skipped {
        target: target(7),
        reason: Unrefreshable::CreatedOnce,
    }];
    take(&mut ledger, 1, 0, MatchResult::unmatched, &[]);
    take(&mut ledger, 2, 0, MatchResult::skipped, &skipped);
    take(&mut ledger, 3, 0, MatchResult::elsewhere, &[]);
    let receipts = ledger.ready();
    assert_eq!(receipts.len(), 2);
    assert!(receipts.iter().all(Receipt::is_well));
    assert_eq!(receipts[1].skipped["created_once"], 1);
    assert_eq!(receipts[1].examples[0].what, "created_once");
}

#[test]
fn many_objects_are_counted_and_few_named() {
    let mut ledger = ledger();
    take(&mut ledger, 1, 1_000, MatchResult::matched, &[]);
    let mut last = Vec::new();
    for object in 0..1_000 {
        last = step(&mut ledger, 1, object, Step::Refused);
    }
    assert_eq!(last[0].counts.refused, 1_000);
    assert_eq!(last[0].examples.len(), MAX_EXAMPLES);
    assert!(serde_json::to_vec(&last).unwrap().len() < 2_000);
}

#[test]
fn what_is_matched_late_adds_to_the_receipt_that_has_ended() {
    let mut ledger = ledger();
    let skipped = [Skipped {
        target: target(7),
        reason: Unrefreshable::CreatedOnce,
    }];
    take(&mut ledger, 1, 1, MatchResult::matched, &skipped);
    step(&mut ledger, 1, 0, Step::Patched);
    assert!(step(&mut ledger, 1, 0, Step::Synced)[0].last);
    late(&mut ledger, 1, 2);
    assert_eq!(step(&mut ledger, 1, 1, Step::Gone), []);
    step(&mut ledger, 1, 2, Step::Patched);
    let last = step(&mut ledger, 1, 2, Step::Synced).remove(0);
    assert_eq!((last.matched, last.skipped["created_once"]), (3, 1));
    assert_eq!(
        (last.counts.synced, last.counts.gone, last.last),
        (2, 1, true)
    );
}

#[test]
fn a_late_match_continues_the_receipt() {
    let mut ledger = ledger();
    take(&mut ledger, 1, 0, MatchResult::unmatched, &[]);
    assert!(ledger.ready()[0].last);
    late(&mut ledger, 1, 1);
    step(&mut ledger, 1, 0, Step::Patched);
    late(&mut ledger, 1, 1);
    assert!(step(&mut ledger, 1, 0, Step::Synced).is_empty());
    let last = step(&mut ledger, 1, 1, Step::Superseded).remove(0);
    assert_eq!((last.matched, last.counts.synced, last.last), (2, 1, true));
    assert!(!last.is_well(), "what became of it there is not known");
}

#[test]
fn of_many_that_have_ended_the_oldest_are_forgotten() {
    let mut ledger = ledger();
    for number in 0..=MAX_ENDED {
        take(&mut ledger, number, 0, MatchResult::unmatched, &[]);
    }
    assert_eq!(
        (ledger.ended.len(), ledger.ended_order.len()),
        (MAX_ENDED, MAX_ENDED)
    );
}

#[test]
fn a_step_that_is_told_twice_counts_no_object_twice() {
    let mut ledger = ledger();
    take(&mut ledger, 1, 1, MatchResult::matched, &[]);
    step(&mut ledger, 1, 0, Step::Patched);
    step(&mut ledger, 1, 0, Step::Patched);
    let last = step(&mut ledger, 1, 0, Step::Synced).remove(0);
    assert_eq!((last.counts.patched, last.counts.synced), (1, 1));
}

#[test]
fn memory_is_bounded_and_the_oldest_is_told_as_it_stands() {
    let mut ledger = ledger();
    for number in 0..=MAX_OPEN {
        take(&mut ledger, number, 1, MatchResult::matched, &[]);
    }
    let told = ledger.ready();
    assert_eq!((told.len(), told[0].fingerprint), (1, fingerprint(0)));
    assert!(!told[0].last);
    assert_eq!(ledger.open.len(), MAX_OPEN);
}

#[test]
fn a_stop_publishes_unsynced_receipts() {
    let mut ledger = ledger();
    take(&mut ledger, 1, 2, MatchResult::matched, &[]);
    take(&mut ledger, 2, 1, MatchResult::matched, &[]);
    step(&mut ledger, 1, 0, Step::Patched);
    step(&mut ledger, 1, 1, Step::Patched);
    step(&mut ledger, 1, 1, Step::Synced);
    ledger.end();
    let told = ledger.ready();
    assert_eq!(told.len(), 1, "the other event is handed back");
    assert!(told[0].last && !told[0].is_well());
    assert_eq!(told[0].unobserved(), 1);
}

proptest! {
    #[test]
    fn the_last_receipt_comes_once_and_accounts_for_every_object(
        ways in prop::collection::vec(0..8_usize, 1..40),
    ) {
        let mut ledger = ledger();
        take(&mut ledger, 1, ways.len(), MatchResult::matched, &[]);
        let mut told = Vec::new();
        for (object, way) in ways.iter().enumerate() {
            let steps: &[Step] = match way {
                0 => &[Step::Gone],
                1 => &[Step::Refused],
                2 => &[Step::GaveUp],
                3 => &[Step::Patched, Step::Gone],
                4 => &[Step::Patched, Step::Failed],
                5 => &[Step::Carried, Step::Silent],
                6 => &[Step::Superseded],
                _ => &[Step::Patched, Step::Synced],
            };
            for next in steps {
                told.extend(step(&mut ledger, 1, object, *next));
            }
        }
        let last: Vec<_> = told.iter().filter(|receipt| receipt.last).collect();
        prop_assert_eq!(last.len(), 1);
        let Counts { gone, refused, gave_up, superseded, synced, failed, silent, .. } = last[0].counts;
        let over = gone + refused + gave_up + superseded + synced + failed + silent;
        prop_assert_eq!(over, ways.len());
        prop_assert!(ledger.open.is_empty());
    }
}
