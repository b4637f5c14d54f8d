use std::{collections::BTreeSet, pin::pin, time::Duration};

use futures::{Stream, StreamExt};
use http::StatusCode;
use kube::{
    api::{ListParams, Patch, PatchParams},
    core::DynamicObject,
    runtime::watcher::{self, Event, watcher},
};
use serde_json::{Value, json};

use super::{Effect, On, Served, StandIn, Times, Verb};
use crate::cluster::{Kind, annotate, annotation, external_secret, get, objects};

/// Every wait in these tests ends by then, in vain or not.
const DEADLINE: Duration = Duration::from_secs(20);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("in time")
}

async fn with_one() -> StandIn {
    let api = StandIn::start().await.unwrap();
    api.load([external_secret("db")
        .in_namespace("team-a")
        .from_store("akeyless")
        .key("/prod/db")]);
    api
}

/// The names of all objects up to `InitDone`, the errors on the way, in order.
async fn initial(
    events: &mut (impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Unpin),
) -> (BTreeSet<String>, Vec<watcher::Error>) {
    let (mut names, mut errors) = (BTreeSet::new(), Vec::new());
    loop {
        match in_time(events.next()).await.unwrap() {
            Ok(Event::Init) => names.clear(),
            Ok(Event::InitApply(object)) => drop(names.insert(object.metadata.name.unwrap())),
            Ok(Event::InitDone) => return (names, errors),
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("not an answer of the API: {other}"),
    }
}

#[tokio::test]
async fn a_watcher_gets_2000_objects_in_pages_and_then_a_patch() {
    let api = StandIn::start().await.unwrap();
    api.load(
        (0..2000)
            .map(|n| external_secret(&format!("es-{n}")).in_namespace(&format!("team-{}", n % 7))),
    );
    let client = api.client();
    let all = objects(&client, Kind::ExternalSecret, None);
    let mut events = pin!(watcher(all, watcher::Config::default().page_size(300)));
    let (names, _) = initial(&mut events).await;
    assert_eq!(names.len(), 2000);
    assert_eq!(
        api.requests()
            .count_of(Verb::List, Kind::ExternalSecret, 200),
        7
    );

    annotate(&client, "team-3", "es-3", "one").await.unwrap();
    let Event::Apply(object) = in_time(events.next()).await.unwrap().unwrap() else {
        panic!("a patch is an Apply");
    };
    assert_eq!(object.metadata.name.as_deref(), Some("es-3"));
    assert_eq!(
        annotation(&client, "team-3", "es-3")
            .await
            .unwrap()
            .as_deref(),
        Some("one")
    );
}

#[tokio::test]
async fn a_streaming_list_ends_with_its_bookmark() {
    let api = with_one().await;
    let all = objects(&api.client(), Kind::ExternalSecret, None);
    let mut events = pin!(watcher(all, watcher::Config::default().streaming_lists()));
    let (names, errors) = initial(&mut events).await;
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["db"]);
    assert!(errors.is_empty());
    assert_eq!(api.requests().count(Verb::List, Kind::ExternalSecret), 0);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_leaves_the_version() {
    let api = with_one().await;
    let client = api.client();
    annotate(&client, "team-a", "db", "one").await.unwrap();
    let before = get(&client, "team-a", "db")
        .await
        .unwrap()
        .unwrap()
        .metadata;
    annotate(&client, "team-a", "db", "one").await.unwrap();
    let after = get(&client, "team-a", "db")
        .await
        .unwrap()
        .unwrap()
        .metadata;
    assert_eq!(before.resource_version, after.resource_version);

    let seen = api.requests().patches("team-a", "db");
    let changed: Vec<_> = seen
        .iter()
        .map(|patch| (patch.value.as_str(), patch.changed))
        .collect();
    assert_eq!(changed, [("one", true), ("one", false)]);
    assert_eq!(seen[0].field_manager.as_deref(), Some("eso-relay-lab"));
    assert_eq!(api.requests().most_in_flight("team-a", "db"), 1);
}

#[tokio::test]
async fn only_a_changed_spec_moves_the_generation_and_only_slash_status_the_status() {
    let api = with_one().await;
    let team = objects(&api.client(), Kind::ExternalSecret, Some("team-a"));
    let patch = async |patch: Value| {
        team.patch("db", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap()
    };
    let annotated = patch(json!({ "metadata": { "annotations": { "a": "1" } } })).await;
    assert_eq!(annotated.metadata.generation, Some(1));
    let respecified =
        patch(json!({ "spec": { "refreshInterval": "5m" }, "status": { "x": 1 } })).await;
    assert_eq!(respecified.metadata.generation, Some(2));
    assert_eq!(respecified.data["status"], Value::Null);
    let status = Patch::Merge(json!({ "status": { "refreshTime": "now" }, "spec": null }));
    let synced = team
        .patch_status("db", &PatchParams::default(), &status)
        .await
        .unwrap();
    assert_eq!(synced.metadata.generation, Some(2));
    assert_eq!(synced.data["status"]["refreshTime"], "now");
    assert_eq!(synced.data["spec"]["refreshInterval"], "5m");
    let stale = json!({ "metadata": { "resourceVersion": "1", "annotations": { "a": "2" } } });
    let conflict = team
        .patch("db", &PatchParams::default(), &Patch::Merge(stale))
        .await
        .unwrap_err();
    assert_eq!(code(&conflict), 409);
}

#[tokio::test]
async fn an_expired_version_makes_the_watcher_list_again() {
    let api = with_one().await;
    let all = objects(&api.client(), Kind::ExternalSecret, None);
    let mut events = pin!(watcher(all.clone(), watcher::Config::default()));
    initial(&mut events).await;
    let version = all
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let watching = async {
        // The watch is open once it brings something.
        annotate(&api.client(), "team-a", "db", "one")
            .await
            .unwrap();
        assert!(matches!(events.next().await, Some(Ok(Event::Apply(_)))));
    };
    in_time(watching).await;

    api.expire_watches();
    let (names, errors) = initial(&mut events).await;
    assert_eq!(names.len(), 1);
    assert!(matches!(&errors[..], [watcher::Error::WatchError(status)] if status.code == 410));

    let late = all
        .watch(&kube::api::WatchParams::default(), &version)
        .await;
    assert_eq!(code(&late.err().expect("the version is too old")), 410);
}

#[tokio::test]
async fn a_closed_watch_is_resumed_without_a_new_list() {
    let api = with_one().await;
    let client = api.client();
    let all = objects(&client, Kind::ExternalSecret, None);
    let mut events = pin!(watcher(all, watcher::Config::default()));
    initial(&mut events).await;
    for value in ["one", "two"] {
        annotate(&client, "team-a", "db", value).await.unwrap();
        assert!(matches!(
            in_time(events.next()).await,
            Some(Ok(Event::Apply(_)))
        ));
        api.close_watches();
    }
    assert_eq!(api.requests().count(Verb::List, Kind::ExternalSecret), 1);
}

#[tokio::test]
async fn an_injected_429_says_when_to_come_back_and_happens_as_often_as_asked() {
    let api = with_one().await;
    let client = api.client();
    let on = On::verb(Verb::Patch, Kind::ExternalSecret)
        .in_namespace("team-a")
        .named("db");
    api.faults()
        .inject(on, Effect::too_many_requests(7), Times::Next(1));
    let error = annotate(&client, "team-a", "db", "one").await.unwrap_err();
    let kube::Error::Api(status) = error else {
        panic!("{error}");
    };
    assert_eq!(
        (status.code, status.reason.as_str()),
        (429, "TooManyRequests")
    );
    assert_eq!(status.details.unwrap().retry_after_seconds, 7);
    assert!(api.requests().patches("team-a", "db").is_empty());
    annotate(&client, "team-a", "db", "one").await.unwrap();
    assert_eq!(
        api.requests()
            .count_of(Verb::Patch, Kind::ExternalSecret, 429),
        1
    );
}

#[tokio::test]
async fn a_hanging_request_hangs_until_the_fault_is_lifted() {
    let api = with_one().await;
    let client = api.client();
    let fault = api
        .faults()
        .inject(On::any().named("db"), Effect::Hang, Times::All);
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { annotate(&client, "team-a", "db", "one").await }
    });
    in_time(async {
        while api.requests().most_in_flight("team-a", "db") == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!hanging.is_finished());
    assert_eq!(api.requests().count(Verb::Patch, Kind::ExternalSecret), 0);
    api.faults().lift(fault);
    in_time(hanging).await.unwrap().unwrap();
    assert_eq!(
        annotation(&client, "team-a", "db")
            .await
            .unwrap()
            .as_deref(),
        Some("one")
    );
}

#[tokio::test]
async fn a_broken_off_answer_leaves_the_patch_done() {
    let api = with_one().await;
    let client = api.client();
    let on = On::verb(Verb::Patch, Kind::ExternalSecret);
    api.faults().inject(on, Effect::Disconnect, Times::Next(1));
    let error = annotate(&client, "team-a", "db", "one").await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error}");
    assert_eq!(
        annotation(&client, "team-a", "db")
            .await
            .unwrap()
            .as_deref(),
        Some("one")
    );
}

#[tokio::test]
async fn a_token_that_may_not_list_the_cluster_may_list_its_namespace() {
    let api = with_one().await;
    let on = On::verb(Verb::List, Kind::ExternalSecret)
        .across_namespaces()
        .by_token("tenant");
    api.faults().deny(on);
    let count = async |token: &str, namespace: Option<&str>| {
        let of = objects(&api.client_as(token), Kind::ExternalSecret, namespace);
        of.list(&ListParams::default())
            .await
            .map(|list| list.items.len())
    };
    assert_eq!(code(&count("tenant", None).await.unwrap_err()), 403);
    assert_eq!(count("tenant", Some("team-a")).await.unwrap(), 1);
    assert_eq!(count("other", None).await.unwrap(), 1);
}

#[tokio::test]
async fn an_api_that_was_away_is_back_on_the_same_port_with_all_objects() {
    let api = with_one().await;
    let client = api.client();
    assert!(get(&client, "team-a", "db").await.unwrap().is_some());
    api.go_away().await.unwrap();
    let refused = get(&client, "team-a", "db").await.unwrap_err();
    assert!(!matches!(refused, kube::Error::Api(_)), "{refused}");
    api.come_back().await.unwrap();
    assert!(get(&client, "team-a", "db").await.unwrap().is_some());
}

#[tokio::test]
async fn it_can_be_steered_over_http_even_while_away() {
    let api = with_one().await;
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(no_tls())
        .build()
        .unwrap();
    let control = |path: &str| format!("{}/_standin/{path}", api.control_url());
    let fault = json!({
        "on": { "verb": "get", "kind": "ExternalSecret" },
        "effect": { "status": { "code": 503 } },
        "times": { "next": 1 },
    });
    let created = http
        .post(control("faults"))
        .body(fault.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(
        code(&get(&api.client(), "team-a", "db").await.unwrap_err()),
        503
    );

    http.post(control("away"))
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    assert!(get(&api.client(), "team-a", "db").await.is_err());
    http.post(control("back"))
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    annotate(&api.client(), "team-a", "db", "one")
        .await
        .unwrap();
    let patches = http.get(control("patches/team-a/db")).send().await.unwrap();
    let patches: Value = patches.json().await.unwrap();
    assert_eq!(patches["patches"][0]["value"], "one");
}

fn no_tls() -> rustls::ClientConfig {
    let provider = rustls::crypto::ring::default_provider();
    rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[tokio::test]
async fn discovery_shows_the_one_served_version() {
    let api = with_one().await;
    let client = api.client();
    for (served, version) in [(Served::V1, "v1"), (Served::V1beta1, "v1beta1")] {
        api.serve(served);
        let group = kube::discovery::group(&client, "external-secrets.io")
            .await
            .unwrap();
        assert_eq!(group.preferred_version_or_latest(), version);
        let (resource, _) = group.recommended_kind("ExternalSecret").unwrap();
        let found = kube::Api::<DynamicObject>::all_with(client.clone(), &resource);
        let found = found.list(&ListParams::default()).await.unwrap();
        assert_eq!(
            found.types.api_version,
            format!("external-secrets.io/{version}")
        );
        assert_eq!(found.items.len(), 1);
    }
    let v1 = objects(&client, Kind::ExternalSecret, None);
    assert_eq!(
        code(&v1.list(&ListParams::default()).await.unwrap_err()),
        404
    );
}

#[tokio::test]
async fn its_kubeconfig_leads_to_it() {
    let api = with_one().await;
    let directory = std::env::temp_dir().join(format!("eso-relay-lab-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = api.kubeconfig(&directory).unwrap();
    let kubeconfig = kube::config::Kubeconfig::read_from(path).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    let client = kube::Client::try_from(config).unwrap();
    assert!(get(&client, "team-a", "db").await.unwrap().is_some());
    std::fs::remove_dir_all(directory).unwrap();
}
