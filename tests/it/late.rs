//! Objects that come while their event is under way: no order of the two leaves a stale value.

use std::time::Duration;

use eso_relay_lab::{
    cluster::{Kind, external_secret, secret_value, store},
    installation::{Cluster, READY},
    standin::{Effect, On, Times, Verb},
    wait,
};
use futures::future::join_all;

use crate::consuming::{CONSUMER, Consuming, TEAM};

/// Waits until the Secret holds what the store does.
async fn is_fresh(relay: &Consuming, name: &str) {
    wait::until_ok(format!("a fresh {name}"), READY, || async {
        let client = relay.cluster.client();
        let value = secret_value(client, TEAM, name, "value").await.unwrap();
        (value.as_deref() == Some("new")).then_some(()).ok_or(value)
    })
    .await
    .unwrap();
}

async fn create(relay: &Consuming, name: &str) {
    let object = external_secret(name).in_namespace(TEAM);
    let object = object.from_store("akeyless").key(&format!("/prod/{name}"));
    object.create(relay.cluster.client()).await.unwrap();
}

/// The store changes, and calls.
async fn change(relay: &Consuming, name: &str) {
    let key = format!("/prod/{name}");
    relay.cluster.values.set(&key, "new");
    relay.publish(&[&key]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn object_and_event_come_in_any_order() {
    let relay = Consuming::on(Cluster::start("east").await.unwrap(), &[]).await;
    let _consumer = relay.consumer("").await;
    // Each a few milliseconds apart, in both orders, all at once.
    let orders = (0..40_u64).map(|at| {
        let relay = &relay;
        let (first, second) = (
            Duration::from_millis(at % 7),
            Duration::from_millis(at % 11),
        );
        async move {
            let name = format!("db-{at}");
            relay.cluster.values.set(&format!("/prod/{name}"), "old");
            let make = async {
                tokio::time::sleep(first).await;
                create(relay, &name).await;
            };
            let call = async {
                tokio::time::sleep(second).await;
                change(relay, &name).await;
            };
            tokio::join!(make, call);
            name
        }
    });
    for name in join_all(orders).await {
        is_fresh(&relay, &name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_object_is_refreshed() {
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &["known"]).await;
    let _consumer = relay.consumer("").await;
    blinded(&relay, async {
        relay.cluster.values.set("/prod/db", "old");
        create(&relay, "db").await;
        wait::until("ESO to have read the old value", READY, || async {
            let client = relay.cluster.client();
            secret_value(client, TEAM, "db", "value").await.unwrap()
        })
        .await
        .unwrap();
        change(&relay, "db").await;
        relay.drained().await;
        assert_eq!(relay.cluster.refresh_of(TEAM, "db").await, None);
    })
    .await;
    is_fresh(&relay, "db").await;
    // It was not shown late, and is left alone.
    assert_eq!(relay.cluster.refresh_of(TEAM, "known").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_store_is_matched() {
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &[]).await;
    let client = relay.cluster.client();
    // Reads through a store that is not there yet: whatever it may be, it is meant.
    relay.cluster.values.set("/prod/db", "old");
    let object = external_secret("db").in_namespace(TEAM);
    let object = object.from_store("later").key("/prod/db");
    object.create(client).await.unwrap();
    let _consumer = relay.consumer("").await;
    blinded(&relay, async {
        let later = store("later").in_namespace(TEAM).akeyless();
        later.create(client).await.unwrap();
        change(&relay, "db").await;
        relay.drained().await;
    })
    .await;
    is_fresh(&relay, "db").await;
}

/// Meanwhile the consumer's watches say nothing.
async fn blinded(relay: &Consuming, meanwhile: impl Future<Output = ()>) {
    let faults = relay.stand_in().faults();
    let watches = [Kind::ExternalSecret, Kind::SecretStore].map(|kind| {
        let on = On::verb(Verb::Watch, kind).by_token(CONSUMER);
        faults.inject(on, Effect::Hang, Times::All)
    });
    relay.stand_in().close_watches();
    meanwhile.await;
    for watch in watches {
        faults.lift(watch);
    }
}
