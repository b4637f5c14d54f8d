//! What refreshes and restarts nothing.

use std::collections::BTreeMap;

use eso_relay::{
    Event,
    event::{Kind as EventKind, Match},
    stream::Stream,
};
use eso_relay_lab::{
    cluster::{Kind, external_secret},
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::{On, Verb},
    workloads::{Controllers, RESTARTS, Workload},
};

use super::{SETTINGS, count, deploy, generation, of, reader, relay, restarted};
use crate::{
    cli,
    consuming::{CONSUMER, Consuming, TEAM, event},
    gap,
};

/// Restarts another workload: what was taken before it is decided by then.
async fn fence(relay: &Consuming, times: &str) {
    relay.publish(&["/prod/fence"]).await;
    restarted(relay, "fence", times).await;
    relay.drained().await;
}

/// Two opted-in workloads, of which one is never to restart; and the consumer.
async fn idle() -> (Consuming, Controllers, Daemon) {
    let relay = relay(&["db", "fence"]).await;
    let controllers = Controllers::builder().start(relay.cluster.client());
    for name in ["db", "fence"] {
        deploy(&relay, Kind::Deployment, name, reader(name)).await;
    }
    let consumer = relay.consumer(SETTINGS).await;
    (relay, controllers, consumer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_restarts_nothing() {
    let (relay, _controllers, mut consumer) = idle().await;
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    assert_eq!(count(&relay, "db", RESTARTS).await.unwrap(), "1");
    consumer.terminate().unwrap();
    consumer.wait_exit(READY).await.unwrap();
    let _again = relay.consumer(SETTINGS).await;
    fence(&relay, "1").await;
    assert_eq!(generation(&relay, "db").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resync_refreshes_and_restarts_nothing() {
    let (relay, _controllers, _consumer) = idle().await;
    let run = relay.hub.cli(&["resync", "--cluster", "east"]).await;
    assert_eq!(run.unwrap().code, 0);
    relay.cluster.refreshed(TEAM, "db", None).await.unwrap();
    fence(&relay, "1").await;
    assert_eq!(generation(&relay, "db").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_refreshes_and_restarts_nothing() {
    let (relay, _controllers, _consumer) = idle().await;
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    let before = relay.cluster.refresh_of(TEAM, "db").await;
    let args = ["replay", "--cluster", "east", "--since", "1h", "--yes"];
    let run = relay.hub.cli(&args).await.unwrap();
    assert_eq!(run.code, 0, "{run:?}");
    let refreshed = relay.cluster.refreshed(TEAM, "db", before.as_deref());
    refreshed.await.unwrap();
    fence(&relay, "1").await;
    assert_eq!(generation(&relay, "db").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_event_refreshes_and_restarts_nothing() {
    let (relay, _controllers, _consumer) = idle().await;
    let scope = Event {
        kind: EventKind::ScopeChanged,
        matches: Match::Scope,
        scope: BTreeMap::from([("gateway".to_owned(), "api.akeyless.io".to_owned())]),
        ..event("/prod/db")
    };
    let deleted = Event {
        kind: EventKind::SecretDeleted,
        ..event("/prod/db")
    };
    for event in [scope, deleted] {
        let before = relay.cluster.refresh_of(TEAM, "db").await;
        cli::publish(&relay.jetstream, &[event]).await;
        let refreshed = relay.cluster.refreshed(TEAM, "db", before.as_deref());
        refreshed.await.unwrap();
    }
    fence(&relay, "1").await;
    assert_eq!(generation(&relay, "db").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_refreshes_and_restarts_nothing() {
    let (relay, _controllers, mut consumer) = idle().await;
    gap::noted(&relay, 0).await;
    consumer.terminate().unwrap();
    consumer.wait_exit(READY).await.unwrap();
    relay.publish(&["/prod/db"]).await;
    let events = relay.jetstream.get_stream(Stream::Events.name()).await;
    events.unwrap().purge().await.unwrap();
    let _again = relay.consumer(SETTINGS).await;
    relay.cluster.refreshed(TEAM, "db", None).await.unwrap();
    fence(&relay, "1").await;
    assert_eq!(generation(&relay, "db").await, 1);
}

/// The consumer matches new objects with the events of the last minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_workload_or_secret_restarts_nothing() {
    let (relay, _controllers, _consumer) = idle().await;
    let values = relay.publish(&["/prod/db", "/prod/late"]).await;
    relay.drained().await;
    for (name, secret) in [("new", "db"), ("waiting", "late")] {
        let workload = Workload::deployment(TEAM, name).reads_secret(secret);
        deploy(&relay, Kind::Deployment, name, workload.restart()).await;
    }
    relay.cluster.values.set("/prod/late", "new");
    let late = external_secret("late").in_namespace(TEAM);
    let late = late.from_store("akeyless").key("/prod/late");
    late.create(relay.cluster.client()).await.unwrap();
    relay.carries("late", &values[1]).await;
    fence(&relay, "1").await;
    for name in ["new", "waiting"] {
        assert_eq!(generation(&relay, name).await, 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_opted_in_is_left_alone() {
    let (relay, _controllers, _consumer) = idle().await;
    let web = Workload::deployment(TEAM, "web").reads_secret("db");
    deploy(&relay, Kind::Deployment, "web", web).await;
    relay.publish(&["/prod/db"]).await;
    fence(&relay, "1").await;
    assert_eq!(count(&relay, "db", RESTARTS).await.unwrap(), "1");
    assert_eq!(generation(&relay, "web").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_role_refreshes_go_on() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = of(cluster, &["db", "web"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    for name in ["db", "web"] {
        deploy(&relay, Kind::Deployment, name, reader(name)).await;
    }
    let faults = relay.stand_in().faults();
    for verb in [Verb::List, Verb::Watch, Verb::Patch] {
        for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet] {
            faults.deny(On::verb(verb, kind).by_token(CONSUMER));
        }
    }
    let mut consumer = relay.consumer(SETTINGS).await;
    for name in ["db", "web"] {
        let values = relay.publish(&[&format!("/prod/{name}")]).await;
        relay.carries(name, &values[0]).await;
        relay.drained().await;
        assert_eq!(generation(&relay, name).await, 1, "{name}");
    }
    consumer.wait_ready(READY).await.unwrap();
    let said = "no permission to list deployments";
    consumer.wait_log(said, READY).await.unwrap();
    let log = consumer.logs();
    assert_eq!(log.matches(said).count(), 1, "{log}");
}

/// It may look, and not patch.
#[tokio::test(flavor = "multi_thread")]
async fn without_patch_refreshes_go_on() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = of(cluster, &["db", "web"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    for name in ["db", "web"] {
        deploy(&relay, Kind::Deployment, name, reader(name)).await;
    }
    let patch = On::verb(Verb::Patch, Kind::Deployment).by_token(CONSUMER);
    relay.stand_in().faults().deny(patch);
    let consumer = relay.consumer(SETTINGS).await;
    for name in ["db", "web"] {
        let values = relay.publish(&[&format!("/prod/{name}")]).await;
        relay.carries(name, &values[0]).await;
        relay.drained().await;
    }
    let said = "not permitted to restart workloads";
    consumer.wait_log(said, READY).await.unwrap();
    let log = consumer.logs();
    assert_eq!(log.matches(said).count(), 1, "{log}");
}
