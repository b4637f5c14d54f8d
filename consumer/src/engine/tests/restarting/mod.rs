//! Restarts of workloads, after the syncs that they follow.

mod once;
mod rollouts;

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

/// `a` is synced for event 1 at [`START`], and the restart of `web` is in flight since `now`.
fn in_flight() -> (Engine, Duration) {
    let mut engine = engine();
    take(&mut engine, restarting(1, &["a"], &["web"]));
    sync(&mut engine, START, "a", 1);
    let (now, outputs) = next(&mut engine);
    assert_eq!(outputs, [restart("web", &[1], &idle())]);
    (engine, now)
}

/// The second mark of an event, and its patch.
fn settling(object: &str, event: u64) -> (RefreshMark, Output) {
    let second = RefreshMark {
        stage: Stage::Settled,
        ..value(event, 0)
    };
    let patch = Output::Patch {
        target: target(object),
        value: second,
    };
    (second, patch)
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
    let (second, patch) = settling("a", 1);
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
