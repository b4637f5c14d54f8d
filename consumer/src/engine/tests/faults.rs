use super::*;

/// Three targets, each of which has met a fault of the cluster.
fn away() -> Engine {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0), ("b", 0), ("c", 0)]));
    for name in ["a", "b", "c"] {
        assert!(engine.capacity() > 0);
        let fault = patched(name, 1, 0, retry(Fault::Cluster, None));
        assert_eq!(tell(&mut engine, START, fault), []);
    }
    engine
}

#[test]
fn after_three_faults_in_a_row_one_patch_at_a_time_probes_the_api() {
    let mut engine = away();
    assert_eq!(engine.capacity(), 0);
    let mut turns = Vec::new();
    for _ in 0..9 {
        let (now, outputs) = next(&mut engine);
        let [Output::Patch { target, .. }] = &outputs[..] else {
            panic!("{outputs:?}");
        };
        turns.push(target.name().to_owned());
        let fault = patched(target.name(), 1, 0, retry(Fault::Cluster, None));
        assert_eq!(tell(&mut engine, now, fault), []);
    }
    turns[3..].sort();
    assert_eq!(
        turns[3..],
        ["a", "a", "b", "b", "c", "c"],
        "they take turns"
    );
}

#[test]
fn when_a_probe_gets_an_answer_all_go_on() {
    for answer in [Outcome::Done, refused(), retry(Fault::Target, None)] {
        let mut engine = away();
        let (now, probe) = next(&mut engine);
        assert_eq!(probe.len(), 1);
        let Output::Patch { target, .. } = &probe[0] else {
            panic!("{probe:?}");
        };
        let outputs = tell(&mut engine, now, patched(target.name(), 1, 0, answer));
        let (_, later) = if outputs.len() < 2 {
            next(&mut engine)
        } else {
            (now, Vec::new())
        };
        assert_eq!(outputs.len() + later.len(), 2, "{outputs:?} {later:?}");
        assert!(engine.capacity() > 0);
    }
}

#[test]
fn an_api_that_nothing_is_left_to_probe_with_is_tried_with_the_next_delivery() {
    let mut engine = away();
    let observed = |name| Input::Observed {
        target: target(name),
        value: Some(value(1, 0)),
        sync: SyncState::Waiting,
    };
    tell(&mut engine, START, observed("a"));
    tell(&mut engine, START, observed("b"));
    assert_eq!(engine.capacity(), 0);
    assert_eq!(tell(&mut engine, START, observed("c")), [Output::Ack(1)]);
    assert!(engine.capacity() > 0);
}

#[test]
fn a_fault_is_retried_with_the_newest_value() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    tell(
        &mut engine,
        START,
        patched("a", 1, 0, retry(Fault::Cluster, None)),
    );
    let newer = take(&mut engine, delivery(2, &[("a", 0)]));
    assert_eq!(newer, [Output::Ack(1)]);
    assert_eq!(next(&mut engine).1, [patch("a", 2, 0)]);
}

#[test]
fn the_api_is_not_asked_again_before_it_wants_to_be() {
    let wish = Duration::from_secs(45);
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    let mut now = START;
    for _ in 0..5 {
        let fault = patched("a", 1, 0, retry(Fault::Cluster, Some(wish)));
        tell(&mut engine, now, fault);
        let (then, outputs) = next(&mut engine);
        assert_eq!(outputs, [patch("a", 1, 0)]);
        assert!(then >= now + wish);
        now = then;
    }
}

#[test]
fn a_fault_of_one_target_delays_no_other_and_grows_to_a_minute() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    let mut now = START;
    let mut waits = Vec::new();
    for _ in 0..10 {
        tell(
            &mut engine,
            now,
            patched("a", 1, 0, retry(Fault::Target, None)),
        );
        let (then, _) = next(&mut engine);
        waits.push(then.saturating_sub(now));
        now = then;
    }
    assert!(waits[0] <= SECOND && waits[9] >= SECOND * 30 && waits[9] <= SECOND * 60);
    assert!(engine.capacity() > 0);
    let other = tell(&mut engine, now, Input::Delivery(delivery(2, &[("b", 0)])));
    assert_eq!(other, [patch("b", 2, 0)]);
}

#[test]
fn a_deleted_target_is_done_as_soon_as_the_api_says_so() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    tell(
        &mut engine,
        START,
        patched("a", 1, 0, retry(Fault::Target, None)),
    );
    let asked = tell(&mut engine, START, Input::Deleted(target("a")));
    assert_eq!(asked, [patch("a", 1, 0)]);
    let not_found = patched("a", 1, 0, Outcome::Done);
    assert_eq!(tell(&mut engine, START, not_found), [Output::Ack(1)]);
}

#[test]
fn a_refusal_becomes_one_dead_letter_for_each_event_when_the_other_targets_are_done() {
    let mut engine = engine();
    take(
        &mut engine,
        delivery(1, &[("a", 0), ("b", 1), ("a", 2), ("c", 0)]),
    );
    assert_eq!(tell(&mut engine, START, patched("a", 1, 2, refused())), []);
    assert_eq!(tell(&mut engine, START, patched("c", 1, 0, refused())), []);
    let outputs = tell(&mut engine, START, patched("b", 1, 1, Outcome::Done));
    let expected = [(Some(0), Reason::Refused), (Some(2), Reason::Refused)];
    assert_eq!(letters(&outputs), expected);
}

#[test]
fn a_message_that_came_often_without_a_panic_is_taken_as_any_other() {
    let mut engine = engine();
    let mut message = delivery(1, &[("a", 0)]);
    message.attempt = 1_000;
    assert_eq!(take(&mut engine, message), [patch("a", 1, 0)]);
    let done = tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(done, [Output::Ack(1)]);
}

#[test]
fn a_panic_is_tried_again_ever_later_until_it_was_too_often() {
    let mut engine = engine();
    for (attempt, least, most) in [(1, 0, 1), (3, 2, 4), (20, 150, 300)] {
        let panicked = Input::Panicked {
            sequence: 1,
            attempt,
        };
        let outputs = tell(&mut engine, START, panicked);
        let [
            Output::Nak {
                delay: Some(delay), ..
            },
        ] = outputs[..]
        else {
            panic!("{outputs:?}");
        };
        assert!(
            delay >= SECOND * least && delay <= SECOND * most,
            "{delay:?}"
        );
        assert!(engine.is_idle());
    }
    let panicked = Input::Panicked {
        sequence: 1,
        attempt: 21,
    };
    let outputs = tell(&mut engine, START, panicked);
    assert_eq!(letters(&outputs), [(None, Reason::TooManyAttempts)]);
}

#[test]
fn what_the_cluster_cannot_take_for_a_day_becomes_a_dead_letter() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0), ("b", 1)]));
    tell(&mut engine, START, patched("b", 1, 1, Outcome::Done));
    let give_up_at = START + Settings::default().give_up_after;
    let (now, outputs) = next(&mut engine);
    assert_eq!(now, give_up_at);
    assert_eq!(letters(&outputs), [(Some(0), Reason::GaveUp)]);
    tell(
        &mut engine,
        now,
        Input::DeadLettered {
            sequence: 1,
            stored: true,
        },
    );
    assert!(!engine.is_idle(), "its patch is still in flight");
    assert_eq!(
        tell(&mut engine, now, patched("a", 1, 0, Outcome::Done)),
        []
    );
    assert!(engine.is_idle());
}
