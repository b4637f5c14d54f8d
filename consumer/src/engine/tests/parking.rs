//! A message is not held for the fault of an object.

use super::*;
use crate::object::Kept;

const LONG: Option<Duration> = Some(Duration::from_secs(60));

fn forbidden(name: &str, sequence: u64) -> Input {
    patched(name, sequence, 0, retry(Fault::Object, LONG))
}

fn handed_back(sequence: u64) -> Output {
    Output::Nak {
        sequence,
        delay: None,
    }
}

/// How long until each parked message is to be delivered again.
fn parks(outputs: &[Output]) -> Vec<(Sequence, Duration)> {
    let park = |output: &_| match output {
        Output::Park { sequence, delay } => Some((*sequence, *delay)),
        _ => None,
    };
    outputs.iter().filter_map(park).collect()
}

/// Its only message is parked, as `a` may not be patched.
fn parked() -> Engine {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    let outputs = tell(&mut engine, START, forbidden("a", 1));
    let [(1, delay)] = parks(&outputs)[..] else {
        panic!("{outputs:?}");
    };
    assert!(delay >= SECOND * 30 && delay <= SECOND * 60, "{delay:?}");
    engine
}

#[test]
fn a_parked_message_is_acked_when_done() {
    let mut engine = parked();
    assert_eq!(engine.capacity(), Settings::default().max_deliveries);
    assert_eq!((engine.parked(), engine.timers.len()), (1, 2));
    let (now, outputs) = next(&mut engine);
    assert_eq!(outputs, [patch("a", 1, 0)], "it is tried as before");
    let done = tell(&mut engine, now, patched("a", 1, 0, Outcome::Done));
    assert_eq!(done, [Output::Ack(1)]);
    assert!(engine.is_idle() && engine.parked() == 0);
}

#[test]
fn only_what_waits_for_nothing_else_is_parked() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0), ("b", 0)]));
    assert_eq!(tell(&mut engine, START, forbidden("a", 1)), []);
    let outputs = tell(&mut engine, START, patched("b", 1, 0, Outcome::Done));
    assert_eq!(parks(&outputs).len(), 1);
}

#[test]
fn a_passing_fault_parks_nothing() {
    for fault in [Fault::Object, Fault::Cluster] {
        let mut engine = engine();
        take(&mut engine, delivery(1, &[("a", 0)]));
        let mut now = START;
        for _ in 0..2 {
            let outputs = tell(&mut engine, now, patched("a", 1, 0, retry(fault, None)));
            assert_eq!(outputs, []);
            (now, _) = next(&mut engine);
        }
        let third = tell(&mut engine, now, patched("a", 1, 0, retry(fault, None)));
        assert_eq!(parks(&third).len(), usize::from(fault == Fault::Object));
    }
}

#[test]
fn a_newer_event_takes_the_place_of_a_parked_one() {
    let mut engine = parked();
    let newer = take(&mut engine, delivery(2, &[("a", 0)]));
    let [Output::Ack(1), Output::Park { sequence: 2, .. }] = newer[..] else {
        panic!("{newer:?}");
    };
    assert_eq!(engine.parked(), 1);
    assert_eq!(next(&mut engine).1, [patch("a", 2, 0)]);
}

/// Found by the simulation: the message that ended was the last to wait for `b`, whose faults were forgotten
/// with it, while the newer one was still coming to it.
#[test]
fn a_newer_message_keeps_the_back_off() {
    let mut engine = engine();
    let overdue = Delivery {
        age: Settings::default().give_up_after,
        ..delivery(1, &[("a", 0), ("b", 0)])
    };
    take(&mut engine, overdue);
    assert_eq!(tell(&mut engine, START, forbidden("b", 1)), []);
    let newer = take(&mut engine, delivery(2, &[("a", 0), ("b", 0)]));
    assert_eq!(newer, [Output::Ack(1)]);
}

#[test]
fn a_failing_object_holds_one_message() {
    let mut engine = parked();
    for sequence in 2..=50_000 {
        take(&mut engine, delivery(sequence, &[("a", 0), ("b", 0)]));
        let good = patched("b", sequence, 0, Outcome::Done);
        let outputs = tell(&mut engine, START, good);
        assert_eq!(parks(&outputs).len(), 1);
        let sync = SyncState::Synced;
        let value = Some(value(sequence, 0));
        let target = target("b");
        let shown = Input::Observed {
            target,
            value,
            sync,
        };
        tell(&mut engine, START, shown);
    }
    assert_eq!((engine.in_progress.len(), engine.targets.len()), (1, 1));
    assert_eq!((engine.answered, engine.outstanding.len()), (0, 0));
    assert_eq!(engine.capacity(), Settings::default().max_deliveries);
}

#[test]
fn a_failing_object_tracks_no_events() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    take(&mut engine, delivery(2, &[("a", 0)]));
    assert_eq!(engine.answered, 1);
    tell(&mut engine, START, forbidden("a", 1));
    assert_eq!(engine.answered, 0);
    take(&mut engine, delivery(3, &[("a", 0)]));
    assert_eq!(engine.answered, 0);
}

#[test]
fn a_redelivered_message_is_parked_longer() {
    let mut engine = parked();
    for attempt in 2..=9 {
        let mut again = delivery(1, &[("a", 0)]);
        again.attempt = attempt;
        let delay = parks(&take(&mut engine, again))[0].1;
        let least = SECOND * 30 * 2_u32.pow(u32::try_from(attempt).unwrap() - 1);
        assert!(delay >= least.min(SECOND * 300), "{delay:?}");
        assert!(delay <= SECOND * 600);
    }
    assert_eq!((engine.in_progress.len(), engine.parked()), (1, 1));
}

#[test]
fn a_refusal_recalls_the_parked_message() {
    let mut engine = parked();
    let (now, _) = next(&mut engine);
    let recalled = tell(&mut engine, now, patched("a", 1, 0, refused()));
    assert_eq!(recalled, [Output::Recall(1)]);
    let again = Input::Delivery(delivery(1, &[("a", 0)]));
    let again = tell(&mut engine, now, again);
    assert_eq!(letters(&again), [(Some(0), Reason::Refused)]);
    assert_eq!((engine.parked(), engine.targets.len()), (0, 0));
}

#[test]
fn a_recall_that_went_elsewhere_is_dropped() {
    let mut engine = parked();
    let (now, _) = next(&mut engine);
    tell(&mut engine, now, patched("a", 1, 0, refused()));
    let (_, outputs) = next(&mut engine);
    assert_eq!(outputs, [handed_back(1)]);
    assert!(engine.is_idle());
}

#[test]
fn a_stop_hands_back_what_was_recalled() {
    let mut engine = parked();
    let (now, _) = next(&mut engine);
    tell(&mut engine, now, patched("a", 1, 0, refused()));
    assert_eq!(tell(&mut engine, now, Input::Stop), [handed_back(1)]);
    assert!(engine.is_idle());
}

#[test]
fn what_is_old_enough_is_given_up_instead_of_parked() {
    let mut engine = engine();
    let mut old = delivery(1, &[("a", 0)]);
    old.age = Settings::default().give_up_after;
    assert_eq!(take(&mut engine, old), [patch("a", 1, 0)], "it is tried");
    let outputs = tell(&mut engine, START, forbidden("a", 1));
    assert_eq!(letters(&outputs), [(Some(0), Reason::GaveUp)]);
}

#[test]
fn a_parked_message_is_recalled_when_it_is_old_enough() {
    let mut engine = parked();
    let give_up_at = START + Settings::default().give_up_after;
    let (mut now, mut outputs) = next(&mut engine);
    while now < give_up_at {
        tell(&mut engine, now, forbidden("a", 1));
        (now, outputs) = next(&mut engine);
    }
    assert_eq!(outputs[0], Output::Recall(1));
    let again = Input::Delivery(delivery(1, &[("a", 0)]));
    let again = tell(&mut engine, now, again);
    assert_eq!(letters(&again), [(Some(0), Reason::GaveUp)]);
}

#[test]
fn an_old_event_gets_an_hour_of_grace() {
    let hour = SECOND * 3600;
    let day = Settings::default().give_up_after;
    for (age, rest) in [(day * 2, hour), (hour * 47 / 2, hour), (hour, hour * 23)] {
        let mut engine = engine();
        let mut old = delivery(1, &[("a", 0)]);
        old.age = age;
        take(&mut engine, old);
        let (now, outputs) = next(&mut engine);
        assert_eq!(now, START + rest);
        assert_eq!(letters(&outputs), [(Some(0), Reason::GaveUp)]);
    }
}

#[test]
fn a_stop_hands_parked_messages_back() {
    let mut engine = parked();
    let outputs = tell(&mut engine, START, Input::Stop);
    assert_eq!(outputs, [handed_back(1)]);
    assert!(engine.is_idle() && engine.parked() == 0);
}

#[test]
fn a_stop_recalls_nothing() {
    let mut engine = parked();
    let (now, outputs) = next(&mut engine);
    assert_eq!(outputs, [patch("a", 1, 0)]);
    assert_eq!(tell(&mut engine, now, Input::Stop), [], "it is under way");
    let give_up_at = START + Settings::default().give_up_after;
    let outputs = tell(&mut engine, give_up_at, Input::Tick);
    assert_eq!(outputs, [handed_back(1)]);
}

#[test]
fn what_no_redelivery_would_bring_back_is_not_parked() {
    for (kept, late) in [(Kept::Position, false), (Kept::Stream, true)] {
        let mut engine = engine();
        let mut message = delivery(1, &[("a", 0)]);
        message.kept = kept;
        let input = if late {
            Input::Late(message)
        } else {
            Input::Delivery(message)
        };
        tell(&mut engine, START, input);
        assert_eq!(tell(&mut engine, START, forbidden("a", 1)), []);
        assert_eq!(engine.parked(), 0);
    }
}
