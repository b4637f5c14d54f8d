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
        target: ObjectRef::new("apps", name),
        urgency,
        stores: Arc::new([]),
        weight: 1,
        failing: false,
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

fn started(lanes: &mut Lanes, now: Duration) -> Vec<ObjectRef> {
    std::iter::from_fn(|| lanes.start(now)).collect()
}

fn names(targets: &[ObjectRef]) -> Vec<&str> {
    targets.iter().map(ObjectRef::name).collect()
}

#[test]
fn no_more_are_in_flight_than_the_limit() {
    let mut lanes = exact(2, None, 5);
    let first = started(&mut lanes, SECOND);
    assert_eq!(first.len(), 2);
    lanes.ended(&first[0], true);
    assert_eq!(started(&mut lanes, SECOND).len(), 1);
    lanes.ended(&first[1], true);
    assert_eq!(started(&mut lanes, SECOND).len(), 1);
}

#[test]
fn the_rate_allows_a_burst_of_one_second() {
    let mut lanes = exact(99, Some(4.0), 20);
    assert_eq!(started(&mut lanes, SECOND).len(), 4);
    let next = lanes.wake_at().unwrap();
    assert_eq!(next, SECOND + SECOND / 4);
    assert_eq!(started(&mut lanes, next).len(), 1);
    assert_eq!(started(&mut lanes, SECOND * 60).len(), 4);
}

#[test]
fn a_rate_below_one_a_second_still_starts_one() {
    let mut lanes = exact(99, Some(0.1), 3);
    assert_eq!(started(&mut lanes, SECOND).len(), 1);
    assert_eq!(lanes.wake_at(), Some(SECOND * 11));
}

#[test]
fn a_rate_that_is_none_limits_nothing_and_stops_nothing() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(started(&mut exact(99, Some(rate), 9), SECOND).len(), 9);
    }
}

#[test]
fn only_mass_work_waits_for_the_window() {
    let mut lanes = lanes(99, None, 2);
    for name in ["m1", "m2", "m3", "m4"] {
        lanes.push(entry(name, mass("a")), Duration::ZERO);
    }
    let first = started(&mut lanes, SECOND);
    assert_eq!(names(&first), ["m1", "m2"]);
    lanes.ended(&first[0], true);
    assert_eq!(
        lanes.wake_at(),
        Some(SECOND * 3),
        "patched but not synced: it leaves the window after a while"
    );
    lanes.push(entry("urgent", Urgency::Exact), Duration::ZERO);
    assert_eq!(names(&started(&mut lanes, SECOND)), ["urgent"]);
    lanes.window().synced(SECOND * 2, &first[0]);
    assert_eq!(names(&started(&mut lanes, SECOND)), ["m3"]);
    lanes.ended(&first[1], false);
    assert_eq!(
        names(&started(&mut lanes, SECOND)),
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
    let order = started(&mut lanes, SECOND);
    assert_eq!(names(&order), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
}

#[test]
fn a_deferred_entry_joins_later_or_is_removed() {
    let mut lanes = lanes(99, None, 99);
    lanes.push(entry("later", mass("a")), SECOND * 5);
    let never = lanes.push(entry("never", mass("a")), SECOND * 4);
    lanes.push(entry("now", mass("a")), Duration::ZERO);
    assert_eq!(names(&started(&mut lanes, SECOND)), ["now"]);
    lanes.remove(never);
    assert_eq!(lanes.wake_at(), Some(SECOND * 5));
    assert_eq!(names(&started(&mut lanes, SECOND * 5)), ["later"]);
}

#[test]
fn a_store_has_a_ceiling_of_its_own_that_holds_up_no_other() {
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
    assert_eq!(names(&started(&mut lanes, SECOND)), ["a1", "a2", "b1"]);
    let next = lanes.wake_at().unwrap();
    assert_eq!(next, SECOND + SECOND / 2);
    assert_eq!(names(&started(&mut lanes, next)), ["a3"]);
    assert_eq!(names(&started(&mut lanes, next + SECOND)), ["a4"]);
}

fn in_namespace(namespace: &str, name: &str, urgency: Urgency) -> Entry {
    Entry {
        target: ObjectRef::new(namespace, name),
        ..entry(name, urgency)
    }
}

/// How many start at once in a namespace where a patch failed.
fn started_of_suspects(slots: usize) -> usize {
    let mut lanes = lanes(slots, None, 99);
    lanes.failed(&ObjectRef::new("broken", "first"));
    for name in 0..100 {
        let entry = in_namespace("broken", &name.to_string(), Urgency::Exact);
        lanes.push(entry, Duration::ZERO);
    }
    started(&mut lanes, SECOND).len()
}

#[test]
fn a_failing_namespace_has_a_quarter_of_the_slots() {
    for (slots, expected) in [(32, 8), (9, 2), (3, 1), (1, 1)] {
        assert_eq!(started_of_suspects(slots), expected, "{slots} slots");
    }
}

#[test]
fn others_overtake_a_namespace_that_hangs() {
    let mut lanes = lanes(8, None, 99);
    lanes.failed(&ObjectRef::new("broken", "first"));
    for urgency in [Urgency::Exact, mass("a")] {
        for name in ["1", "2", "3"] {
            lanes.push(
                in_namespace("broken", name, urgency.clone()),
                Duration::ZERO,
            );
        }
        lanes.push(in_namespace("sound", "x", urgency), Duration::ZERO);
    }
    let first = started(&mut lanes, SECOND);
    assert_eq!(names(&first), ["1", "2", "x", "x"]);
    assert_eq!(lanes.wake_at(), None);
    lanes.ended(&first[0], false);
    assert_eq!(names(&started(&mut lanes, SECOND)), ["3"]);
}

#[test]
fn a_response_clears_the_namespace_only() {
    let mut lanes = lanes(4, None, 99);
    let first = ObjectRef::new("broken", "first");
    lanes.failed(&first);
    for name in ["1", "2", "3"] {
        lanes.push(
            Entry {
                failing: name != "2",
                ..in_namespace("broken", name, Urgency::Exact)
            },
            Duration::ZERO,
        );
    }
    assert_eq!(names(&started(&mut lanes, SECOND)), ["1"]);
    lanes.answered(&ObjectRef::new("broken", "other"));
    assert_eq!(names(&started(&mut lanes, SECOND)), ["2"]);
    assert_eq!(lanes.wake_at(), None);
}

#[test]
fn suspects_have_a_quarter_of_the_window_and_of_the_rate() {
    let mut lanes = lanes(99, None, 8);
    lanes.failed(&ObjectRef::new("broken", "first"));
    for name in 0..9 {
        lanes.push(
            in_namespace("broken", &name.to_string(), mass("a")),
            Duration::ZERO,
        );
    }
    assert_eq!(started(&mut lanes, SECOND).len(), 2);

    let mut lanes = exact(99, Some(8.0), 0);
    lanes.failed(&ObjectRef::new("broken", "first"));
    for (namespace, count) in [("broken", 9), ("sound", 9)] {
        for name in 0..count {
            let entry = in_namespace(namespace, &name.to_string(), Urgency::Exact);
            lanes.push(entry, Duration::ZERO);
        }
    }
    let first = started(&mut lanes, SECOND);
    let of = |namespace| {
        first
            .iter()
            .filter(|it| it.namespace() == namespace)
            .count()
    };
    assert_eq!((of("broken"), of("sound")), (2, 6));
}

#[test]
fn a_namespace_is_forgotten_with_the_target_that_failed() {
    let mut lanes = lanes(4, None, 99);
    for name in 0..1_000 {
        lanes.failed(&ObjectRef::new(&format!("team-{name}"), "db"));
    }
    for name in 0..1_000 {
        lanes.forget(&ObjectRef::new(&format!("team-{name}"), "other"));
        assert_eq!(lanes.suspects(), 1_000 - name);
        lanes.forget(&ObjectRef::new(&format!("team-{name}"), "db"));
    }
    assert_eq!(lanes.suspects(), 0);
}

#[test]
fn a_patch_that_fails_leaves_its_stores_ceiling_to_others() {
    let mut lanes = Lanes::new(&Settings {
        patches_per_second_and_store: Some(1.0),
        ..Settings::default()
    });
    let of_store = |name: &str| Entry {
        stores: Arc::new([1]),
        ..entry(name, Urgency::Exact)
    };
    lanes.push(of_store("bad"), Duration::ZERO);
    let bad = started(&mut lanes, SECOND);
    lanes.ended(&bad[0], false);
    lanes.push(of_store("good"), Duration::ZERO);
    assert_eq!(names(&started(&mut lanes, SECOND)), ["good"]);
}
