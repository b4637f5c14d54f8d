use super::*;

const THEN: Timestamp = Timestamp::UNIX_EPOCH;

fn now() -> Timestamp {
    "2026-01-31T08:00:00Z".parse().unwrap()
}

fn after_seconds(seconds: i64) -> Timestamp {
    now() + jiff::SignedDuration::from_secs(seconds)
}

/// Of a durable that has acked everything that it has delivered.
fn seen(first: u64, ack_floor: u64) -> Seen {
    Seen {
        stream: THEN,
        first,
        last: 1000,
        durable: THEN,
        start: 0,
        ack_floor,
        delivered: ack_floor,
        pending: 0,
    }
}

fn at(floor: u64) -> Position {
    Position {
        stream: THEN,
        durable: Some(THEN),
        floor,
        at: now(),
        gap: None,
        taken: None,
        stuck: None,
        replicas: BTreeMap::new(),
    }
}

/// How many were missed.
fn missed(last: Option<&Position>, seen: &Seen) -> Option<u64> {
    let gap = Position::after(last, seen, now()).gap;
    gap.map(|gap| gap.missed.unwrap())
}

#[test]
fn what_was_removed_before_it_was_acked_is_a_gap_and_nothing_else() {
    for (last, seen, expected) in [
        // Nothing is removed, or only what was acked.
        (None, seen(1, 0), None),
        (None, seen(0, 0), None),
        (None, seen(51, 50), None),
        (Some(at(50)), seen(1, 70), None),
        (Some(at(50)), seen(51, 70), None),
        // Expired: the floor stands still.
        (None, seen(61, 50), Some(10)),
        (Some(at(50)), seen(61, 50), Some(10)),
        // Expired, and the first message after them is acked; or purged.
        (Some(at(50)), seen(61, 61), Some(10)),
        (Some(at(50)), seen(61, 60), Some(10)),
    ] {
        assert_eq!(missed(last.as_ref(), &seen), expected, "{last:?} {seen:?}");
    }
}

#[test]
fn what_went_with_its_stream_is_a_gap_of_unknown_size() {
    let other = Seen {
        stream: now(),
        durable: now(),
        ..seen(1, 0)
    };
    let after = Position::after(Some(&at(50)), &other, now());
    assert_eq!(after.gap.as_ref().unwrap().missed, None);
    assert_eq!((after.stream, after.floor), (now(), 0));
    assert_eq!(Position::after(Some(&after), &other, now()), after);
}

#[test]
fn a_stream_that_ends_before_the_floor_was_set_back() {
    let back = Seen {
        last: 40,
        ..seen(1, 60)
    };
    let after = Position::after(Some(&at(50)), &back, now());
    assert_eq!(after.gap.as_ref().unwrap().missed, None);
    assert_eq!(after.floor, 40);
    assert_eq!(Position::after(Some(&after), &back, now()), after);
}

#[test]
fn what_a_durable_passed_over_when_it_was_made_again_is_a_gap() {
    let again = |start, ack_floor| Seen {
        durable: now(),
        start,
        ..seen(1, ack_floor)
    };
    let old = |written| Position {
        durable: None,
        at: written,
        ..at(50)
    };
    for (last, seen, expected) in [
        // A cluster that joins.
        (None, again(80, 80), None),
        // `init` starts it at its joining.
        (Some(at(50)), again(80, 80), Some(30)),
        (Some(at(50)), again(50, 50), None),
        // From the oldest event: it has been acked again since, and nothing was passed over.
        (Some(at(50)), again(0, 80), None),
        // It is still the same one.
        (Some(at(50)), seen(1, 80), None),
        // A position of an older version tells by its time.
        (Some(old(after_seconds(-1))), again(80, 80), Some(30)),
        (Some(old(after_seconds(1))), again(80, 80), None),
    ] {
        let missed = missed(last.as_ref(), &seen);
        assert_eq!(missed, expected, "{last:?} {seen:?}");
        let after = Position::after(last.as_ref(), &seen, now());
        assert_eq!(
            (after.durable, after.floor),
            (Some(seen.durable), seen.ack_floor)
        );
    }
}

#[test]
fn a_gap_is_found_once_and_stays_until_it_is_closed() {
    let found = Position::after(Some(&at(50)), &seen(61, 50), THEN);
    assert_eq!(found.floor, 60);
    let later = Position::after(Some(&found), &seen(61, 80), now());
    assert_eq!((&later.gap, later.floor), (&found.gap, 80));
    let gap = found.gap.clone().unwrap();
    assert_eq!(later.closed(&gap), at(80));
    // Another one, while everything is still being refreshed for the first.
    let more = Position::after(Some(&found), &seen(71, 50), now());
    assert_eq!(more.gap.as_ref().unwrap().missed, Some(20));
    assert_eq!(more.clone().closed(&gap), more);
}

#[test]
fn one_replica_refreshes_everything_and_another_one_when_it_is_gone() {
    let open = Position::after(Some(&at(50)), &seen(61, 50), now());
    let gap = open.gap.clone().unwrap();
    assert!(
        !at(50).claimed("a", now()).is_taken_by("a"),
        "there is nothing to do"
    );
    let taken = open.claimed("a", now());
    assert!(taken.is_taken_by("a"));
    assert!(
        taken
            .clone()
            .claimed("b", after_seconds(30))
            .is_taken_by("a")
    );
    assert!(
        taken
            .clone()
            .claimed("b", after_seconds(31))
            .is_taken_by("b")
    );
    let renewed = taken.claimed("a", after_seconds(20));
    assert!(
        renewed
            .clone()
            .claimed("b", after_seconds(31))
            .is_taken_by("a")
    );
    assert!(renewed.clone().released("b").is_taken_by("a"));
    let free = renewed.clone().released("a");
    assert!(free.claimed("b", after_seconds(21)).is_taken_by("b"));
    assert_eq!(renewed.closed(&gap).taken, None);
}

fn replica(at: Timestamp) -> Replica {
    Replica {
        at,
        held: 3,
        lowest: Some(51),
        until: None,
    }
}

fn names(position: &Position) -> Vec<&str> {
    position.replicas.keys().map(String::as_str).collect()
}

#[test]
fn a_replica_that_has_not_written_for_long_is_gone() {
    let both = at(50)
        .with_replica("a", replica(now()))
        .with_replica("b", replica(after_seconds(10)));
    assert_eq!(names(&both), ["a", "b"]);
    let later = both.with_replica("b", replica(after_seconds(31)));
    assert_eq!(names(&later), ["b"]);
}

#[test]
fn what_a_stopped_replica_gave_back_with_a_delay_stays_known() {
    let last = replica(now());
    let one = at(50).with_replica("a", last);
    assert!(names(&one.clone().without_replica("a", last)).is_empty());
    let last = Replica {
        until: Some(after_seconds(300)),
        ..last
    };
    let left = one.without_replica("a", last);
    let later = left.with_replica("b", replica(after_seconds(299)));
    assert_eq!(names(&later), ["a", "b"]);
    let later = later.with_replica("b", replica(after_seconds(300)));
    assert_eq!(names(&later), ["b"]);
}

#[test]
fn what_is_stuck_is_missed_once_and_holds_the_floor_no_longer() {
    let stuck = |pending, delivered| Seen {
        delivered,
        pending,
        ..seen(1, 59)
    };
    let seen_now = stuck(2, 100);
    let found = Position::after(Some(&at(59)), &seen_now, now());
    assert_eq!((&found.gap, found.floor), (&None, 59));
    let found = found.with_stuck(2, &seen_now, now());
    assert_eq!(found.gap.as_ref().unwrap().missed, Some(2));
    assert_eq!((found.stuck.unwrap().count, found.floor), (2, 100));
    let gap = found.gap.clone().unwrap();
    let closed = found.closed(&gap);
    // The same ones again.
    let later = Position::after(Some(&closed), &seen_now, now()).with_stuck(2, &seen_now, now());
    assert_eq!(later.gap, None);
    // All others are acked, or not.
    assert_eq!(
        Position::after(Some(&closed), &stuck(2, 120), now()).floor,
        120
    );
    assert_eq!(
        Position::after(Some(&closed), &stuck(3, 120), now()).floor,
        100
    );
    // So what is acked may expire.
    let expired = Seen {
        first: 111,
        ..stuck(2, 120)
    };
    let kept = Position::after(Some(&closed), &stuck(2, 120), now());
    assert_eq!(Position::after(Some(&kept), &expired, now()).gap, None);
    // One more.
    let more = Position::after(Some(&closed), &seen_now, now()).with_stuck(3, &seen_now, now());
    assert_eq!(more.gap.as_ref().unwrap().missed, Some(1));
    // They came after all.
    let moved = Position::after(Some(&closed), &seen(1, 120), now());
    assert_eq!((moved.stuck, moved.floor), (None, 120));
}

#[test]
fn it_comes_back_as_it_was_written() {
    let position = Position::after(Some(&at(50)), &seen(61, 50), now())
        .with_replica("a", replica(now()))
        .claimed("a", now())
        .with_stuck(2, &seen(61, 50), now());
    let json = serde_json::to_string(&position).unwrap();
    assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
    let more = json.replacen('{', r#"{"ofAnotherVersion":1,"#, 1);
    assert_eq!(serde_json::from_str::<Position>(&more).unwrap(), position);
    let east = "east".parse().unwrap();
    assert_eq!(
        Position::subject(&east),
        "eso-relay.positions.v1.cluster.east"
    );
}

#[test]
fn one_of_an_older_version_can_be_read() {
    let json = r#"{"stream":"1970-01-01T00:00:00Z","floor":50,"gap":{"foundAt":"2026-01-31T08:00:00Z","missed":null}}"#;
    let read: Position = serde_json::from_str(json).unwrap();
    let gap = Gap {
        found_at: now(),
        missed: None,
    };
    let expected = Position {
        durable: None,
        at: THEN,
        gap: Some(gap),
        ..at(50)
    };
    assert_eq!(read, expected);
}
