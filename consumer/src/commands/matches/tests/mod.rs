mod restarts;

use std::collections::BTreeSet;

use clap::{CommandFactory as _, Parser};
use serde_json::json;

use super::*;
use crate::{
    commands::Command,
    config::FindPolicy,
    kubernetes::Listed,
    matching::{
        index::{
            Admits, Change, ExternalSecret, FindSpec, Form, Index, Reference, Store, StoreRef,
        },
        provider::Backend,
    },
    object::{Refreshable, Unrefreshable},
    tests::{cluster, event},
};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn args(line: &str) -> Result<Args, clap::Error> {
    let line = Line::try_parse_from(["x"].into_iter().chain(line.split_whitespace()))?;
    let Command::Matches(args) = line.command;
    Ok(*args)
}

fn store(name: &str) -> StoreRef {
    StoreRef::Namespaced {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
    }
}

fn reads(store: &StoreRef, key: &str) -> Reference {
    Reference {
        store: store.clone(),
        form: Form::Key(key.to_owned()),
        version: None,
        property: None,
    }
}

/// `db` and `finder` read `/app/db` from Akeyless; `web` reads another key of it, and the same of AWS.
fn listed() -> Listed {
    let (akeyless, aws) = (store("akeyless"), store("aws"));
    let backend = |name: &StoreRef, provider: serde_json::Value| {
        Change::StoreApplied(Store {
            name: name.clone(),
            backend: Backend::of_store(&provider),
            admits: Admits::default(),
        })
    };
    let object = |name: &str, references: Vec<Reference>, problems: &[&str]| {
        Change::Applied(ExternalSecret {
            problems: problems.iter().map(|&text| text.to_owned()).collect(),
            ..ExternalSecret::new(ObjectRef::new("team-a", name), references)
        })
    };
    let find = Reference {
        store: akeyless.clone(),
        form: Form::Find(FindSpec {
            path: Some("/app".to_owned()),
            regexp: Some("d.$".to_owned()),
            tags: false,
        }),
        version: None,
        property: None,
    };
    let mut index = Index::new();
    for change in [
        backend(&akeyless, json!({ "akeyless": {} })),
        backend(&aws, json!({ "aws": { "region": "eu" } })),
        object(
            "db",
            vec![reads(&akeyless, "app/db"), reads(&akeyless, "/x")],
            &[],
        ),
        object("finder", vec![find], &[]),
        object(
            "web",
            vec![reads(&akeyless, "/app/web"), reads(&aws, "/app/db")],
            &[],
        ),
        object("broken", Vec::new(), &["data[0] names no store"]),
    ] {
        index.apply(change);
    }
    Listed {
        index,
        without_cluster_stores: false,
        without_namespaces: false,
        without_kes: false,
        without_workloads: BTreeSet::new(),
        closed: BTreeSet::new(),
        find: FindPolicy::Match,
        restart_by_find: false,
    }
}

fn report(events: &[Event], objects: &[&str], namespaces: &[String]) -> Report {
    let objects: Vec<_> = objects.iter().map(|text| target(text).unwrap()).collect();
    Report::of(events, Some(cluster()), &objects, namespaces, &listed()).unwrap()
}

#[test]
fn the_command_line_is_sound_and_wants_one_event() {
    Line::command().debug_assert();
    for right in [
        "matches --key a --scope region=eu -n team-* --in team-a",
        "matches --scope region=eu",
        "matches --event - --object team-a/db --object team-a/web",
    ] {
        assert!(args(right).is_ok(), "{right}");
    }
    for wrong in [
        "matches",
        "matches --provider akeyless",
        "matches --key a --event f",
        "matches --event f --namespace team-a",
        "matches --all --scope region=eu",
        "matches --key a --object db",
    ] {
        assert!(args(wrong).is_err(), "{wrong} was taken");
    }
}

#[test]
fn the_command_line_goes_before_the_file() {
    let given = args("matches --all --context east --kubeconfig k --in a --in b").unwrap();
    let mut config = KubernetesConfig {
        namespaces: vec!["c".to_owned()],
        ..KubernetesConfig::default()
    };
    args("matches --all").unwrap().place.apply(&mut config);
    assert_eq!(config.namespaces, ["c"]);
    given.place.apply(&mut config);
    assert_eq!(config.context.as_deref(), Some("east"));
    assert_eq!(config.kubeconfig, Some("k".into()));
    assert_eq!(config.namespaces, ["a", "b"]);
}

#[test]
fn matches_are_a_table_of_references() {
    let report = report(&[event("one")], &[], &[]);
    assert_eq!(
        report.to_string(),
        "\
NAMESPACE  NAME    STORE                 PROVIDER  READS
team-a     db      SecretStore/akeyless  akeyless  app/db
team-a     finder  SecretStore/akeyless  akeyless  find path /app name d.$
"
    );
    assert!(report.notes().is_empty());
}

#[test]
fn who_is_skipped_and_whose_owner_is_refreshed_is_said() {
    let mut listed = listed();
    let owner = ObjectRef::owner("all");
    let object = |name: &str| {
        let own = vec![reads(&store("akeyless"), "/app/own")];
        ExternalSecret::new(ObjectRef::new("team-a", name), own)
    };
    for change in [
        Change::Applied(ExternalSecret {
            refreshable: Refreshable::No(Unrefreshable::Ignored),
            ..object("ignored")
        }),
        Change::Applied(ExternalSecret {
            owner: Some(owner.clone()),
            ..object("owned")
        }),
        Change::OwnerApplied {
            owner,
            value: None,
            uid: None,
        },
    ] {
        listed.index.apply(change);
    }
    let own = Event {
        matches: eso_relay::event::Match::Exact(eso_relay::event::Keys::one("app/own").unwrap()),
        ..event("one")
    };
    let asked = ["ignored", "owned"].map(|name| ObjectRef::new("team-a", name));
    let report = Report::of(&[own], Some(cluster()), &asked, &[], &listed).unwrap();
    assert_eq!(
        report.to_string(),
        "\
NAMESPACE  NAME                       STORE                 PROVIDER  READS
           ClusterExternalSecret/all  SecretStore/akeyless  akeyless  /app/own

NAMESPACE  NAME     SKIPPED  WHAT TO CHANGE
team-a     ignored  ignored  remove the annotation eso-relay.dev/ignore

team-a/ignored matches, and is skipped for the reason above.
STORE                 PROVIDER  READS     BECAUSE
SecretStore/akeyless  akeyless  /app/own  the event matches

team-a/owned matches.
STORE                 PROVIDER  READS     BECAUSE
SecretStore/akeyless  akeyless  /app/own  the event matches
"
    );
}

#[test]
fn who_is_asked_about_is_explained_reference_by_reference() {
    let none = Event {
        matches: eso_relay::event::Match::Exact(eso_relay::event::Keys::one("none").unwrap()),
        ..event("one")
    };
    let asked = ["team-a/web", "team-a/broken", "team-b/web"];
    let report = report(&[none], &asked, &[]);
    assert_eq!(
        report.to_string(),
        "\
team-a/web does not match.
STORE                 PROVIDER  READS     BECAUSE
SecretStore/akeyless  akeyless  /app/web  the event is about another secret
SecretStore/aws       aws-sm    /app/db   the event is about akeyless

team-a/broken references no secret of a store.
A part of it is malformed: data[0] names no store.

team-b/web does not exist, or is being deleted.
"
    );
    assert_eq!(report.notes(), ["None of 4 ExternalSecrets matches."]);
}

#[test]
fn another_place_is_named_by_the_attribute_that_differs() {
    let elsewhere = Event {
        provider: "aws-sm".parse().unwrap(),
        matches: eso_relay::event::Match::Scope,
        scope: [("region", "us"), ("account", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..event("one")
    };
    let text = report(&[elsewhere], &["team-a/web"], &[]).to_string();
    let line = text.lines().find(|line| line.contains("aws-sm ")).unwrap();
    assert!(line.ends_with("it is not in region=us"), "{text}");
}

#[test]
fn a_store_that_is_not_there_is_said_to_be_unknown() {
    let mut listed = listed();
    listed.index.apply(Change::StoreDeleted(store("aws")));
    listed.without_cluster_stores = true;
    (listed.without_namespaces, listed.find) = (true, FindPolicy::Ignore);
    listed.closed.insert("team-b".to_owned());
    let asked = [ObjectRef::new("team-a", "web")];
    let report = Report::of(&[event("one")], None, &asked, &[], &listed).unwrap();
    let text = report.to_string();
    assert!(
        text.contains("unknown   /app/db   the event may match: its store is unknown"),
        "{text}"
    );
    assert!(text.contains("team-a/web matches."), "{text}");
    let notes = report.notes();
    assert!(notes[0].starts_with("No permission to list"), "{notes:?}");
    assert!(notes[1].contains("namespaceSelector"), "{notes:?}");
    assert!(notes[2].contains("in team-b"), "{notes:?}");
    assert!(notes[3].contains("`refresh.find`"), "{notes:?}");
}

#[test]
fn what_lies_outside_is_told_from_what_differs() {
    let away = Event {
        target: Some(eso_relay::event::Reach {
            clusters: vec![eso_relay::event::Pattern::new("west")],
            ..eso_relay::event::Reach::default()
        }),
        ..event("one")
    };
    let text = report(&[away], &["team-a/db"], &[]).to_string();
    assert!(
        text.contains("The event is not for this cluster."),
        "{text}"
    );
    assert!(
        text.contains("team-a/db is in a cluster that the event does not reach."),
        "{text}"
    );
    let only = ["team-b".to_owned()];
    let text = report(&[event("one")], &["team-a/db"], &only).to_string();
    assert!(text.contains("was not listed"), "{text}");
}

#[test]
fn scripts_read_each_event_as_it_stands_in_the_stream() {
    let report = report(&[event("one"), event("two")], &["team-a/web"], &[]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["cluster"], "east");
    let second = &json["events"][1];
    assert_eq!(second["event"]["id"], "two");
    assert_eq!(second["event"]["data"]["keys"], json!(["/app/db"]));
    assert_eq!(
        second["matches"][0]["references"][0],
        json!({
            "store": { "kind": "SecretStore", "name": "akeyless", "provider": "akeyless" },
            "key": "app/db",
            "differs": [],
        })
    );
    assert_eq!(second["objects"][0]["state"], "differs");
    let differs = &second["objects"][0]["references"][0]["differs"];
    assert_eq!(*differs, json!([{ "reason": "secret" }]));
    let text = report.to_string();
    assert!(
        text.contains("Event two of akeyless: 2 of 4 match"),
        "{text}"
    );
}

#[test]
fn sync_windows_that_an_event_does_not_wait_for_are_said() {
    let mut listed = listed();
    let object = |name: &str| {
        let own = vec![reads(&store("akeyless"), "/app/db")];
        ExternalSecret::new(ObjectRef::new("team-a", name), own)
    };
    listed.index.apply(Change::Applied(ExternalSecret {
        sync_windows: true,
        ..object("nightly")
    }));
    let report = Report::of(&[event("one")], Some(cluster()), &[], &[], &listed).unwrap();
    let [note] = &report.notes()[..] else {
        panic!("{:?}", report.notes())
    };
    assert!(
        note.contains("spec.syncWindows of team-a/nightly delay"),
        "{note}"
    );
}
