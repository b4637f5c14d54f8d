use eso_relay::event::{Keys, Kind, Match, Operation, Origin, Pattern, Reach};

use super::*;

fn event(id: &str, keys: &[&str]) -> Event {
    let keys = keys.iter().map(|&key| key.to_owned()).collect();
    Event {
        id: id.to_owned(),
        source: "prod".parse().unwrap(),
        kind: Kind::SecretChanged,
        time: None,
        traceparent: None,
        tracestate: None,
        provider: "akeyless".parse().unwrap(),
        operation: Operation::Updated,
        matches: Match::Exact(Keys::new(keys).unwrap()),
        version: None,
        scope: std::collections::BTreeMap::new(),
        target: None,
        settle: None,
        restart: false,
        received_at: "2026-01-31T08:00:00Z".parse().unwrap(),
        origin: Origin::default(),
    }
}

fn only(clusters: &[&str]) -> Reach {
    Reach {
        namespaces: vec![Pattern::new("team-a")],
        clusters: clusters.iter().copied().map(Pattern::new).collect(),
        ..Reach::default()
    }
}

fn select(keys: &[&str], events: Vec<Event>) -> Selection {
    let keys = keys.iter().map(|&key| key.to_owned()).collect();
    let mut selection = Selection::new("east".parse().unwrap(), keys, false);
    for event in events {
        selection.message(Timestamp::UNIX_EPOCH, Ok(vec![Ok(event)]));
    }
    selection
}

fn ids(selection: Selection) -> Vec<String> {
    selection
        .into_events()
        .into_iter()
        .map(|event| event.id)
        .collect()
}

#[test]
fn of_events_that_mean_the_same_the_newest_stays_in_the_order_of_the_stream() {
    let selection = select(
        &[],
        vec![
            event("1", &["a", "b"]),
            event("2", &["c"]),
            // The same aliases in another order, by another kind of event.
            Event {
                kind: Kind::SecretDeleted,
                ..event("3", &["b", "a"])
            },
            event("4", &["a"]),
        ],
    );
    assert_eq!(selection.counts.superseded, 1);
    assert_eq!(ids(selection), ["2", "3", "4"]);
}

#[test]
fn what_differs_in_meaning_is_published_by_itself() {
    let scope = [("region".to_owned(), "eu".to_owned())].into();
    let events = vec![
        event("key", &["a"]),
        Event {
            source: "stage".parse().unwrap(),
            ..event("source", &["a"])
        },
        Event {
            provider: "vault".parse().unwrap(),
            ..event("provider", &["a"])
        },
        Event {
            matches: Match::Prefix("a".to_owned()),
            ..event("prefix", &["a"])
        },
        Event {
            scope,
            ..event("scope", &["a"])
        },
        Event {
            target: Some(only(&[])),
            ..event("target", &["a"])
        },
    ];
    assert_eq!(select(&[], events).len(), 6);
}

#[test]
fn an_event_reaches_the_one_cluster_and_no_more_than_it_did() {
    let mut events = select(
        &[],
        vec![
            Event {
                target: Some(only(&["west"])),
                ..event("elsewhere", &["a"])
            },
            Event {
                target: Some(only(&["ea*", "west"])),
                ..event("here", &["b"])
            },
            event("everywhere", &["c"]),
        ],
    )
    .into_events();
    assert_eq!(events.len(), 2);
    let everywhere = events.pop().unwrap();
    let here = events.pop().unwrap();
    let cluster = vec![Pattern::new("east")];
    assert_eq!(
        here.target.as_ref().unwrap().namespaces,
        [Pattern::new("team-a")]
    );
    assert_eq!(here.target.unwrap().clusters, cluster);
    assert_eq!(
        everywhere.target.unwrap(),
        Reach {
            clusters: cluster,
            ..Reach::default()
        }
    );
}

#[test]
fn a_replay_of_a_replay_does_not_grow() {
    let replayed = Event {
        target: Some(only(&["east"])),
        ..event("replayed", &["a"])
    };
    let selection = select(
        &[],
        vec![
            Event {
                target: Some(only(&[])),
                ..event("first", &["a"])
            },
            replayed,
        ],
    );
    assert_eq!(ids(selection), ["replayed"]);
}

#[test]
fn a_key_selects_its_aliases_and_the_paths_above_it() {
    let events = vec![
        event("alias", &["x", "/prod/db"]),
        event("other", &["prod/db2"]),
        Event {
            matches: Match::Prefix("/prod/".to_owned()),
            ..event("above", &["-"])
        },
        Event {
            matches: Match::Prefix("/stage/".to_owned()),
            ..event("beside", &["-"])
        },
        Event {
            matches: Match::All,
            ..event("all", &["-"])
        },
    ];
    let selection = select(&["prod/db"], events);
    assert_eq!(selection.counts.other_keys, 3);
    assert_eq!(ids(selection), ["alias", "above"]);
}

#[test]
fn what_cannot_be_read_is_counted_and_stops_nothing() {
    let mut selection = select(&[], vec![event("good", &["a"])]);
    selection.message(Timestamp::UNIX_EPOCH, Err(BatchError::Empty));
    selection.message(
        Timestamp::UNIX_EPOCH,
        Ok(vec![
            Err(EventError::Specversion),
            Ok(event("better", &["a"])),
        ]),
    );
    let counts = Counts {
        messages: 3,
        events: 3,
        unreadable: 2,
        superseded: 1,
        ..Counts::default()
    };
    assert_eq!(selection.counts, counts);
    assert_eq!(ids(selection), ["better"]);
}

#[test]
fn a_key_and_a_source_of_templates_of_one_name_are_two() {
    let template = |id| Event {
        kind: Kind::TemplateChanged,
        ..event(id, &["ConfigMap/app"])
    };
    let key = event("key", &["ConfigMap/app"]);
    let selection = select(&[], vec![template("old"), key, template("new")]);
    assert_eq!(ids(selection), ["key", "new"]);
}
