//! A restart is not repeated, and not every request for one leads to one.

use super::*;

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

/// The consumer was killed before it saw the sync, so the hash is what it was when it came back.
#[test]
fn an_unknown_hash_is_proved_by_a_second_mark() {
    let mut engine = engine();
    let (before, after) = (
        SyncState::Unknown { hash: 1 },
        SyncState::Unknown { hash: 2 },
    );
    let mut again = redelivered(restarting(1, &["a"], &["web"]), &idle());
    again.refreshes[0].sync = before;
    let (second, patch) = settling("a", 1);
    assert_eq!(take(&mut engine, again.clone()), [patch]);
    let done = Input::Patched {
        target: target("a"),
        value: second,
        outcome: Outcome::Done,
    };
    assert_eq!(tell(&mut engine, START, done), []);
    let shows = |sync| Input::Observed {
        target: target("a"),
        value: Some(second),
        sync,
    };
    assert_eq!(tell(&mut engine, START, shows(before)), []);
    assert_eq!(tell(&mut engine, START, shows(after)), []);
    assert_eq!(next(&mut engine).1, [restart("web", &[1], &idle())]);

    // Without a restart nothing depends on it.
    let mut engine = super::engine();
    again.restarts.clear();
    assert_eq!(take(&mut engine, again), [Output::Ack(1)]);
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
