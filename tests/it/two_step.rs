//! What the annotation alone does not refresh: children of a ClusterExternalSecret that are patched one by
//! one, and objects that ESO reads only once by their policy.

use std::time::Duration;

use eso_relay::{
    Event,
    event::{Pattern, Reach},
};
use eso_relay_lab::{
    cluster::{
        ExternalSecretBuilder, Fixture, Kind, REFRESH, annotate, cluster_store, create_namespace,
        external_secret, objects,
    },
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::{Effect, Eso, On, Times, Verb},
    wait,
};
use kube::{
    Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    cli,
    consuming::{CONSUMER, Consuming, TEAM, event, names, strs, synced},
    notes::noted,
};

/// Beside those that the events of these tests may reach.
const OTHER: &str = "other";
/// By which the queue of ESO is slower than its controller of ClusterExternalSecrets.
const SYNC: Duration = Duration::from_millis(30);

/// `db` in every namespace, owned by one ClusterExternalSecret; each has been synced.
async fn children(relay: &mut Consuming, namespaces: &[&str]) {
    let slow = Eso::builder().delay(SYNC);
    relay.cluster.eso = slow.start(relay.cluster.client(), &relay.cluster.values);
    relay.cluster.values.set("/prod/db", "old");
    let client = relay.cluster.client();
    cluster_store("shared")
        .akeyless()
        .create(client)
        .await
        .unwrap();
    for namespace in namespaces {
        create_namespace(client, namespace).await.unwrap();
    }
    let child = Fixture::from(
        external_secret("db")
            .cluster_store("shared")
            .key("/prod/db"),
    );
    let spec = json!({
        "externalSecretSpec": child.json()["spec"],
        "externalSecretName": "db",
        "namespaces": namespaces,
    });
    let owner = Fixture::new(Kind::ClusterExternalSecret, None, "db", spec);
    owner.create(client).await.unwrap();
    for namespace in namespaces {
        synced(client, namespace, "db").await;
    }
}

/// An event about the key that reaches `team-*` only, so that an owner with more than that is left alone.
async fn publish_to_teams(relay: &Consuming) -> Event {
    let target = Reach {
        namespaces: vec![Pattern::new("team-*")],
        ..Reach::default()
    };
    let event = Event {
        target: Some(target),
        ..event("/prod/db")
    };
    cli::publish(&relay.jetstream, std::slice::from_ref(&event)).await;
    event
}

async fn syncs(consumer: &Daemon, result: &str) -> u64 {
    let metric = "eso_relay_consumer_syncs_total";
    consumer.count(metric, &[("result", result)]).await.unwrap()
}

/// How many statuses were reset.
async fn resets(consumer: &Daemon) -> u64 {
    let metric = "eso_relay_consumer_resets_total";
    consumer.count(metric, &[("result", "done")]).await.unwrap()
}

/// Waits until this many syncs are reported.
async fn told(consumer: &Daemon, count: u64) {
    let what = format!("{count} syncs to be told");
    wait::until_ok(what, READY, || async {
        let told = syncs(consumer, "synced").await;
        (told >= count).then_some(()).ok_or(told)
    })
    .await
    .unwrap();
}

fn has(relay: &Consuming, namespace: &str, name: &str, value: &str) -> bool {
    let values = relay.cluster.eso.values(namespace, name);
    values.is_some_and(|values| values["value"] == value)
}

#[tokio::test(flavor = "multi_thread")]
async fn children_of_an_owner_get_their_new_value_one_by_one() {
    let cluster = Cluster::start("east").await.unwrap();
    let mut relay = Consuming::on(cluster, &[]).await;
    let teams = names("team", 20);
    let mut all = strs(&teams);
    all.push(OTHER);
    children(&mut relay, &all).await;
    let consumer = relay.consumer("").await;
    relay.cluster.values.set("/prod/db", "new");
    publish_to_teams(&relay).await;
    told(&consumer, 20).await;
    relay.drained().await;
    for team in &teams {
        assert!(has(&relay, team, "db", "new"), "{team}");
    }
    assert!(has(&relay, OTHER, "db", "old"), "out of the event's reach");
    assert_eq!(resets(&consumer).await, 20, "each once");
    assert_eq!(syncs(&consumer, "synced").await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_reset_never_claims_a_sync() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let mut relay = Consuming::on(cluster, &[]).await;
    let teams = names("team", 5);
    let mut all = strs(&teams);
    all.push(OTHER);
    children(&mut relay, &all).await;
    let status = On::verb(Verb::Patch, Kind::ExternalSecret).of_status();
    let faults = relay.stand_in().faults();
    let denied = faults.deny(status.by_token(CONSUMER));
    let consumer = relay.consumer("").await;
    relay.cluster.values.set("/prod/db", "new");
    publish_to_teams(&relay).await;
    let ended = |result| syncs(&consumer, result);
    wait::until("every child to be told of", 2 * READY, || async {
        (ended("synced").await + ended("silent").await == 5).then_some(())
    })
    .await
    .unwrap();
    let new = teams.iter().filter(|team| has(&relay, team, "db", "new"));
    // The value may be new where the status could not say so: a conflict, and then nothing to do.
    assert!(ended("synced").await <= new.count() as u64);
    let warning = "grant `patch` on `externalsecrets/status`";
    consumer.wait_log(warning, READY).await.unwrap();
    let log = consumer.logs();
    assert_eq!(log.matches(warning).count(), 1, "{log}");

    faults.lift(denied);
    let before = ended("synced").await;
    publish_to_teams(&relay).await;
    told(&consumer, before + 5).await;
    assert!(teams.iter().all(|team| has(&relay, team, "db", "new")));
}

/// As somebody does who owns the metadata.
async fn take_away(client: &Client, name: &str) {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { REFRESH: null } } }));
    let api = objects(client, Kind::ExternalSecret, Some(TEAM));
    api.patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_annotation_is_written_again() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    let client = relay.cluster.client();
    for name in ["db", "mail"] {
        relay.synced(name).await;
    }
    let consumer = relay.consumer("").await;
    // ESO is busy with another.
    let faults = relay.stand_in().faults();
    let secret = On::verb(Verb::Patch, Kind::Secret).named("mail");
    let busy = faults.inject(secret, Effect::Hang, Times::All);
    annotate(client, TEAM, "mail", "by hand").await.unwrap();
    relay.cluster.values.set("/prod/db", "new");
    let value = relay.publish(&["/prod/db"]).await.remove(0);
    relay.carries("db", &value).await;
    take_away(client, "db").await;
    relay.carries("db", &value).await;
    take_away(client, "db").await;
    relay.drained().await;
    faults.lift(busy);
    told(&consumer, 1).await;
    assert!(has(&relay, TEAM, "db", "new"));
    assert_eq!(relay.requests().patches(TEAM, "db").len(), 2);
    assert_eq!(resets(&consumer).await, 1);
    // Now it is known, and the next is written in two steps at once.
    let value = relay.publish(&["/prod/db"]).await.remove(0);
    relay.carries("db", &value).await;
    relay.drained().await;
    assert_eq!(resets(&consumer).await, 2);
}

fn reads_db(name: &str) -> ExternalSecretBuilder {
    let object = external_secret(name).in_namespace(TEAM);
    object.from_store("akeyless").key("/prod/db")
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_policies_are_refreshed() {
    const FORCE: &str = "eso-relay.dev/force";
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let forced = [
        reads_db("once").refresh_policy("CreatedOnce"),
        reads_db("zero")
            .refresh_interval("0s")
            .annotated(FORCE, "true"),
    ];
    let left = reads_db("left").refresh_interval("0s");
    for object in forced.into_iter().chain([left]) {
        object.create(client).await.unwrap();
    }
    for name in ["db", "once", "zero", "left"] {
        synced(client, TEAM, name).await;
    }
    let consumer = relay.consumer("refresh: { force: [created_once] }").await;
    relay.cluster.values.set("/prod/db", "new");
    let value = relay.publish(&["/prod/db"]).await.remove(0);
    told(&consumer, 3).await;
    for name in ["db", "once", "zero"] {
        assert!(has(&relay, TEAM, name, "new"), "{name}");
        relay.carries(name, &value).await;
    }
    assert!(has(&relay, TEAM, "left", "old"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_overrides_policies() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let once = reads_db("once").refresh_policy("CreatedOnce");
    once.create(client).await.unwrap();
    synced(client, TEAM, "once").await;
    // As ESO says it after `deletionPolicy: Delete`.
    let deleted = json!({ "status": { "conditions": [{
        "type": "Ready",
        "status": "True",
        "reason": "SecretDeleted",
        "message": "secret deleted due to DeletionPolicy",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }] } });
    let params = PatchParams::default();
    let api = objects(client, Kind::ExternalSecret, Some(TEAM));
    api.patch_status("once", &params, &Patch::Merge(deleted))
        .await
        .unwrap();
    let consumer = relay.consumer("").await;
    relay.cluster.values.set("/prod/db", "back");
    relay.publish(&["/prod/db"]).await;
    told(&consumer, 2).await;
    assert!(has(&relay, TEAM, "once", "back"));
    // Now it is there, and is left alone again.
    relay.cluster.values.set("/prod/db", "newer");
    relay.publish(&["/prod/db"]).await;
    told(&consumer, 3).await;
    assert!(has(&relay, TEAM, "once", "back"));
    noted(&relay, "once", "NotRefreshable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_lets_in_later_is_refreshed_then() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &[]).await;
    let client = relay.cluster.client();
    let shared = cluster_store("shared").akeyless();
    let elsewhere = json!([{ "namespaces": [OTHER] }, { "namespaceSelector": {
        "matchLabels": { "tier": "prod" },
    } }]);
    shared.conditions(elsewhere).create(client).await.unwrap();
    for (namespace, name) in [(TEAM, "by-store"), ("team-b", "by-label")] {
        create_namespace(client, namespace).await.unwrap();
        let object = external_secret(name).in_namespace(namespace);
        let object = object.cluster_store("shared").key("/prod/db");
        object.create(client).await.unwrap();
    }
    let consumer = relay.consumer("").await;
    let value = relay.publish(&["/prod/db"]).await.remove(0);
    relay.drained().await;
    let metric = "eso_relay_consumer_skipped_total";
    let reason = [("reason", "store_denies_namespace")];
    assert_eq!(consumer.count(metric, &reason).await.unwrap(), 2);

    let params = PatchParams::default();
    let label = Patch::Merge(json!({ "metadata": { "labels": { "tier": "prod" } } }));
    let namespaces = objects(client, Kind::Namespace, None);
    namespaces.patch("team-b", &params, &label).await.unwrap();
    let cluster = &relay.cluster;
    assert_eq!(
        cluster.refreshed("team-b", "by-label", None).await.unwrap(),
        value
    );
    assert_eq!(cluster.refresh_of(TEAM, "by-store").await, None);

    let open = Patch::Merge(json!({ "spec": { "conditions": null } }));
    let stores = objects(client, Kind::ClusterSecretStore, None);
    let store = stores.patch("shared", &params, &open).await.unwrap();
    assert_eq!(store.name_any(), "shared");
    relay.carries("by-store", &value).await;
}
