//! The reported steps of each event, up to its sync by ESO.

use super::{window::SYNC_TIMEOUT_FOR_EACH, *};

/// Event, step, and whole seconds since the patch.
type Reported = (Fingerprint, Step, u64);

fn steps(outputs: Vec<Output>) -> Vec<Reported> {
    let step = |output| match output {
        Output::Step {
            event, step, after, ..
        } => Some((event, step, after.as_secs())),
        _ => None,
    };
    outputs.into_iter().filter_map(step).collect()
}

fn reported(engine: &mut Engine, after: u64, input: Input) -> Vec<Reported> {
    steps(tell_all(engine, START + Duration::from_secs(after), input))
}

fn shows(name: &str, value: Option<RefreshMark>, sync: SyncState) -> Input {
    Input::Observed {
        target: target(name),
        value,
        sync,
    }
}

/// One event is patched at [`START`].
fn patched_once() -> Engine {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    let patched = patched("a", 1, 0, Outcome::Done);
    let first = reported(&mut engine, 0, patched);
    assert_eq!(first, [(event(1, 0), Step::Patched, 0)]);
    engine
}

/// Until nothing is outstanding.
fn rest(engine: &mut Engine) -> Vec<(Duration, Step)> {
    let mut told = Vec::new();
    while let Some(at) = engine.wake_at() {
        let steps = steps(tell_all(engine, at, Input::Tick));
        told.extend(
            steps
                .into_iter()
                .map(|(_, step, _)| (at.saturating_sub(START), step)),
        );
    }
    told
}

/// Found by the simulation: another replica had written the older event's value before the newer one, and
/// the watch was late.
#[test]
fn the_value_of_an_older_event_does_not_show_a_newer_one() {
    let mut engine = engine();
    for sequence in [2, 1] {
        take(&mut engine, delivery(sequence, &[("a", 0)]));
        reported(&mut engine, 0, patched("a", sequence, 0, Outcome::Done));
    }
    let (older, newer) = (Some(value(1, 0)), Some(value(2, 0)));
    let mut tell = |value, sync| reported(&mut engine, 1, shows("a", value, sync));
    assert_eq!(tell(older, SyncState::Waiting), []);
    let synced = [(event(1, 0), Step::Synced, 1)];
    assert_eq!(tell(None, SyncState::Synced), synced);
    assert_eq!(tell(newer, SyncState::Waiting), []);
    let synced = [(event(2, 0), Step::Synced, 1)];
    assert_eq!(tell(newer, SyncState::Synced), synced);
}

#[test]
fn an_owner_has_as_long_as_its_children_take() {
    let mut engine = engine();
    let mut message = delivery(1, &[("owner", 0)]);
    message.refreshes[0].weight = 1_001;
    take(&mut engine, message);
    let patched = patched("owner", 1, 0, Outcome::Done);
    tell(&mut engine, START, patched);
    let longest = SECOND * 30 + SYNC_TIMEOUT_FOR_EACH * 1_000;
    assert_eq!(rest(&mut engine), [(longest, Step::Silent)]);
}

#[test]
fn a_sync_after_the_patch_is_told_once_and_ends_it() {
    let mut engine = patched_once();
    let ours = Some(value(1, 0));
    // The watch is late: this was before the patch.
    assert_eq!(
        reported(&mut engine, 1, shows("a", None, SyncState::Synced)),
        []
    );
    assert_eq!(
        reported(&mut engine, 1, shows("a", ours, SyncState::Waiting)),
        []
    );
    let synced = [(event(1, 0), Step::Synced, 2)];
    assert_eq!(
        reported(&mut engine, 2, shows("a", ours, SyncState::Synced)),
        synced
    );
    assert_eq!(
        reported(&mut engine, 3, shows("a", ours, SyncState::Synced)),
        []
    );
    assert_eq!(rest(&mut engine), []);
    assert_eq!(engine.outstanding.len(), 0);
}

#[test]
fn the_watch_may_be_faster_than_the_answer_of_the_api() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0)]));
    let shown = shows("a", Some(value(1, 0)), SyncState::Synced);
    let both = [
        (event(1, 0), Step::Patched, 0),
        (event(1, 0), Step::Synced, 0),
    ];
    assert_eq!(reported(&mut engine, 0, shown), both);
    let answer = patched("a", 1, 0, Outcome::Done);
    assert_eq!(reported(&mut engine, 1, answer), []);
    assert_eq!(engine.outstanding.len(), 0);
}

#[test]
fn a_change_of_somebody_else_after_ours_is_as_good() {
    let mut engine = patched_once();
    let ours = Some(value(1, 0));
    assert_eq!(
        reported(&mut engine, 1, shows("a", ours, SyncState::Waiting)),
        []
    );
    let theirs = shows("a", None, SyncState::Synced);
    assert_eq!(
        reported(&mut engine, 2, theirs),
        [(event(1, 0), Step::Synced, 2)]
    );
}

#[test]
fn a_return_to_the_state_before_the_patch_is_no_sync() {
    let mut engine = patched_once();
    let ours = Some(value(1, 0));
    let expects = |engine: &Engine, sequence| engine.expects(&target("a"), value(sequence, 0));
    assert!(expects(&engine, 1) && !expects(&engine, 2));
    reported(&mut engine, 1, shows("a", ours, SyncState::Waiting));
    let returned = shows("a", None, SyncState::Returned);
    assert_eq!(reported(&mut engine, 2, returned), []);
    let seconds = Duration::from_secs(30);
    assert_eq!(rest(&mut engine), [(seconds, Step::Silent)]);
    assert!(!expects(&engine, 1));
}

#[test]
fn a_value_that_is_written_again_is_told_once() {
    let mut engine = patched_once();
    let ours = Some(value(1, 0));
    reported(&mut engine, 1, shows("a", ours, SyncState::Waiting));
    reported(&mut engine, 1, shows("a", None, SyncState::Returned));
    let again = Input::Rewrite(delivery(1, &[("a", 0)]));
    assert_eq!(reported(&mut engine, 1, again), []);
    assert_eq!(
        reported(&mut engine, 1, patched("a", 1, 0, Outcome::Done)),
        []
    );
    let synced = [(event(1, 0), Step::Synced, 2)];
    let shown = shows("a", ours, SyncState::Synced);
    assert_eq!(reported(&mut engine, 2, shown), synced);
    assert_eq!(engine.outstanding.len(), 0);
}

#[test]
fn a_status_that_was_reset_and_is_as_before_again_is_a_sync() {
    let unknown = SyncState::Unknown { hash: 7 };
    let mut engine = engine();
    let mut delivery = delivery(1, &[("a", 0)]);
    delivery.refreshes[0].sync = unknown;
    take(&mut engine, delivery);
    reported(&mut engine, 0, patched("a", 1, 0, Outcome::Done));
    let ours = Some(value(1, 0));
    reported(&mut engine, 1, shows("a", ours, SyncState::Waiting));
    reported(&mut engine, 1, shows("a", None, SyncState::Waiting));
    let synced = [(event(1, 0), Step::Synced, 2)];
    assert_eq!(reported(&mut engine, 2, shows("a", None, unknown)), synced);
}

#[test]
fn silence_is_told_when_eso_has_had_its_time() {
    let mut engine = patched_once();
    let seconds = Duration::from_secs(30);
    assert_eq!(rest(&mut engine), [(seconds, Step::Silent)]);
}

#[test]
fn a_new_failure_is_reported_soon() {
    for (before, seconds) in [(SyncState::Waiting, 11), (SyncState::Failed, 30)] {
        let mut engine = engine();
        let mut delivery = delivery(1, &[("a", 0)]);
        delivery.refreshes[0].sync = before;
        take(&mut engine, delivery);
        reported(&mut engine, 0, patched("a", 1, 0, Outcome::Done));
        let failed = shows("a", Some(value(1, 0)), SyncState::Failed);
        assert_eq!(reported(&mut engine, 1, failed), []);
        let end = Duration::from_secs(seconds);
        assert_eq!(rest(&mut engine), [(end, Step::Failed)], "{before:?}");
    }
}

#[test]
fn eso_may_mend_a_failure_by_itself() {
    let mut engine = patched_once();
    let ours = Some(value(1, 0));
    reported(&mut engine, 1, shows("a", ours, SyncState::Failed));
    let synced = reported(&mut engine, 3, shows("a", ours, SyncState::Synced));
    assert_eq!(synced, [(event(1, 0), Step::Synced, 3)]);
}

#[test]
fn each_of_the_events_that_one_patch_answers_is_told_of() {
    let mut engine = engine();
    take(&mut engine, delivery(1, &[("a", 0), ("a", 1)]));
    take(&mut engine, delivery(2, &[("a", 0)]));
    reported(&mut engine, 0, patched("a", 1, 1, Outcome::Done));
    let second = reported(&mut engine, 1, patched("a", 2, 0, Outcome::Done));
    assert_eq!(second, [(event(2, 0), Step::Patched, 0)]);
    let shown = shows("a", Some(value(2, 0)), SyncState::Synced);
    let synced = [
        (event(1, 0), Step::Synced, 2),
        (event(1, 1), Step::Synced, 2),
        (event(2, 0), Step::Synced, 1),
    ];
    assert_eq!(reported(&mut engine, 2, shown), synced);
}

#[test]
fn what_is_carried_and_synced_already_is_told_at_once() {
    let mut engine = engine();
    let mut delivery = delivery(1, &[("a", 0)]);
    delivery.refreshes[0].carries = Some(value(1, 0));
    delivery.refreshes[0].sync = SyncState::Synced;
    let both = [
        (event(1, 0), Step::Carried, 0),
        (event(1, 0), Step::Synced, 0),
    ];
    assert_eq!(reported(&mut engine, 0, Input::Delivery(delivery)), both);
}

#[test]
fn an_unknown_form_of_hash_says_synced_when_it_changes() {
    let unknown = |hash| SyncState::Unknown { hash };
    let mut engine = engine();
    let mut delivery = delivery(1, &[("a", 0)]);
    delivery.refreshes[0].sync = unknown(7);
    take(&mut engine, delivery);
    reported(&mut engine, 0, patched("a", 1, 0, Outcome::Done));
    let ours = Some(value(1, 0));
    assert_eq!(reported(&mut engine, 1, shows("a", ours, unknown(7))), []);
    let synced = [(event(1, 0), Step::Synced, 1)];
    assert_eq!(
        reported(&mut engine, 1, shows("a", ours, unknown(8))),
        synced
    );
}

#[test]
fn more_time_is_given_where_more_is_outstanding() {
    let mut engine = engine();
    for sequence in 1..=9_u8 {
        let name = sequence.to_string();
        take(&mut engine, delivery(sequence.into(), &[(&name, 0)]));
        reported(
            &mut engine,
            0,
            patched(&name, sequence.into(), 0, Outcome::Done),
        );
    }
    let ends: Vec<_> = rest(&mut engine).into_iter().map(|(at, _)| at).collect();
    assert_eq!(ends.len(), 9);
    assert_eq!(ends[8], ends[0] + SYNC_TIMEOUT_FOR_EACH * 8);
}

#[test]
fn what_is_gone_is_waited_for_no_longer() {
    let mut engine = patched_once();
    let gone = reported(&mut engine, 5, Input::Deleted(target("a")));
    assert_eq!(gone, [(event(1, 0), Step::Gone, 5)]);
    assert_eq!(rest(&mut engine), []);
}

#[test]
fn before_an_eso_that_never_syncs_memory_is_bounded() {
    let mut engine = engine();
    let events = MAX_EVENTS as u64 + 100;
    for sequence in 1..=events {
        take(&mut engine, delivery(sequence, &[("a", 0)]));
        reported(&mut engine, 0, patched("a", sequence, 0, Outcome::Done));
    }
    assert_eq!(engine.outstanding.values(), MAX_EVENTS + 1);
    // The watch will show the last mark.
    let last = shows("a", Some(value(events, 0)), SyncState::Synced);
    assert_eq!(reported(&mut engine, 1, last).len(), MAX_EVENTS);
    assert_eq!(engine.outstanding.values(), 0);
}
