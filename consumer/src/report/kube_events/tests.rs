use super::{
    event::MAX_TEXT,
    limiter::{AGAIN, BURST, DENIED, HOLDS, MAX_DENIED, MAX_WRITTEN},
    *,
};
use crate::{kubernetes::ApiVersion, report::metrics::EventResult};

const SECOND: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_millis(412);
const REFRESHED: Fact = Fact::Refreshed { after: AFTER };
const FAILED: Fact = Fact::Failed { after: AFTER };
const ONCE: Fact = Fact::NotRefreshable(Unrefreshable::CreatedOnce);

fn note(number: u32, fact: Fact) -> Note {
    Note {
        at: Timestamp::UNIX_EPOCH,
        target: ObjectRef::new("apps", &format!("object-{number}")),
        uid: format!("00000000-0000-4000-8000-{number:012x}")
            .parse()
            .unwrap(),
        event: "00112233445566778899".parse().unwrap(),
        source: Some("prod".parse().unwrap()),
        fact,
    }
}

fn all() -> Vec<Fact> {
    let mut all = vec![REFRESHED, FAILED, Fact::Silent { after: AFTER }];
    let skipped = Unrefreshable::ALL.into_iter();
    all.extend(skipped.filter_map(Fact::of_skipped));
    all
}

/// Admitted and written, or not.
fn told(limiter: &mut NoteLimiter, now: Duration, note: &Note) -> EventResult {
    match limiter.admit(now, note) {
        Ok(()) => {
            limiter.ended(now, note, EventResult::written);
            EventResult::written
        }
        Err(told) => told,
    }
}

#[test]
fn a_refresh_names_event_source_and_duration() {
    let note = note(1, REFRESHED);
    assert_eq!((note.reason(), note.is_warning()), ("Refreshed", false));
    assert_eq!(
        note.text(),
        "Refreshed for event 00112233445566778899 of source prod: ESO has synced it 412.0ms after the patch"
    );
}

#[test]
fn failures_and_silences_are_warnings() {
    for (fact, reason, meaning) in [
        (FAILED, "RefreshFailed", "see the condition Ready"),
        (
            Fact::Silent { after: 30 * SECOND },
            "RefreshSilent",
            "has not updated the status for 30.0s",
        ),
    ] {
        let note = note(1, fact);
        assert_eq!((note.reason(), note.is_warning()), (reason, true));
        let text = note.text();
        assert!(text.contains(meaning), "{text}");
        assert!(text.contains("The old value may still be in use"), "{text}");
    }
}

#[test]
fn what_is_not_refreshed_is_told_with_what_to_change() {
    let note = note(1, ONCE);
    assert_eq!(
        (note.reason(), note.is_warning()),
        ("NotRefreshable", false)
    );
    let text = note.text();
    assert!(
        text.ends_with(Unrefreshable::CreatedOnce.advice()),
        "{text}"
    );
    assert!(text.contains("(created_once)"), "{text}");
}

#[test]
fn whoever_chose_to_be_left_alone_is_not_told_so() {
    use Unrefreshable::{Deleting, ForeignController, Ignored, NotSelected, PushEcho};
    for reason in [Deleting, Ignored, NotSelected, ForeignController, PushEcho] {
        assert_eq!(Fact::of_skipped(reason), None);
    }
    assert_eq!(all().len(), 3 + Unrefreshable::ALL.len() - 5);
}

#[test]
fn every_event_is_one_that_the_api_takes() {
    let mut names = std::collections::BTreeSet::new();
    for fact in all() {
        let mut note = note(1, fact);
        note.source = Some("s".repeat(63).parse().unwrap());
        let event = note.to_event(ApiVersion::V1, "pod");
        assert!(event.note.unwrap().len() <= MAX_TEXT);
        let name = event.metadata.name.unwrap();
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        assert!(name.len() <= 253 && name.bytes().all(fits), "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), all().len(), "each fact has its own");
}

#[test]
fn an_event_names_its_object_as_kubectl_looks_for_it() {
    let note = note(1, REFRESHED);
    let event = note.to_event(ApiVersion::V1Beta1, "pod");
    let regarding = event.regarding.unwrap();
    assert_eq!(
        regarding.api_version.as_deref(),
        Some("external-secrets.io/v1beta1")
    );
    assert_eq!(regarding.kind.as_deref(), Some("ExternalSecret"));
    assert_eq!(regarding.name.as_deref(), Some("object-1"));
    assert_eq!(regarding.namespace.as_deref(), Some("apps"));
    assert_eq!(regarding.uid, Some(note.uid.to_string()));
    assert_eq!(event.metadata.namespace.as_deref(), Some("apps"));

    let target = ObjectRef::owner("shared");
    let event = Note { target, ..note }.to_event(ApiVersion::V1, "pod");
    let regarding = event.regarding.unwrap();
    assert_eq!(regarding.kind.as_deref(), Some("ClusterExternalSecret"));
    assert_eq!(regarding.namespace, None);
    assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
}

#[test]
fn the_same_fact_has_the_same_name_whoever_tells_it() {
    let other = |note: Note| Note {
        at: Timestamp::MAX,
        event: "99887766554433221100".parse().unwrap(),
        ..note
    };
    let once = note(1, ONCE);
    assert_eq!(once.name(), other(once.clone()).name());
    let refreshed = note(1, REFRESHED);
    assert_ne!(refreshed.name(), other(refreshed.clone()).name());
    let later = Fact::Refreshed { after: SECOND };
    assert_eq!(refreshed.name(), note(1, later).name());
}

#[test]
fn lasting_facts_are_written_once_an_hour() {
    let mut limiter = NoteLimiter::default();
    let pinned = Fact::NotRefreshable(Unrefreshable::PinnedVersion);
    for first in [note(1, ONCE), note(2, ONCE), note(1, pinned)] {
        assert_eq!(told(&mut limiter, SECOND, &first), EventResult::written);
    }
    for _ in 0..3 {
        assert_eq!(
            told(&mut limiter, HOLDS, &note(1, ONCE)),
            EventResult::repeated,
            "it is there still"
        );
    }
    let gone = HOLDS + SECOND;
    assert_eq!(
        told(&mut limiter, gone, &note(1, ONCE)),
        EventResult::written
    );
}

#[test]
fn what_happens_often_is_told_every_few_minutes() {
    let mut limiter = NoteLimiter::default();
    let seconds = 0..3600_u32;
    let written = seconds.filter(|second| {
        let told = told(&mut limiter, SECOND * *second, &note(1, REFRESHED));
        told == EventResult::written
    });
    assert_eq!(written.count(), 12);
    // Another fact in between.
    assert_eq!(
        told(&mut limiter, SECOND * 3599, &note(1, FAILED)),
        EventResult::written
    );
    assert_eq!(AGAIN, SECOND * 300);
}

#[test]
fn a_burst_leaves_room_for_warnings() {
    let mut limiter = NoteLimiter::default();
    let mut written = |now, fact, numbers: std::ops::Range<u32>| {
        let told = numbers.map(|number| told(&mut limiter, now, &note(number, fact)));
        let (written, left): (Vec<_>, Vec<_>) =
            told.partition(|told| *told == EventResult::written);
        assert!(left.iter().all(|told| *told == EventResult::limited));
        written.len()
    };
    assert_eq!(written(SECOND, REFRESHED, 0..1_000), 50);
    assert_eq!(written(SECOND, FAILED, 0..1_000), 50);
    // Fact was left out was not told, so it may be; five a second come in.
    assert_eq!(written(SECOND * 2, FAILED, 500..1_000), 5);
    let full = SECOND * BURST;
    assert_eq!(written(full, REFRESHED, 100..1_000), 50);
}

#[test]
fn a_denial_quiets_its_namespace_for_minutes_and_no_other() {
    let mut limiter = NoteLimiter::default();
    let (first, second) = (note(1, ONCE), note(2, FAILED));
    limiter.admit(SECOND, &first).unwrap();
    limiter.ended(SECOND, &first, EventResult::denied);
    assert_eq!(limiter.admit(SECOND * 2, &first), Err(EventResult::denied));
    assert_eq!(limiter.admit(SECOND * 2, &second), Err(EventResult::denied));
    let elsewhere = Note {
        target: ObjectRef::new("other", "object"),
        ..note(3, ONCE)
    };
    limiter.admit(SECOND * 2, &elsewhere).unwrap();
    // It was not told yet.
    limiter.admit(SECOND + DENIED, &first).unwrap();
}

#[test]
fn what_could_not_be_written_is_told_the_next_time() {
    let mut limiter = NoteLimiter::default();
    let note = note(1, ONCE);
    limiter.admit(SECOND, &note).unwrap();
    limiter.ended(SECOND, &note, EventResult::failed);
    limiter.admit(SECOND, &note).unwrap();
    limiter.ended(SECOND, &note, EventResult::already_there);
    assert_eq!(limiter.admit(SECOND, &note), Err(EventResult::repeated));
}

#[test]
fn memory_is_bounded_however_many_objects_there_are() {
    let mut limiter = NoteLimiter::default();
    let mut most = 0;
    for number in 0..200_000 {
        let now = SECOND / 5 * number;
        let note = note(number, ONCE);
        assert_eq!(told(&mut limiter, now, &note), EventResult::written);
        most = most.max(limiter.remembered()[0]);
    }
    assert!(most <= MAX_WRITTEN, "{most}");
    for number in 0..=2 * u32::try_from(MAX_DENIED).unwrap() {
        let target = ObjectRef::new(&format!("team-{number}"), "db");
        let note = Note {
            target,
            ..note(number, ONCE)
        };
        limiter.ended(SECOND, &note, EventResult::denied);
    }
    assert!(limiter.remembered()[1] <= MAX_DENIED);
}
