//! A newer event answers for the older ones of its target.

use super::*;
use crate::object::Kept;

fn settling(sequence: u64, settle: Option<Duration>) -> Delivery {
    let mut delivery = delivery(sequence, &[("a", 0)]);
    delivery.refreshes[0].settle = settle;
    delivery
}

fn steps(outputs: Vec<Output>) -> Vec<(Fingerprint, Step)> {
    let step = |output| match output {
        Output::Step { event, step, .. } => Some((event, step)),
        _ => None,
    };
    outputs.into_iter().filter_map(step).collect()
}

/// An engine that tracks at most `max_events` events.
fn keeping(max_events: usize) -> Engine {
    let settings = Settings {
        max_events,
        ..Settings::default()
    };
    Engine::new(settings, 7)
}

#[test]
fn what_is_held_follows_the_targets() {
    let mut engine = engine();
    let names: Vec<_> = (0..80).map(|at| at.to_string()).collect();
    let targets: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
    for sequence in 1..=1_400 {
        let mut message = delivery(sequence, &targets);
        message.pending = 1;
        take(&mut engine, message);
    }
    let pairs: usize = engine
        .in_progress
        .values()
        .map(|held| held.open.len())
        .sum();
    assert_eq!((engine.in_progress.len(), pairs), (1, 80));
    assert!(engine.answered <= MAX_EVENTS && engine.timers.len() <= 2);
    let max = Settings::default().max_deliveries;
    assert_eq!(engine.capacity(), max - 1);
}

#[test]
fn an_answered_delivery_is_acked() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0), ("b", 0)]));
    assert_eq!(take(&mut engine, delivery(2, &[("a", 0)])), []);
    let last = take(&mut engine, delivery(3, &[("b", 0)]));
    assert_eq!(last, [Output::Ack(1)]);
}

#[test]
fn an_older_event_that_settles_longer_stays() {
    for (older, newer, stays) in [(2, 1, true), (2, 0, true), (2, 2, false), (1, 2, false)] {
        for newer_first in [false, true] {
            let settle = |seconds| (seconds > 0).then_some(SECOND * seconds);
            let mut both = [settling(1, settle(older)), settling(2, settle(newer))];
            if newer_first {
                both.reverse();
            }
            let mut engine = engine();
            let outputs: Vec<_> = both
                .into_iter()
                .flat_map(|delivery| take(&mut engine, delivery))
                .collect();
            let acked = outputs.contains(&Output::Ack(1));
            assert_eq!(acked, !stays, "{older} {newer} {newer_first}");
        }
    }
}

#[test]
fn a_volatile_delivery_answers_for_no_durable_one() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    let late = Input::Late(delivery(2, &[("a", 0)]));
    assert_eq!(tell(&mut engine, START, late), []);
    // It has come again.
    let again = take(&mut engine, delivery(2, &[("a", 0)]));
    assert_eq!(again, [Output::Ack(1)]);
}

#[test]
fn a_late_event_lends_no_older_one_its_second_value() {
    let mut engine = engine();
    take(&mut engine, settling(1, Some(SECOND)));
    tell(&mut engine, START, Input::Late(settling(2, Some(SECOND))));
    tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    let first = tell(&mut engine, START, patched("a", 2, 0, Outcome::Done));
    assert_eq!(first, [], "a crash would lose the second value");
}

#[test]
fn a_gap_is_answered_for_by_whatever_came_later() {
    let mut engine = engine();
    take(&mut engine, delivery(7, &[("a", 0)]));
    let mut gap = delivery(0, &[("a", 0), ("b", 0)]);
    gap.kept = Kept::Position;
    assert_eq!(take(&mut engine, gap), [patch("b", 0, 0)]);
    let done = tell(&mut engine, START, patched("b", 0, 0, Outcome::Done));
    assert_eq!(done, [Output::Ack(0)]);
}

#[test]
fn it_is_as_urgent_as_what_it_answers_for() {
    let mut engine = engine();
    let mut behind = delivery(1, &[("a", 0)]);
    behind.pending = 1;
    take(&mut engine, behind);
    let mut mass = delivery(2, &[("a", 0)]);
    mass.refreshes[0].urgency = Urgency::Mass("b".parse().unwrap());
    take(&mut engine, mass);
    let work = &engine.targets[&target("a")];
    assert_eq!(work.urgency(), Some(Urgency::Exact));
}

#[test]
fn each_event_is_told_what_became_of_the_newer_one() {
    let (done, gone) = (Outcome::Done, Outcome::Gone);
    for (outcome, step) in [
        (done, Step::Patched),
        (gone, Step::Gone),
        (refused(), Step::Refused),
    ] {
        let mut engine = engine();
        take(&mut engine, delivery(1, &[("a", 0)]));
        take(&mut engine, delivery(3, &[("a", 0)]));
        take(&mut engine, delivery(2, &[("a", 0)]));
        let first = tell_all(&mut engine, START, patched("a", 1, 0, Outcome::Done));
        assert_eq!(steps(first), [(event(1, 0), Step::Patched)]);
        let both = tell_all(&mut engine, START, patched("a", 3, 0, outcome));
        assert_eq!(steps(both), [(event(2, 0), step), (event(3, 0), step)]);
        assert_eq!(engine.answered, 0);
    }
}

#[test]
fn untracked_events_are_reported_superseded() {
    let mut engine = keeping(1);
    take(&mut engine, delivery(1, &[("a", 0)]));
    let step = |engine: &mut Engine, sequence| {
        let outputs = tell_all(
            engine,
            START,
            Input::Delivery(delivery(sequence, &[("a", 0)])),
        );
        steps(outputs)
    };
    assert_eq!(step(&mut engine, 2), []);
    assert_eq!(step(&mut engine, 3), [(event(2, 0), Step::Superseded)]);
    let first = tell_all(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(steps(first), [(event(1, 0), Step::Patched)]);
    assert_eq!(engine.outstanding.values(), 1);
}

#[test]
fn a_stop_tells_of_what_the_process_will_not_see() {
    let mut engine = keeping(1);
    take(&mut engine, delivery(1, &[("a", 0)]));
    take(&mut engine, delivery(2, &[("a", 0)]));
    let outputs = tell_all(&mut engine, START, Input::Stop);
    assert_eq!(steps(outputs), [(event(1, 0), Step::Superseded)]);
}

#[test]
fn a_late_event_that_comes_back_keeps_its_place_in_the_queue() {
    let settings = Settings {
        patches_in_flight: 1,
        ..Settings::default()
    };
    let mut engine = Engine::new(settings, 7);
    take(&mut engine, delivery(1, &[("busy", 0)]));
    tell(&mut engine, START, Input::Late(delivery(2, &[("a", 0)])));
    take(&mut engine, delivery(2, &[("a", 0)]));
    let done = patched("busy", 1, 0, Outcome::Done);
    assert_eq!(
        tell(&mut engine, START, done),
        [Output::Ack(1), patch("a", 2, 0)]
    );
}
