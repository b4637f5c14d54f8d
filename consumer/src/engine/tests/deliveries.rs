use super::*;

#[test]
fn a_message_that_means_nothing_is_acked_at_once() {
    let mut engine = engine();
    assert_eq!(take(&mut engine, delivery(1, &[])), [Output::Ack(1)]);
    assert!(engine.is_idle());
    assert_eq!(engine.wake_at(), None);
}

#[test]
fn a_delivery_is_acked_when_its_last_target_is_done() {
    let mut engine = engine();
    let started = take(&mut engine, delivery(1, &[("a", 0), ("b", 0)]));
    assert_eq!(started, [patch("a", 1, 0), patch("b", 1, 0)]);
    let first = tell(&mut engine, START, patched("b", 1, 0, Outcome::Done));
    assert_eq!(first, []);
    let last = tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(last, [Output::Ack(1)]);
    assert!(engine.is_idle());
}

#[test]
fn only_the_newest_event_of_a_message_is_patched() {
    let mut engine = engine();
    let started = take(&mut engine, delivery(1, &[("a", 0), ("a", 2), ("a", 1)]));
    assert_eq!(started, [patch("a", 1, 2)]);
}

#[test]
fn events_during_a_patch_are_coalesced() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    for (sequence, older) in [(3, 1), (4, 3), (2, 2)] {
        let outputs = take(&mut engine, delivery(sequence, &[("a", 0)]));
        assert_eq!(outputs, [Output::Ack(older)]);
    }
    let first = tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(first, [patch("a", 4, 0)]);
    let second = tell(&mut engine, START, patched("a", 4, 0, Outcome::Done));
    assert_eq!(second, [Output::Ack(4)]);
}

#[test]
fn a_backlog_is_coalesced_per_target() {
    let mut engine = engine();
    for sequence in 1..10 {
        let mut behind = delivery(sequence, &[("a", 0)]);
        behind.pending = 10 - sequence;
        let older = (sequence > 1).then(|| Output::Ack(sequence - 1));
        assert_eq!(take(&mut engine, behind), Vec::from_iter(older));
    }
    let last = take(&mut engine, delivery(10, &[("a", 0)]));
    assert_eq!(last, [Output::Ack(9), patch("a", 10, 0)]);
    let done = tell(&mut engine, START, patched("a", 10, 0, Outcome::Done));
    assert_eq!(done, [Output::Ack(10)], "one patch for all");
}

#[test]
fn an_endless_backlog_does_not_block_patches() {
    let mut engine = engine();
    let mut behind = delivery(1, &[("a", 0)]);
    behind.pending = 1_000_000;
    assert_eq!(take(&mut engine, behind), []);
    let (_, started) = next(&mut engine);
    assert_eq!(started, [patch("a", 1, 0)]);
}

#[test]
fn an_older_delivery_is_not_held_beside_a_newer_one() {
    let mut engine = engine();
    take(&mut engine, delivery(5, &[("a", 0)]));
    let older = take(&mut engine, delivery(3, &[("a", 0)]));
    assert_eq!(older, [Output::Ack(3)]);
    let outputs = tell(&mut engine, START, patched("a", 5, 0, Outcome::Done));
    assert_eq!(outputs, [Output::Ack(5)]);
}

#[test]
fn a_redelivery_only_counts_the_attempt() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    let mut again = delivery(1, &[("a", 0)]);
    again.attempt = 99;
    assert_eq!(take(&mut engine, again), []);
    let panicked = Input::Panicked {
        sequence: 1,
        attempt: 100,
    };
    assert_eq!(tell(&mut engine, START, panicked), []);
    let outputs = tell(&mut engine, START, patched("a", 1, 0, refused()));
    assert!(matches!(
        outputs[..],
        [Output::DeadLetter { attempt: 100, .. }]
    ));
}

#[test]
fn only_the_very_value_on_the_object_saves_the_patch() {
    let two = [("a", 0), ("a", 1)];
    for (carries, saved) in [
        (Some(value(1, 1)), true),
        (Some(value(1, 0)), false),
        (Some(value(2, 0)), false),
        (None, false),
    ] {
        let mut engine = engine();
        let mut delivery = delivery(1, &two);
        for refresh in &mut delivery.refreshes {
            refresh.carries = carries;
        }
        let expected = if saved {
            Output::Ack(1)
        } else {
            patch("a", 1, 1)
        };
        assert_eq!(take(&mut engine, delivery), [expected], "{carries:?}");
    }
}

#[test]
fn an_observed_mark_releases_older_waiters() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    take(&mut engine, delivery(2, &[("a", 0)]));
    let observed = |sequence| Input::Observed {
        target: target("a"),
        value: Some(value(sequence, 0)),
        sync: SyncState::Waiting,
    };
    assert_eq!(tell(&mut engine, START, observed(1)), []);
    assert_eq!(tell(&mut engine, START, observed(2)), [Output::Ack(2)]);
    let outputs = tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(outputs, []);
    assert!(engine.is_idle());
}

#[test]
fn what_nobody_asked_about_costs_nothing() {
    let mut engine = engine();
    for input in [
        Input::Observed {
            target: target("a"),
            value: Some(value(1, 0)),
            sync: SyncState::Waiting,
        },
        Input::Deleted(target("a")),
        patched("a", 1, 0, Outcome::Done),
        Input::DeadLettered {
            sequence: 1,
            stored: true,
        },
        Input::Tick,
    ] {
        assert_eq!(tell(&mut engine, START, input), []);
    }
    assert!(engine.is_idle());
    assert_eq!(engine.wake_at(), None);
}

#[test]
fn capacity_is_what_is_not_held() {
    let mut engine = Engine::new(
        Settings {
            max_deliveries: 2,
            ..Settings::default()
        },
        7,
    );
    assert_eq!(engine.capacity(), 2);
    take(&mut engine, delivery(1, &[("a", 0)]));
    assert_eq!(engine.capacity(), 1);
    tell(&mut engine, START, patched("a", 1, 0, refused()));
    assert_eq!(engine.capacity(), 1, "its dead letters are not stored yet");
    for sequence in [2, 3] {
        take(&mut engine, delivery(sequence, &[("b", 0)]));
    }
    assert_eq!(engine.capacity(), 0);
}

#[test]
fn progress_is_sent_for_each_held_delivery_again_and_again() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    take(&mut engine, delivery(2, &[("b", 0)]));
    let every = Settings::default().progress_every;
    for round in 1..=3 {
        let now = START + every * round;
        assert_eq!(engine.wake_at(), Some(now));
        let outputs = tell(&mut engine, now, Input::Tick);
        assert_eq!(outputs, [Output::Progress(1), Output::Progress(2)]);
    }
}

#[test]
fn a_redelivery_puts_the_next_progress_off() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    tell(
        &mut engine,
        START + SECOND,
        Input::Delivery(delivery(1, &[("a", 0)])),
    );
    let every = Settings::default().progress_every;
    assert_eq!(engine.wake_at(), Some(START + SECOND + every));
}

#[test]
fn undecodable_events_are_dead_lettered_last() {
    let mut engine = engine();
    let mut message = delivery(1, &[("a", 1)]);
    message.rejected = vec![rejection(0), rejection(2)];
    assert_eq!(take(&mut engine, message), [patch("a", 1, 1)]);
    let outputs = tell(&mut engine, START, patched("a", 1, 1, Outcome::Done));
    let expected = [
        (Some(0), Reason::Undecodable),
        (Some(2), Reason::Undecodable),
    ];
    assert_eq!(letters(&outputs), expected);
}

#[test]
fn term_follows_the_stored_dead_letters() {
    for stored in [true, false] {
        let mut engine = engine();
        let mut message = delivery(1, &[]);
        message.rejected = vec![rejection(0)];
        letters(&take(&mut engine, message));
        let outputs = tell(
            &mut engine,
            START,
            Input::DeadLettered {
                sequence: 1,
                stored,
            },
        );
        match outputs[..] {
            [
                Output::Term {
                    sequence: 1,
                    reason,
                },
            ] if stored => assert_eq!(reason, Reason::Undecodable),
            [Output::Nak { sequence: 1, delay }] if !stored => {
                assert!(delay > Some(Duration::ZERO));
            }
            _ => panic!("{outputs:?}"),
        }
        assert!(engine.is_idle());
    }
}

#[test]
fn a_backlog_that_another_replica_took_holds_no_patch_back() {
    let mut engine = engine();
    let behind = Delivery {
        pending: 1,
        ..delivery(1, &[("db", 0)])
    };
    assert_eq!(take(&mut engine, behind), []);
    let outputs = tell(&mut engine, START, Input::CaughtUp);
    assert_eq!(outputs, [patch("db", 1, 0)]);
}

/// Found by the simulation: the stream would not bring the message back.
#[test]
fn a_refused_late_match_retries_its_dead_letter() {
    let mut engine = engine();
    let late = delivery(1, &[("a", 0)]);
    tell(&mut engine, START, Input::Late(late));
    let mut outputs = tell(&mut engine, START, patched("a", 1, 0, refused()));
    for _ in 0..3 {
        assert_eq!(letters(&outputs), [(Some(0), Reason::Refused)]);
        let stored = Input::DeadLettered {
            sequence: 1,
            stored: false,
        };
        assert_eq!(tell(&mut engine, START, stored), []);
        outputs = next(&mut engine).1;
    }
    let stored = Input::DeadLettered {
        sequence: 1,
        stored: true,
    };
    let [Output::Term { sequence: 1, .. }] = tell(&mut engine, START, stored)[..] else {
        panic!("not terminated");
    };
    assert!(engine.is_idle() && engine.timers.len() == 0);
}
