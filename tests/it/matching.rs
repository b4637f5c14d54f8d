//! Which ExternalSecrets a webhook means, on whichever API there is.

use eso_relay_lab::{
    cluster::{
        ExternalSecretBuilder, Fixture, Kind, cluster_store, create_all, create_namespace, delete,
        external_secret, objects, store,
    },
    installation::{BASIC_PASSWORD, BASIC_USER, Cluster, READY, Webhooks, akeyless, send},
    wait,
};
use kube::api::{DynamicObject, PostParams};

use crate::consuming::{Consuming, TEAM};

/// In [`TEAM`], from its Akeyless store.
fn named(name: &str) -> ExternalSecretBuilder {
    external_secret(name)
        .in_namespace(TEAM)
        .from_store("akeyless")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_reference_to_a_secret_is_found_and_no_other() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let stores = [
        store("vault").in_namespace(TEAM).vault(),
        cluster_store("shared").akeyless(),
    ];
    create_all(client, stores, 2).await.unwrap();
    let vault = |name| external_secret(name).in_namespace(TEAM).from_store("vault");
    let shared = |name| {
        external_secret(name)
            .in_namespace(TEAM)
            .cluster_store("shared")
    };
    let of_it = [
        (
            "data-without-slash",
            named("data-without-slash").key("prod/db"),
        ),
        (
            "second-entry",
            named("second-entry").key("/prod/web").key("/prod/db"),
        ),
        ("extract", named("extract").extract("/prod/db")),
        ("find-name", named("find-name").find_name("^/?prod/d.$")),
        ("find-path", named("find-path").find_path("/prod")),
        (
            "source-ref",
            vault("source-ref").key("/prod/db").source_ref("akeyless"),
        ),
        (
            "cluster-source-ref",
            vault("cluster-source-ref")
                .extract("/prod/db")
                .cluster_source_ref("shared"),
        ),
        ("cluster-store", shared("cluster-store").key("/prod/db")),
    ];
    let of_others = [
        ("longer-key", named("longer-key").key("/prod/db2")),
        (
            "other-find-name",
            named("other-find-name").find_name("^web"),
        ),
        (
            "other-find-path",
            named("other-find-path").find_path("/test"),
        ),
        ("other-provider", vault("other-provider").key("/prod/db")),
        (
            "to-other-provider",
            named("to-other-provider")
                .key("/prod/db")
                .source_ref("vault"),
        ),
    ];
    let all = of_it
        .iter()
        .chain(&of_others)
        .map(|(_, object)| object.clone());
    create_all(client, all, 8).await.unwrap();

    let consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    for (name, _) in &of_it {
        relay.carries(name, &values[0]).await;
    }
    relay.drained().await;
    for (name, _) in &of_others {
        assert_eq!(relay.cluster.refresh_of(TEAM, name).await, None, "{name}");
    }
    let metric = "eso_relay_consumer_patches_total";
    let patches = consumer.count(metric, &[]).await.unwrap();
    assert_eq!(patches, 1 + of_it.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_later_is_found_and_what_is_deleted_is_not() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let consumer = relay.consumer("").await;
    delete(client, TEAM, "db").await.unwrap();
    // Its store comes last: until then its key has no provider.
    let late = external_secret("late")
        .in_namespace(TEAM)
        .cluster_store("late");
    late.key("/prod/late").create(client).await.unwrap();
    cluster_store("late")
        .akeyless()
        .create(client)
        .await
        .unwrap();
    wait::until("a refresh of what came late", READY, || async {
        relay.publish(&["/prod/late"]).await;
        relay.cluster.refresh_of(TEAM, "late").await
    })
    .await
    .unwrap();
    relay.drained().await;

    // The watch tells of the deletion before it tells of the creation.
    let unmatched = || async {
        let metric = "eso_relay_consumer_events_total";
        consumer
            .count(metric, &[("result", "unmatched")])
            .await
            .unwrap()
    };
    let before = unmatched().await;
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    assert_eq!(unmatched().await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_reaches_only_the_namespaces_of_its_target() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    cluster_store("shared")
        .akeyless()
        .create(client)
        .await
        .unwrap();
    for namespace in ["team-b", "team-ab"] {
        create_namespace(client, namespace).await.unwrap();
        let object = external_secret("db")
            .in_namespace(namespace)
            .cluster_store("shared");
        object.key("/prod/db").create(client).await.unwrap();
    }
    let password = relay.hub.secrets().join("password");
    let tenant = format!(
        "- {{ name: tenant, format: akeyless, target: {{ namespaces: [team-a, 'x*'] }}, \
         auth: {{ basic: {{ username: {BASIC_USER}, password_file: '{}' }} }} }}",
        password.display()
    );
    let mut ingress = relay.hub.ingress_with(&tenant).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let _consumer = relay.consumer("").await;

    let post = Webhooks::to(&ingress.url()).post("/v1/hooks/tenant");
    let body = serde_json::json!([akeyless(1, "/prod/db")]).to_string();
    let post = post.basic_auth(BASIC_USER, Some(BASIC_PASSWORD)).body(body);
    let answer = send(post).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    relay.cluster.refreshed(TEAM, "db", None).await.unwrap();
    relay.drained().await;
    for namespace in ["team-b", "team-ab"] {
        assert_eq!(
            relay.cluster.refresh_of(namespace, "db").await,
            None,
            "{namespace}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_refreshed_is_counted_by_its_reason_and_left_alone() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let reads = |name| named(name).key("/prod/db").labelled("tier", "prod");
    let left = [
        ("created_once", reads("once").refresh_policy("CreatedOnce")),
        ("interval_zero", reads("never").refresh_interval("0s")),
        (
            "ignored",
            reads("ignored").annotated("eso-relay.dev/ignore", "true"),
        ),
        ("not_selected", named("unlabelled").key("/prod/db")),
    ];
    let on_change = reads("on-change").refresh_policy("OnChange");
    let on_change = on_change.refresh_interval("0s");
    let all = left.iter().map(|(_, object)| object.clone());
    create_all(client, all.chain([on_change]), 8).await.unwrap();
    for name in ["once", "never"] {
        relay.synced(name).await;
    }

    let more = "refresh: { selector: 'tier in (prod)' }";
    let consumer = relay.consumer(more).await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("on-change", &values[0]).await;
    relay.drained().await;
    for name in ["once", "never", "ignored", "unlabelled", "db"] {
        assert_eq!(relay.cluster.refresh_of(TEAM, name).await, None, "{name}");
    }
    let metric = "eso_relay_consumer_skipped_total";
    for (reason, _) in &left {
        let counted = consumer.count(metric, &[("reason", reason)]).await.unwrap();
        // `db` of the beginning has no label either.
        let expected = if *reason == "not_selected" { 2 } else { 1 };
        assert_eq!(counted, expected, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_find_alone_makes_no_generator_run() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let minting = |name| named(name).generator("Password", "p");
    let all = [
        minting("by-key").key("/prod/db"),
        minting("by-find").find_path("/prod"),
        named("finder").find_path("/prod"),
    ];
    create_all(client, all, 3).await.unwrap();
    let consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    for name in ["db", "by-key", "finder"] {
        relay.carries(name, &values[0]).await;
    }
    relay.drained().await;
    assert_eq!(relay.cluster.refresh_of(TEAM, "by-find").await, None);
    let metric = "eso_relay_consumer_skipped_total";
    let skipped = consumer.count(metric, &[("reason", "generator")]).await;
    assert_eq!(skipped.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_and_generators_are_left_out_where_the_configuration_says_so() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let all = [
        named("finder").find_path("/prod"),
        named("minting").key("/prod/db").generator("Password", "p"),
    ];
    create_all(client, all, 2).await.unwrap();
    let more = "refresh: { find: ignore, generators: never }";
    let consumer = relay.consumer(more).await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    for name in ["finder", "minting"] {
        assert_eq!(relay.cluster.refresh_of(TEAM, name).await, None, "{name}");
    }
    let metric = "eso_relay_consumer_skipped_total";
    assert_eq!(consumer.count(metric, &[]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_external_secret_owns_is_refreshed_through_it_once() {
    const FORCE_SYNC: &str = "external-secrets.io/force-sync";
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let kind = Kind::ClusterExternalSecret;
    let spec = serde_json::json!({
        "externalSecretSpec": { "secretStoreRef": { "name": "akeyless" } },
        "namespaces": [TEAM],
    });
    let owner = Fixture::new(kind, None, "owner", spec);
    let owner = owner.create(client).await.unwrap();
    let children = ["first", "second"];
    for name in children {
        let mut child = Fixture::from(named(name).key("/prod/db")).into_json();
        child["metadata"]["ownerReferences"] = serde_json::json!([{
            "apiVersion": "external-secrets.io/v1",
            "kind": kind.name(),
            "name": "owner",
            "uid": owner.metadata.uid,
            "controller": true,
        }]);
        let child: DynamicObject = serde_json::from_value(child).unwrap();
        let api = objects(client, Kind::ExternalSecret, Some(TEAM));
        api.create(&PostParams::default(), &child).await.unwrap();
    }

    let consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    let owner = objects(client, kind, None).get("owner").await.unwrap();
    assert_eq!(owner.metadata.annotations.unwrap()[FORCE_SYNC], values[0]);
    for name in children {
        assert_eq!(relay.cluster.refresh_of(TEAM, name).await, None, "{name}");
    }
    let metric = "eso_relay_consumer_patches_total";
    assert_eq!(consumer.count(metric, &[]).await.unwrap(), 2);
}
