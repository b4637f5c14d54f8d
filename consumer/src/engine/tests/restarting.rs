//! Restarts of workloads, after the syncs that they follow.

use super::*;
use crate::object::{Counter, Rollout, WorkloadKind, WorkloadState};

const GATHER: Duration = Duration::from_secs(5);

fn workload(name: &str) -> ObjectRef {
    ObjectRef::workload(WorkloadKind::Deployment, "apps", name)
}

/// As the watch shows it, with the events that it was restarted for.
fn shown(version: &str, rollout: Rollout, marks: &[Fingerprint]) -> WorkloadState {
    WorkloadState {
        version: version.into(),
        marks: marks.iter().copied().collect(),
        counter: Counter::Own,
        restarts: 0,
        rollout,
        interval: None,
    }
}

fn idle() -> WorkloadState {
    shown("1", Rollout::Done, &[])
}

/// One event refreshes these targets, and restarts the workloads once they are synced.
fn restarting(sequence: u64, targets: &[&str], workloads: &[&str]) -> Delivery {
    let refreshes: Vec<_> = targets.iter().map(|name| (*name, 0)).collect();
    let mut delivery = delivery(sequence, &refreshes);
    let restart = |name: &&str| Restart {
        workload: workload(name),
        event: event(sequence, 0),
        index: 0,
        follows: targets.iter().map(|name| target(name)).collect(),
        settle: None,
        state: idle(),
    };
    delivery.restarts = workloads.iter().map(restart).collect();
    delivery
}

/// `delivery` as it comes again, while the workloads are in this state.
fn redelivered(mut delivery: Delivery, state: &WorkloadState) -> Delivery {
    delivery.attempt += 1;
    for refresh in &mut delivery.refreshes {
        refresh.carries = Some(value(delivery.sequence, 0));
        refresh.sync = SyncState::Synced;
    }
    for restart in &mut delivery.restarts {
        restart.state = state.clone();
    }
    delivery
}

fn observed(name: &str, sequence: u64, sync: SyncState) -> Input {
    Input::Observed {
        target: target(name),
        value: Some(value(sequence, 0)),
        sync,
    }
}

/// The target is patched, and ESO syncs it.
fn sync(engine: &mut Engine, now: Duration, name: &str, sequence: u64) -> Vec<Output> {
    tell(engine, now, patched(name, sequence, 0, Outcome::Done));
    tell(engine, now, observed(name, sequence, SyncState::Synced))
}

fn restart(name: &str, sequences: &[u64], over: &WorkloadState) -> Output {
    Output::Restart {
        workload: workload(name),
        events: sequences.iter().map(|it| event(*it, 0)).collect(),
        over: over.clone(),
    }
}

fn restarted(name: &str, outcome: Outcome) -> Input {
    Input::Restarted {
        workload: workload(name),
        outcome,
    }
}

fn shows(name: &str, state: WorkloadState) -> Input {
    Input::Workload {
        workload: workload(name),
        state: Some(state),
    }
}

/// The steps at workloads among these outputs.
fn steps_of(outputs: &[Output]) -> Vec<(ObjectRef, Step)> {
    let step = |output: &Output| match output {
        Output::Step { target, step, .. } => {
            matches!(step, Step::Restarted | Step::NotRestarted(_)).then(|| (target.clone(), *step))
        }
        _ => None,
    };
    outputs.iter().filter_map(step).collect()
}

fn not_restarted(name: &str, why: NotRestarted) -> (ObjectRef, Step) {
    (workload(name), Step::NotRestarted(why))
}

#[test]
fn a_sync_without_a_secret_restarts_nothing() {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a", "b"], &["web"]));
    sync(&mut engine, START, "b", 1);
    tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    let outputs = tell_all(&mut engine, START, observed("a", 1, SyncState::Emptied));
    let expected = [not_restarted("web", NotRestarted::NoSecret)];
    assert_eq!(steps_of(&outputs), expected);
    assert_eq!(outputs.last(), Some(&Output::Ack(1)));
}

/// `a` is synced for event 1 at [`START`], and the restart of `web` is in flight since `now`.
fn in_flight() -> (Engine, Duration) {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a"], &["web"]));
    sync(&mut engine, START, "a", 1);
    let (now, outputs) = next(&mut engine);
    assert_eq!(outputs, [restart("web", &[1], &idle())]);
    (engine, now)
}

#[test]
fn a_workload_is_restarted_after_the_sync() {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a"], &["web"]));
    let outputs = tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(outputs, [], "neither restart nor ack before ESO has synced");
    let synced = observed("a", 1, SyncState::Synced);
    assert_eq!(tell(&mut engine, START + SECOND, synced), []);
    let (now, outputs) = next(&mut engine);
    assert_eq!(now, START + SECOND + GATHER);
    assert_eq!(outputs, [restart("web", &[1], &idle())]);
    let outputs = tell_all(&mut engine, now, restarted("web", Outcome::Done));
    assert_eq!(steps_of(&outputs), [(workload("web"), Step::Restarted)]);
    assert!(outputs.contains(&Output::Ack(1)));
    assert!(engine.is_idle());
}

#[test]
fn what_settles_is_followed_after_the_second_sync() {
    let mut engine = engine();
    let mut delivery = restarting(1, &["a"], &["web"]);
    delivery.refreshes[0].settle = Some(SECOND * 20);
    take(&mut engine, delivery);
    assert_eq!(sync(&mut engine, START, "a", 1), []);
    let (now, outputs) = next(&mut engine);
    let second = RefreshMark {
        stage: Stage::Settled,
        ..value(1, 0)
    };
    let patch = Output::Patch {
        target: target("a"),
        value: second,
    };
    assert_eq!((now, outputs), (START + SECOND * 20, vec![patch]));
    let done = Input::Patched {
        target: target("a"),
        value: second,
        outcome: Outcome::Done,
    };
    assert_eq!(tell(&mut engine, now, done), []);
    let synced = Input::Observed {
        target: target("a"),
        value: Some(second),
        sync: SyncState::Synced,
    };
    assert_eq!(tell(&mut engine, now, synced), []);
    assert_eq!(next(&mut engine).1, [restart("web", &[1], &idle())]);
}

#[test]
fn a_reader_of_the_store_waits_for_the_settle_alone() {
    let mut engine = engine();
    let mut delivery = restarting(1, &[], &["web"]);
    delivery.restarts[0].settle = Some(SECOND * 10);
    assert_eq!(take(&mut engine, delivery), []);
    let (now, outputs) = next(&mut engine);
    assert_eq!(now, START + SECOND * 10 + GATHER);
    assert_eq!(outputs, [restart("web", &[1], &idle())]);
}

#[test]
fn a_late_sync_is_still_followed() {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a"], &["web"]));
    tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    tell(&mut engine, START, observed("a", 1, SyncState::Failed));
    let (_, outputs) = next(&mut engine);
    let parked = matches!(outputs[..], [Output::Park { sequence: 1, .. }]);
    assert!(parked, "no message is held for ESO's failure: {outputs:?}");
    let now = START + SECOND * 180;
    let synced = observed("a", 1, SyncState::Synced);
    assert_eq!(tell(&mut engine, now, synced), []);
    let (now, outputs) = next(&mut engine);
    assert_eq!(outputs, [restart("web", &[1], &idle())]);
    let done = tell(&mut engine, now, restarted("web", Outcome::Done));
    assert_eq!(done, [Output::Ack(1)]);
}

#[test]
fn what_eso_never_syncs_becomes_a_dead_letter() {
    let mut engine = engine();
    let message = restarting(1, &["a"], &["web"]);
    take(&mut engine, message.clone());
    tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    let (_, outputs) = next(&mut engine);
    assert!(matches!(outputs[..], [Output::Park { .. }]));
    // The body is needed for the dead letter.
    let (now, outputs) = next(&mut engine);
    assert_eq!(
        (now, outputs),
        (START + SECOND * 3600, vec![Output::Recall(1)])
    );
    let again = Input::Delivery(redelivered(message, &idle()));
    let outputs = tell_all(&mut engine, now, again);
    let expected = [not_restarted("web", NotRestarted::NotSynced)];
    assert_eq!(steps_of(&outputs), expected);
    let outputs: Vec<_> = outputs
        .into_iter()
        .filter(|it| matches!(it, Output::DeadLetter { .. }))
        .collect();
    assert_eq!(letters(&outputs), [(Some(0), Reason::NotSynced)]);
}

#[test]
fn several_secrets_are_one_restart() {
    let mut engine = engine();
    for (sequence, name) in [(1, "a"), (2, "b"), (3, "c")] {
        take(&mut engine, restarting(sequence, &[name], &["web"]));
    }
    for (sequence, name) in [(1, "a"), (2, "b"), (3, "c")] {
        sync(&mut engine, START + SECOND * 7, name, sequence);
    }
    let (now, outputs) = next(&mut engine);
    assert_eq!(now, START + SECOND * 7 + GATHER);
    let acked: Vec<_> = outputs
        .iter()
        .filter(|it| matches!(it, Output::Ack(_)))
        .collect();
    assert_eq!(acked.len(), 0, "the older were acked for the newest before");
    assert_eq!(outputs, [restart("web", &[1, 2, 3], &idle())]);
    let done = tell(&mut engine, now, restarted("web", Outcome::Done));
    assert_eq!(done, [Output::Ack(3)]);
}

#[test]
fn a_sync_that_takes_long_is_not_waited_for() {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a"], &["web"]));
    take(&mut engine, restarting(2, &["b"], &["web"]));
    tell(&mut engine, START, patched("b", 2, 0, Outcome::Done));
    sync(&mut engine, START, "a", 1);
    let first = loop {
        let (now, outputs) = next(&mut engine);
        if outputs
            .iter()
            .any(|it| matches!(it, Output::Restart { .. }))
        {
            assert_eq!(outputs, [restart("web", &[1], &idle())]);
            break now;
        }
    };
    assert_eq!(first, START + SECOND * 60);
    tell(&mut engine, first, restarted("web", Outcome::Done));
    let after = shown("2", Rollout::Done, &[event(1, 0)]);
    tell(&mut engine, first, shows("web", after.clone()));
    tell(&mut engine, first, observed("b", 2, SyncState::Synced));
    assert_eq!(next(&mut engine).1, [restart("web", &[2], &after)]);
}

#[test]
fn a_newer_event_answers_for_an_older_one() {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a"], &["web"]));
    tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    let newer = take(&mut engine, restarting(2, &["a"], &["web"]));
    assert_eq!(newer, [Output::Ack(1), patch("a", 2, 0)]);
    sync(&mut engine, START, "a", 2);
    let (now, outputs) = next(&mut engine);
    assert_eq!(outputs, [restart("web", &[1, 2], &idle())]);
    let done = tell_all(&mut engine, now, restarted("web", Outcome::Done));
    assert_eq!(steps_of(&done).len(), 2, "both are told");
}

#[test]
fn a_stream_of_events_does_not_delay_the_restart_for_ever() {
    let mut engine = engine();
    let mut starts = Vec::new();
    for sequence in 1..=200 {
        let now = START + SECOND * u32::try_from(sequence).unwrap();
        let delivery = Input::Delivery(restarting(sequence, &["a"], &["web"]));
        engine.handle(now, delivery);
        engine.handle(now, patched("a", sequence, 0, Outcome::Done));
        // ESO is always one event behind.
        if sequence > 1 {
            engine.handle(now, observed("a", sequence - 1, SyncState::Synced));
        }
        while let Some(output) = engine.next_output() {
            if matches!(output, Output::Restart { .. }) {
                starts.push(now);
                engine.handle(now, restarted("web", Outcome::Done));
            }
        }
    }
    assert!(!starts.is_empty());
}

#[test]
fn a_redelivery_finds_that_it_is_done() {
    let mut engine = engine();
    let marked = shown("2", Rollout::Done, &[event(1, 0), event(2, 0)]);
    let again = redelivered(restarting(1, &["a"], &["web"]), &marked);
    let outputs = tell_all(&mut engine, START, Input::Delivery(again));
    assert_eq!(steps_of(&outputs), [(workload("web"), Step::Restarted)]);
    assert!(outputs.contains(&Output::Ack(1)));
    assert!(engine.is_idle() && engine.restarts.rolling() == 0);
}

#[test]
fn a_lost_answer_is_found_in_the_watch() {
    let (mut engine, now) = in_flight();
    let lost = restarted("web", retry(Fault::Cluster, None));
    assert_eq!(tell(&mut engine, now, lost), []);
    let marked = shown("2", Rollout::Rolling, &[event(1, 0)]);
    assert_eq!(
        tell(&mut engine, now, shows("web", marked)),
        [Output::Ack(1)]
    );
    assert!(engine.is_idle());
    assert_eq!(engine.restarts.rolling(), 1);
}

#[test]
fn the_watch_may_be_faster_than_the_answer() {
    let (mut engine, now) = in_flight();
    let marked = shown("2", Rollout::Rolling, &[event(1, 0)]);
    assert_eq!(
        tell(&mut engine, now, shows("web", marked)),
        [Output::Ack(1)]
    );
    assert!(!engine.is_idle(), "its answer is still to come");
    let late = restarted("web", Outcome::Done);
    assert_eq!(tell(&mut engine, now, late), []);
    assert!(engine.is_idle());
}

#[test]
fn a_conflict_is_decided_by_the_newest_state() {
    let (mut engine, now) = in_flight();
    for version in 2..6 {
        let conflict = restarted("web", retry(Fault::Object, None));
        assert_eq!(tell(&mut engine, now, conflict), []);
        let over = shown(&version.to_string(), Rollout::Done, &[]);
        assert_eq!(tell(&mut engine, now, shows("web", over.clone())), []);
        assert_eq!(next(&mut engine).1, [restart("web", &[1], &over)]);
    }
    let done = tell(&mut engine, now, restarted("web", Outcome::Done));
    assert_eq!(done, [Output::Ack(1)]);
}

#[test]
fn late_matches_and_rewrites_restart_nothing() {
    for input in [Input::Late, Input::Rewrite] {
        let mut engine = engine();
        let late = input(restarting(1, &["a"], &["web"]));
        assert_eq!(tell(&mut engine, START, late), [patch("a", 1, 0)]);
        assert_eq!(sync(&mut engine, START, "a", 1), []);
        assert!(engine.restarts.are_idle() && engine.in_progress.is_empty());
    }
}

#[test]
fn a_workload_that_is_gone_or_opted_out_is_not_restarted() {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a"], &["web"]));
    sync(&mut engine, START, "a", 1);
    let gone = Input::Workload {
        workload: workload("web"),
        state: None,
    };
    let outputs = tell_all(&mut engine, START, gone);
    assert_eq!(
        steps_of(&outputs),
        [not_restarted("web", NotRestarted::Gone)]
    );
    assert_eq!(outputs.last(), Some(&Output::Ack(1)));
    let (mut engine, now) = in_flight();
    let outputs = tell_all(&mut engine, now, restarted("web", Outcome::Gone));
    assert_eq!(
        steps_of(&outputs),
        [not_restarted("web", NotRestarted::Gone)]
    );
    assert!(engine.is_idle() && engine.restarts.rolling() == 0);
}

#[test]
fn a_target_that_ends_without_a_sync_restarts_nothing() {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a"], &["web"]));
    let outputs = tell_all(&mut engine, START, patched("a", 1, 0, Outcome::Gone));
    assert_eq!(
        steps_of(&outputs),
        [not_restarted("web", NotRestarted::Gone)]
    );
    assert_eq!(outputs.last(), Some(&Output::Ack(1)));

    take(&mut engine, restarting(2, &["a", "b"], &["web"]));
    sync(&mut engine, START, "b", 2);
    let outputs = tell_all(&mut engine, START, patched("a", 2, 0, refused()));
    let expected = [not_restarted("web", NotRestarted::Refused)];
    assert_eq!(steps_of(&outputs), expected);
    assert!(matches!(outputs.last(), Some(Output::DeadLetter { .. })));
}

#[test]
fn a_target_that_is_gone_is_not_waited_for_beside_others() {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a", "b"], &["web"]));
    sync(&mut engine, START, "a", 1);
    tell(&mut engine, START, patched("b", 1, 0, Outcome::Done));
    tell(&mut engine, START, Input::Deleted(target("b")));
    assert_eq!(next(&mut engine).1, [restart("web", &[1], &idle())]);
}

#[test]
fn without_permission_refreshes_go_on() {
    let (mut engine, now) = in_flight();
    let forbidden = retry(Fault::Permission, Some(SECOND * 60));
    let outputs = tell_all(&mut engine, now, restarted("web", forbidden));
    let expected = [not_restarted("web", NotRestarted::Forbidden)];
    assert_eq!(steps_of(&outputs), expected);
    assert_eq!(outputs.last(), Some(&Output::Ack(1)), "no dead letter");
    let next = tell(&mut engine, now, Input::Delivery(delivery(2, &[("a", 0)])));
    assert_eq!(next, [patch("a", 2, 0)]);
}

#[test]
fn a_refused_restart_is_a_dead_letter() {
    let (mut engine, now) = in_flight();
    let outputs = tell(&mut engine, now, restarted("web", refused()));
    assert_eq!(letters(&outputs), [(Some(0), Reason::Refused)]);
}

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
