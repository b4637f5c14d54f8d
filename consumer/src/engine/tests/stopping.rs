use super::*;

fn narrow() -> Engine {
    let settings = Settings {
        patches_in_flight: 1,
        ..Settings::default()
    };
    Engine::new(settings, 7)
}

fn handed_back(sequence: u64) -> Output {
    Output::Nak {
        sequence,
        delay: None,
    }
}

#[test]
fn what_was_not_started_is_handed_back_at_once() {
    let mut engine = narrow();
    take(&mut engine, delivery(1, &[("a", 0)]));
    take(&mut engine, delivery(2, &[("b", 0)]));
    take(&mut engine, delivery(3, &[("c", 0)]));
    let outputs = tell(&mut engine, START, Input::Stop);
    assert_eq!(outputs, [handed_back(2), handed_back(3)]);
    assert!(!engine.is_idle());
    let outputs = tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(outputs, [Output::Ack(1)]);
    assert!(engine.is_idle());
    assert_eq!(engine.wake_at(), None);
}

#[test]
fn a_partly_started_delivery_is_handed_back() {
    let mut engine = narrow();
    take(&mut engine, delivery(1, &[("a", 0), ("b", 0)]));
    assert_eq!(tell(&mut engine, START, Input::Stop), []);
    let outputs = tell(&mut engine, START, patched("a", 1, 0, Outcome::Done));
    assert_eq!(outputs, [handed_back(1)]);
    assert!(engine.is_idle());
}

#[test]
fn a_patch_that_fails_during_the_stop_is_not_repeated() {
    let mut engine = narrow();
    take(&mut engine, delivery(1, &[("a", 0)]));
    tell(&mut engine, START, Input::Stop);
    let fault = patched("a", 1, 0, retry(Fault::Cluster, None));
    assert_eq!(tell(&mut engine, START, fault), [handed_back(1)]);
    assert!(engine.is_idle());
}

#[test]
fn an_older_longer_settle_waits_for_the_patch() {
    let mut engine = narrow();
    take(&mut engine, delivery(5, &[("a", 0)]));
    let mut older = delivery(3, &[("a", 0)]);
    older.refreshes[0].settle = Some(SECOND);
    assert_eq!(take(&mut engine, older), []);
    assert_eq!(tell(&mut engine, START, Input::Stop), []);
    let outputs = tell(&mut engine, START, patched("a", 5, 0, Outcome::Done));
    assert_eq!(outputs, [handed_back(3), handed_back(5)]);
}

#[test]
fn whatever_comes_after_the_stop_goes_back() {
    let mut engine = engine();
    tell(&mut engine, START, Input::Stop);
    assert_eq!(engine.capacity(), 0);
    assert_eq!(
        take(&mut engine, delivery(1, &[("a", 0)])),
        [handed_back(1)]
    );
    let panicked = Input::Panicked {
        sequence: 2,
        attempt: 99,
    };
    assert_eq!(tell(&mut engine, START, panicked), [handed_back(2)]);
    assert!(engine.is_idle());
}

#[test]
fn dead_letters_on_their_way_are_waited_for() {
    let mut engine = engine();
    let mut message = delivery(1, &[]);
    message.rejected = vec![rejection(0)];
    take(&mut engine, message);
    assert_eq!(tell(&mut engine, START, Input::Stop), []);
    assert!(!engine.is_idle());
    let stored = Input::DeadLettered {
        sequence: 1,
        stored: true,
    };
    let outputs = tell(&mut engine, START, stored);
    assert!(matches!(outputs[..], [Output::Term { sequence: 1, .. }]));
    assert!(engine.is_idle());
}
