use super::*;

/// One event for `a`, which settles for `seconds`.
fn settling(sequence: u64, seconds: u32) -> Delivery {
    let mut delivery = delivery(sequence, &[("a", 0)]);
    for refresh in &mut delivery.refreshes {
        refresh.settle = (seconds > 0).then_some(SECOND * seconds);
    }
    delivery
}

fn carrying(mut delivery: Delivery, value: RefreshMark) -> Delivery {
    for refresh in &mut delivery.refreshes {
        refresh.carries = Some(value);
    }
    delivery
}

fn settled(sequence: u64) -> RefreshMark {
    RefreshMark {
        stage: Stage::Settled,
        ..value(sequence, 0)
    }
}

fn second(sequence: u64) -> Output {
    Output::Patch {
        target: target("a"),
        value: settled(sequence),
    }
}

fn second_patched(sequence: u64, outcome: Outcome) -> Input {
    Input::Patched {
        target: target("a"),
        value: settled(sequence),
        outcome,
    }
}

fn observed(value: RefreshMark) -> Input {
    Input::Observed {
        target: target("a"),
        value: Some(value),
        sync: SyncState::Waiting,
    }
}

/// Holds one delivery that was patched at [`START`] and settles for two seconds.
fn waiting() -> Engine {
    let mut engine = engine();
    assert_eq!(take(&mut engine, settling(1, 2)), [patch("a", 1, 0)]);
    let first = tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(first, []);
    engine
}

#[test]
fn the_ack_waits_for_the_second_mark() {
    let mut engine = waiting();
    assert_eq!(tell(&mut engine, START + SECOND, Input::Tick), []);
    let (now, outputs) = next(&mut engine);
    assert_eq!((now, outputs), (START + SECOND * 2, vec![second(1)]));
    let done = tell(&mut engine, now, second_patched(1, Outcome::Done));
    assert_eq!(done, [Output::Ack(1)]);
    assert!(engine.is_idle());
    assert_eq!(engine.timers.len(), 1, "only ESO is waited for");
}

#[test]
fn a_settle_is_told_to_the_server_as_work_in_progress() {
    let mut engine = engine();
    take(&mut engine, settling(1, 600));
    tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    let every = Settings::default().progress_every;
    for round in 1..=3 {
        let outputs = tell(&mut engine, START + every * round, Input::Tick);
        assert_eq!(outputs, [Output::Progress(1)]);
    }
    assert_eq!(engine.capacity(), Settings::default().max_deliveries - 1);
}

#[test]
fn a_newer_event_takes_the_settle_of_an_older_one_over() {
    let mut engine = waiting();
    let now = START + SECOND;
    let newer = tell(&mut engine, now, Input::Delivery(settling(2, 2)));
    let at_once = [Output::Ack(1), patch("a", 2, 0)];
    assert_eq!(newer, at_once, "it does not wait");
    let done = tell(&mut engine, now, patched("a", 2, 0, Outcome::Done));
    assert_eq!(done, []);
    assert_eq!(next(&mut engine), (now + SECOND * 2, vec![second(2)]));
    let done = tell(&mut engine, now, second_patched(2, Outcome::Done));
    assert_eq!(done, [Output::Ack(2)]);
}

#[test]
fn a_shorter_settle_lends_its_second_mark() {
    for seconds in [0, 1] {
        let mut engine = waiting();
        tell(
            &mut engine,
            START + SECOND / 2,
            Input::Delivery(settling(2, seconds)),
        );
        let done = patched("a", 2, 0, Outcome::Done);
        assert_eq!(tell(&mut engine, START + SECOND / 2, done), []);
        let (now, outputs) = next(&mut engine);
        assert_eq!((now, outputs), (START + SECOND * 2, vec![second(2)]));
        let done = tell(&mut engine, now, second_patched(2, Outcome::Done));
        assert_eq!(done, [Output::Ack(1), Output::Ack(2)]);
    }
}

#[test]
fn a_message_settles_as_its_longest_event() {
    let mut engine = engine();
    let mut message = delivery(1, &[("a", 0), ("a", 1)]);
    message.refreshes[0].settle = Some(SECOND);
    assert_eq!(take(&mut engine, message), [patch("a", 1, 1)]);
    let done = patched("a", 1, 1, Outcome::Done);
    assert_eq!(tell(&mut engine, START, done), []);
    assert_eq!(next(&mut engine).0, START + SECOND);
}

#[test]
fn a_longer_settle_gets_its_own_second_mark() {
    let mut engine = engine();
    take(&mut engine, settling(5, 2));
    tell(&mut engine, START, patched("a", 5, 0, Outcome::Done));
    assert_eq!(take(&mut engine, settling(3, 10)), []);
    let (now, outputs) = next(&mut engine);
    assert_eq!(outputs, [second(5)]);
    let done = tell(&mut engine, now, second_patched(5, Outcome::Done));
    assert_eq!(done, [Output::Ack(5)]);
    assert_eq!(next(&mut engine), (now + SECOND * 10, vec![second(3)]));
}

#[test]
fn a_redelivery_finds_on_the_object_how_far_it_had_come() {
    let mut engine = engine();
    let again = carrying(settling(1, 2), value(1, 0));
    assert_eq!(take(&mut engine, again), []);
    assert_eq!(next(&mut engine), (START + SECOND * 2, vec![second(1)]));
    let mut engine = self::engine();
    let again = carrying(settling(1, 2), settled(1));
    assert_eq!(take(&mut engine, again), [Output::Ack(1)]);
}

#[test]
fn what_the_watch_shows_counts_like_an_answer() {
    let mut engine = engine();
    take(&mut engine, settling(1, 2));
    assert_eq!(tell(&mut engine, START, observed(value(1, 0))), []);
    let late = patched("a", 1, 0, retry(Fault::Cluster, None));
    assert_eq!(tell(&mut engine, START, late), []);
    assert_eq!(next(&mut engine), (START + SECOND * 2, vec![second(1)]));
    let outputs = tell(&mut engine, START + SECOND * 2, observed(settled(1)));
    assert_eq!(outputs, [Output::Ack(1)]);
}

#[test]
fn a_second_value_is_tried_again_like_any_other() {
    let mut engine = waiting();
    for _ in 0..2 {
        let (now, outputs) = next(&mut engine);
        assert_eq!(outputs, [second(1)]);
        let fault = second_patched(1, retry(Fault::Object, None));
        assert_eq!(tell(&mut engine, now, fault), []);
    }
    let (now, _) = next(&mut engine);
    let refused = tell(&mut engine, now, second_patched(1, refused()));
    assert_eq!(letters(&refused), [(Some(0), Reason::Refused)]);
}

#[test]
fn an_object_that_is_gone_gets_no_second_value() {
    let mut engine = engine();
    take(&mut engine, settling(1, 2));
    let outputs = tell(&mut engine, START, patched("a", 1, 0, Outcome::Gone));
    assert_eq!(outputs, [Output::Ack(1)]);
    assert!(engine.is_idle());
}

#[test]
fn a_deletion_waits_for_the_second_patch() {
    let mut engine = waiting();
    assert_eq!(tell(&mut engine, START, Input::Deleted(target("a"))), []);
    let (now, outputs) = next(&mut engine);
    assert_eq!((now, outputs), (START + SECOND * 2, vec![second(1)]));
    let done = tell(&mut engine, now, second_patched(1, Outcome::Gone));
    assert_eq!(done, [Output::Ack(1)]);
}

#[test]
fn a_stop_hands_back_what_waits_for_its_second_value() {
    let handed_back = [Output::Nak {
        sequence: 1,
        delay: None,
    }];
    let mut engine = waiting();
    let outputs = tell(&mut engine, START, Input::Stop);
    assert_eq!(outputs, handed_back);
    assert!(engine.is_idle() && engine.wake_at().is_none());

    let mut engine = self::engine();
    take(&mut engine, settling(1, 2));
    assert_eq!(tell(&mut engine, START, Input::Stop), []);
    let outputs = tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(outputs, handed_back);
    assert!(engine.is_idle() && engine.wake_at().is_none());
}

/// It may carry that value already, and then a second patch of it changes nothing.
#[test]
fn a_redelivery_lends_no_second_mark() {
    let mut engine = waiting();
    let mut newer = settling(2, 1);
    newer.attempt = 2;
    tell(&mut engine, START, Input::Delivery(newer));
    tell(&mut engine, START, patched("a", 2, 0, Outcome::Done));
    let (now, outputs) = next(&mut engine);
    assert_eq!((now, outputs), (START + SECOND, vec![second(2)]));
    let done = tell(&mut engine, now, second_patched(2, Outcome::Done));
    assert_eq!(done, [Output::Ack(2)]);
    assert_eq!(next(&mut engine), (START + SECOND * 2, vec![second(1)]));
}
