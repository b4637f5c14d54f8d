use super::*;

/// Three targets, each of which has met what looks like a fault of the cluster; the third one makes
/// the engine ask for a probe.
fn suspicious() -> Engine {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0), ("b", 0), ("c", 0)]));
    for (name, asks) in [("a", false), ("b", false), ("c", true)] {
        let fault = patched(name, 1, 0, retry(Fault::Cluster, None));
        let outputs = tell(&mut engine, START, fault);
        assert_eq!(outputs, if asks { vec![Output::Probe] } else { vec![] });
        assert!(engine.capacity() > 0);
    }
    engine
}

fn probed(answered: bool) -> Input {
    Input::Probed { answered }
}

/// The probe was not answered.
fn away() -> Engine {
    let mut engine = suspicious();
    assert_eq!(tell(&mut engine, START, probed(false)), []);
    assert_eq!(engine.capacity(), 0);
    engine
}

#[test]
fn an_unavailable_api_is_only_probed() {
    let mut engine = away();
    assert_eq!(take(&mut engine, delivery(2, &[("d", 0)])), []);
    for _ in 0..9 {
        let (now, outputs) = next(&mut engine);
        assert_eq!(outputs, [Output::Probe]);
        assert_eq!(tell(&mut engine, now, probed(false)), []);
        assert_eq!(engine.capacity(), 0);
    }
}

#[test]
fn when_a_probe_is_answered_all_go_on() {
    let mut engine = away();
    let (now, _) = next(&mut engine);
    let mut patches = tell(&mut engine, now, probed(true));
    assert!(engine.capacity() > 0);
    patches.extend(tell(&mut engine, now + SECOND, Input::Tick));
    patches.sort_by_key(|output| format!("{output:?}"));
    let expected = [patch("a", 1, 0), patch("b", 1, 0), patch("c", 1, 0)];
    assert_eq!(patches, expected);
}

#[test]
fn a_late_answer_to_a_patch_ends_the_absence_too() {
    for answer in [Outcome::Done, refused(), retry(Fault::Object, None)] {
        let mut engine = engine();
        take(
            &mut engine,
            delivery(1, &[("a", 0), ("b", 0), ("c", 0), ("d", 0)]),
        );
        for name in ["a", "b", "c"] {
            let fault = patched(name, 1, 0, retry(Fault::Cluster, None));
            tell(&mut engine, START, fault);
        }
        tell(&mut engine, START, probed(false));
        assert_eq!(engine.capacity(), 0);
        tell(&mut engine, START, patched("d", 1, 0, answer));
        assert!(engine.capacity() > 0);
    }
}

#[test]
fn an_object_that_always_fails_delays_no_other() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("bad", 0)]));
    let (mut now, mut probes) = (START, 0);
    for sequence in 2..60 {
        let fault = patched("bad", 1, 0, retry(Fault::Cluster, None));
        let asked = tell(&mut engine, now, fault);
        if asked.contains(&Output::Probe) {
            probes += 1;
            tell(&mut engine, now, probed(true));
        }
        assert!(engine.capacity() > 0);
        let good = Input::Delivery(delivery(sequence, &[("good", 0)]));
        assert_eq!(tell(&mut engine, now, good), [patch("good", sequence, 0)]);
        let done = patched("good", sequence, 0, Outcome::Done);
        assert_eq!(tell(&mut engine, now, done), [Output::Ack(sequence)]);
        let (then, outputs) = next(&mut engine);
        assert_eq!(outputs, [patch("bad", 1, 0)]);
        now = then;
    }
    assert_eq!(probes, 0, "there were answers in between");
}

/// As for 24 hours on a real cluster: the only object that events mean is the one that fails.
#[test]
fn a_failing_object_backs_off_alone() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("bad", 0)]));
    let (mut now, mut waits) = (START, Vec::new());
    for _ in 0..40 {
        let fault = patched("bad", 1, 0, retry(Fault::Cluster, None));
        if tell(&mut engine, now, fault) == [Output::Probe] {
            tell(&mut engine, now, probed(true));
        }
        assert!(engine.capacity() > 0);
        let (then, outputs) = next(&mut engine);
        assert_eq!(outputs, [patch("bad", 1, 0)]);
        waits.push(then.saturating_sub(now));
        now = then;
    }
    assert!(waits[0] < SECOND && waits[39] >= SECOND * 30 && waits[39] <= SECOND * 60);
}

#[test]
fn a_hanging_namespace_delays_no_other() {
    let mut engine = engine();
    let names: Vec<_> = (0..1_000).map(|at| at.to_string()).collect();
    let refreshes: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
    let mut hanging = take(&mut engine, delivery(1, &refreshes));
    let most = Settings::default().patches_in_flight;
    assert_eq!(hanging.len(), most, "it is not known yet");
    let mut now = START;
    for sequence in 2..100 {
        // They time out, all at once.
        now += SECOND * 5;
        let mut started = Vec::new();
        for output in hanging {
            let Output::Patch { target, value } = output else {
                panic!("{output:?}");
            };
            let outcome = retry(Fault::Cluster, None);
            let fault = Input::Patched {
                target,
                value,
                outcome,
            };
            for output in tell(&mut engine, now, fault) {
                match output {
                    Output::Probe => started.extend(tell(&mut engine, now, probed(true))),
                    other => started.push(other),
                }
            }
        }
        started.retain(|output| !matches!(output, Output::Progress(_)));
        assert!(started.len() <= most / 4, "{}", started.len());
        assert!(engine.capacity() > 0);
        let mut elsewhere = delivery(sequence, &[("good", 0)]);
        elsewhere.refreshes[0].target = ObjectRef::new("elsewhere", "good");
        let outputs = tell(&mut engine, now, Input::Delivery(elsewhere));
        assert!(matches!(outputs[..], [Output::Patch { .. }]), "{outputs:?}");
        let done = Input::Patched {
            target: ObjectRef::new("elsewhere", "good"),
            value: value(sequence, 0),
            outcome: Outcome::Done,
        };
        assert_eq!(tell(&mut engine, now, done), [Output::Ack(sequence)]);
        hanging = started;
    }
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
    let asked = Duration::from_secs(45);
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    let mut now = START;
    for _ in 0..5 {
        let fault = patched("a", 1, 0, retry(Fault::Cluster, Some(asked)));
        tell(&mut engine, now, fault);
        let (then, outputs) = next(&mut engine);
        assert_eq!(outputs, [patch("a", 1, 0)]);
        assert!(then >= now + asked);
        now = then;
    }
}

#[test]
fn a_target_fault_backs_off_to_a_minute() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    let mut now = START;
    let mut waits = Vec::new();
    for _ in 0..10 {
        tell(
            &mut engine,
            now,
            patched("a", 1, 0, retry(Fault::Object, None)),
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
        patched("a", 1, 0, retry(Fault::Object, None)),
    );
    let asked = tell(&mut engine, START, Input::Deleted(target("a")));
    assert_eq!(asked, [patch("a", 1, 0)]);
    let not_found = patched("a", 1, 0, Outcome::Done);
    assert_eq!(tell(&mut engine, START, not_found), [Output::Ack(1)]);
}

#[test]
fn a_refusal_is_one_dead_letter_per_event() {
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
fn many_attempts_without_panic_are_accepted() {
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
fn an_event_is_given_up_after_a_day() {
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
