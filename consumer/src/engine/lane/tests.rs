use super::*;
use crate::engine::settings::WindowBounds;

const SECOND: Duration = Duration::from_secs(1);

fn lanes(limit: usize, per_second: Option<f64>, window: usize) -> Lanes {
    Lanes::new(&Settings {
        patches_in_flight: limit,
        patches_per_second: per_second,
        window: WindowBounds {
            min: window,
            max: window,
        },
        ..Settings::default()
    })
}

fn entry(name: &str, urgency: Urgency) -> Entry {
    Entry {
        target: Target::new("apps", name),
        urgency,
        stores: Arc::new([]),
    }
}

fn mass(source: &str) -> Urgency {
    Urgency::Mass(source.parse().unwrap())
}

fn exact(limit: usize, per_second: Option<f64>, targets: u8) -> Lanes {
    let mut lanes = lanes(limit, per_second, 8);
    for name in 0..targets {
        lanes.push(entry(&name.to_string(), Urgency::Exact), Duration::ZERO);
    }
    lanes
}

fn started(lanes: &mut Lanes, now: Duration, most: usize) -> Vec<Target> {
    std::iter::from_fn(|| lanes.start(now, most)).collect()
}

fn names(targets: &[Target]) -> Vec<&str> {
    targets.iter().map(Target::name).collect()
}

#[test]
fn no_more_are_in_flight_than_the_limit() {
    let mut lanes = exact(2, None, 5);
    let first = started(&mut lanes, SECOND, usize::MAX);
    assert_eq!(first.len(), 2);
    lanes.ended(&first[0], true);
    assert_eq!(started(&mut lanes, SECOND, usize::MAX).len(), 1);
    lanes.ended(&first[1], true);
    assert_eq!(started(&mut lanes, SECOND, 1).len(), 0);
}

#[test]
fn the_rate_lets_a_burst_of_one_second_through_and_then_one_at_a_time() {
    let mut lanes = exact(99, Some(4.0), 20);
    assert_eq!(started(&mut lanes, SECOND, 99).len(), 4);
    let next = lanes.wake_at(99).unwrap();
    assert_eq!(next, SECOND + SECOND / 4);
    assert_eq!(started(&mut lanes, next, 99).len(), 1);
    assert_eq!(started(&mut lanes, SECOND * 60, 99).len(), 4);
}

#[test]
fn a_rate_below_one_a_second_still_starts_one() {
    let mut lanes = exact(99, Some(0.1), 3);
    assert_eq!(started(&mut lanes, SECOND, 99).len(), 1);
    assert_eq!(lanes.wake_at(99), Some(SECOND * 11));
}

#[test]
fn a_rate_that_is_none_limits_nothing_and_stops_nothing() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(started(&mut exact(99, Some(rate), 9), SECOND, 99).len(), 9);
    }
}

#[test]
fn mass_work_keeps_to_the_window_until_it_is_synced_and_exact_work_does_not() {
    let mut lanes = lanes(99, None, 2);
    for name in ["m1", "m2", "m3", "m4"] {
        lanes.push(entry(name, mass("a")), Duration::ZERO);
    }
    let first = started(&mut lanes, SECOND, 99);
    assert_eq!(names(&first), ["m1", "m2"]);
    lanes.ended(&first[0], true);
    assert_eq!(lanes.wake_at(99), None, "patched is not yet synced");
    lanes.push(entry("urgent", Urgency::Exact), Duration::ZERO);
    assert_eq!(names(&started(&mut lanes, SECOND, 99)), ["urgent"]);
    lanes.window().synced(SECOND * 2, &first[0]);
    assert_eq!(names(&started(&mut lanes, SECOND, 99)), ["m3"]);
    lanes.ended(&first[1], false);
    assert_eq!(
        names(&started(&mut lanes, SECOND, 99)),
        ["m4"],
        "no patch, no wait"
    );
    assert_eq!(lanes.waiting(), 0);
}

#[test]
fn sources_take_turns_however_much_each_has() {
    let mut lanes = lanes(99, None, 99);
    for name in ["a1", "a2", "a3", "a4"] {
        lanes.push(entry(name, mass("a")), Duration::ZERO);
    }
    for (name, source) in [("b1", "b"), ("c1", "c"), ("b2", "b")] {
        lanes.push(entry(name, mass(source)), Duration::ZERO);
    }
    let order = started(&mut lanes, SECOND, 99);
    assert_eq!(names(&order), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
}

#[test]
fn what_is_put_off_joins_in_its_time_and_can_be_taken_out_before() {
    let mut lanes = lanes(99, None, 99);
    lanes.push(entry("later", mass("a")), SECOND * 5);
    let never = lanes.push(entry("never", mass("a")), SECOND * 4);
    lanes.push(entry("now", mass("a")), Duration::ZERO);
    assert_eq!(names(&started(&mut lanes, SECOND, 99)), ["now"]);
    lanes.remove(never);
    assert_eq!(lanes.wake_at(99), Some(SECOND * 5));
    assert_eq!(names(&started(&mut lanes, SECOND * 5, 99)), ["later"]);
}

#[test]
fn a_store_has_a_ceiling_of_its_own_that_holds_up_nobody_else() {
    let mut lanes = Lanes::new(&Settings {
        patches_per_second_and_store: Some(2.0),
        ..Settings::default()
    });
    for (name, stores) in [
        ("a1", [1]),
        ("a2", [1]),
        ("a3", [1]),
        ("a4", [1]),
        ("b1", [2]),
    ] {
        let stores = Arc::new(stores);
        let entry = Entry {
            stores,
            ..entry(name, Urgency::Exact)
        };
        lanes.push(entry, Duration::ZERO);
    }
    assert_eq!(names(&started(&mut lanes, SECOND, 99)), ["a1", "a2", "b1"]);
    let next = lanes.wake_at(99).unwrap();
    assert_eq!(next, SECOND + SECOND / 2);
    assert_eq!(names(&started(&mut lanes, next, 99)), ["a3"]);
    assert_eq!(names(&started(&mut lanes, next + SECOND, 99)), ["a4"]);
}
