use super::*;

#[test]
fn only_the_news_of_a_changed_secret_restarts() {
    let s = store("n", "s");
    let mut index = index([
        applied("n/es", vec![key(&s, "k")]),
        reader("n/one", &["es"]),
        with_variables("n/two", &["vault:secret/data/k#x"]),
        Change::Synced,
    ]);
    let changed = exact("generic", "k");
    let with = |change: &dyn Fn(&mut Event)| {
        let mut event = changed.clone();
        change(&mut event);
        event
    };
    assert_eq!(restarts(&index, &changed), ["one > n/es"]);
    let gap = Event::refresh_everything(
        "gap".parse().unwrap(),
        "1".into(),
        Reach::default(),
        changed.received_at,
    );
    for event in [
        with(&|event| event.kind = Kind::SecretDeleted),
        with(&|event| event.kind = Kind::ScopeChanged),
        with(&|event| event.kind = Kind::RefreshRequested),
        with(&|event| event.operation = Operation::Deleted),
        with(&|event| event.operation = Operation::Metadata),
        with(&|event| event.matches = Match::Prefix("k".into())),
        with(&|event| event.matches = Match::Scope),
        with(&|event| event.matches = Match::All),
        with(&|event| event.origin.replayed_at = Some(event.received_at)),
        gap,
    ] {
        assert_eq!(restarts(&index, &event), none(), "{event:?}");
        let all = index.matching_all_workloads(&event).workloads;
        assert!(
            all.iter()
                .all(|one| one.against == Some(Unrestarted::Event))
                && !all.is_empty(),
            "{event:?}"
        );
    }
    // Unless it is asked for.
    for (matches, restarted) in [
        (changed.matches.clone(), &["one > n/es"][..]),
        (Match::Prefix("k".into()), &["one > n/es"]),
        (Match::Prefix("secret".into()), &["two+ > "]),
        (Match::All, &["one > n/es", "two+ > "]),
    ] {
        let asked = with(&|event| {
            event.kind = Kind::RefreshRequested;
            event.restart = true;
            event.matches = matches.clone();
        });
        assert_eq!(restarts(&index, &asked), restarted, "{asked:?}");
    }
    let deleted = with(&|event| (event.kind, event.restart) = (Kind::SecretDeleted, true));
    assert_eq!(restarts(&index, &deleted), none());
    // A new workload, and events of before that are matched again for what has appeared.
    let shown = index.apply(reader("n/new", &["es"]));
    assert!(
        matches!(shown[..], [Observation::Workload { state: Some(_), .. }]),
        "{shown:?}"
    );
    let among = index.among(&[ObjectRef::new("n", "es")].into());
    assert!(index.matching_among(&changed, &among).workloads.is_empty());
}

#[test]
fn a_find_alone_restarts_only_where_it_is_asked_for() {
    let s = store("n", "s");
    let index = index([
        applied("n/finder", vec![find(&s, None, None)]),
        applied("n/both", vec![find(&s, None, None), key(&s, "k")]),
        reader("n/one", &["finder"]),
        reader("n/two", &["both"]),
        reader("n/three", &["finder", "both"]),
    ]);
    let found = restarts(&index, &exact("generic", "k"));
    assert_eq!(
        found,
        [
            "one > n/finder - find",
            "three > n/both,n/finder",
            "two > n/both"
        ]
    );
}

#[test]
fn a_skipped_external_secret_is_not_followed() {
    use crate::object::Unrefreshable::CreatedOnce;
    let s = store("n", "s");
    let skipped = ExternalSecret {
        refreshable: Refreshable::No(CreatedOnce),
        ..secret("n/once", vec![key(&s, "k")])
    };
    let index = index([
        Change::Applied(skipped),
        applied("n/es", vec![key(&s, "k")]),
        reader("n/one", &["once"]),
        reader("n/two", &["once", "es"]),
    ]);
    assert_eq!(
        restarts(&index, &exact("generic", "k")),
        ["one >  - skipped", "two > n/es"]
    );
}
