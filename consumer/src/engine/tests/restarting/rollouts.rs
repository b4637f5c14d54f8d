//! The rollouts under way: how many, how they end, and what waits for them.

use super::*;

/// Ten workloads of one secret, of which as many as the window has places are in flight.
fn many() -> (Engine, Duration, Vec<String>) {
    let mut engine = engine();
    let names: Vec<_> = (0..10).map(|number| format!("w{number}")).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    take(&mut engine, restarting(1, &["a"], &all));
    sync(&mut engine, START, "a", 1);
    let (now, outputs) = next(&mut engine);
    assert_eq!(outputs.len(), RestartSettings::default().concurrency);
    (engine, now, names)
}

#[test]
fn no_more_roll_out_at_once_than_the_window_allows() {
    let (mut engine, now, names) = many();
    for name in &names {
        tell(&mut engine, now, restarted(name, Outcome::Done));
        let rolling = shown("2", Rollout::Rolling, &[event(1, 0)]);
        assert_eq!(tell(&mut engine, now, shows(name, rolling)), []);
        // Paused, without replicas or `OnDelete`, it is done as well.
        let done = shown("3", Rollout::Done, &[event(1, 0)]);
        let outputs = tell(&mut engine, now, shows(name, done));
        let restarts = outputs
            .iter()
            .filter(|it| matches!(it, Output::Restart { .. }));
        assert!(restarts.count() <= 1, "{outputs:?}");
        assert!(engine.restarts.rolling() <= 4);
    }
    assert!(engine.is_idle(), "each had its turn");
    assert_eq!(engine.restarts.rolling(), 0);
}

#[test]
fn a_state_from_before_the_patch_frees_no_place() {
    let (mut engine, now) = in_flight();
    tell(&mut engine, now, restarted("web", Outcome::Done));
    tell(&mut engine, now, shows("web", idle()));
    assert_eq!(engine.restarts.rolling(), 1);
    let (_, outputs) = {
        let done = shown("2", Rollout::Done, &[event(1, 0)]);
        (now, tell(&mut engine, now, shows("web", done)))
    };
    let rolled_out = Output::Rollout {
        workload: workload("web"),
        events: vec![event(1, 0)],
        result: RolloutResult::Done,
        after: Duration::ZERO,
    };
    assert_eq!(outputs, [rolled_out]);
    assert_eq!(engine.restarts.rolling(), 0);
}

#[test]
fn a_silent_rollout_leaves_its_place_in_the_end() {
    let (mut engine, now) = in_flight();
    tell(&mut engine, now, restarted("web", Outcome::Done));
    while let Some(at) = engine.wake_at() {
        tell(&mut engine, at, Input::Tick);
    }
    assert_eq!(engine.restarts.rolling(), 0);
}

#[test]
fn a_failed_rollout_stops_the_rest_of_its_event() {
    let (mut engine, now, _) = many();
    for name in ["w0", "w1", "w2", "w3"] {
        tell(&mut engine, now, restarted(name, Outcome::Done));
    }
    // Another event is not concerned.
    tell(
        &mut engine,
        now,
        Input::Delivery(restarting(2, &["b"], &["x"])),
    );
    let failed = shown("2", Rollout::Failed, &[event(1, 0)]);
    let outputs = tell_all(&mut engine, now, shows("w1", failed.clone()));
    let steps = steps_of(&outputs);
    assert_eq!(steps.len(), 6, "those that were not started");
    let why = Step::NotRestarted(NotRestarted::RolloutFailed);
    assert!(steps.iter().all(|(_, step)| *step == why));
    assert!(outputs.contains(&Output::Ack(1)), "the delivery completes");
    assert!(engine.in_progress.contains_key(&2));

    // So does a redelivery after a crash.
    let mut engine = self::engine();
    let mut again = redelivered(restarting(1, &["a"], &["w1", "w7"]), &failed);
    again.restarts[1].state = idle();
    let outputs = tell_all(&mut engine, now, Input::Delivery(again));
    let expected = [
        (workload("w1"), Step::Restarted),
        not_restarted("w7", NotRestarted::RolloutFailed),
    ];
    assert_eq!(steps_of(&outputs), expected);
    assert!(outputs.contains(&Output::Ack(1)));
}

#[test]
fn the_next_restart_waits_for_the_interval() {
    let (mut engine, now) = in_flight();
    let mut over = idle();
    over.interval = Some(SECOND * 600);
    tell(&mut engine, now, shows("web", over));
    tell(&mut engine, now, restarted("web", Outcome::Done));
    let mut over = shown("2", Rollout::Done, &[event(1, 0)]);
    over.interval = Some(SECOND * 600);
    tell(&mut engine, now, shows("web", over.clone()));
    let mut second = restarting(2, &["a"], &["web"]);
    second.restarts[0].state = over.clone();
    tell(&mut engine, now, Input::Delivery(second));
    sync(&mut engine, now, "a", 2);
    let expected = (now + SECOND * 600, vec![restart("web", &[2], &over)]);
    assert_eq!(next(&mut engine), expected);
}

#[test]
fn a_stop_hands_back_what_waits_for_a_restart() {
    let handed_back = [Output::Nak {
        sequence: 1,
        delay: None,
    }];
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a"], &["web"]));
    sync(&mut engine, START, "a", 1);
    assert_eq!(tell(&mut engine, START, Input::Stop), handed_back);
    assert!(engine.is_idle() && engine.wake_at().is_none());

    let (mut engine, now) = in_flight();
    assert_eq!(tell(&mut engine, now, Input::Stop), []);
    let done = tell(&mut engine, now, restarted("web", Outcome::Done));
    assert_eq!(done, [Output::Ack(1)], "what was started is finished");
    assert!(engine.is_idle() && engine.wake_at().is_none());
}

#[test]
fn an_api_that_is_away_is_not_asked_for_restarts() {
    let mut engine = engine();
    let names = ["w0", "w1", "w2", "w3", "w4"];
    take(&mut engine, restarting(1, &["a"], &names));
    sync(&mut engine, START, "a", 1);
    let (now, _) = next(&mut engine);
    for name in ["w0", "w1", "w2"] {
        tell(
            &mut engine,
            now,
            restarted(name, retry(Fault::Cluster, None)),
        );
    }
    tell(&mut engine, now, Input::Probed { answered: false });
    assert!(engine.is_away());
    let later = tell(&mut engine, now + SECOND * 3, Input::Tick);
    let any = later.iter().any(|it| matches!(it, Output::Restart { .. }));
    assert!(!any, "{later:?}");
}
