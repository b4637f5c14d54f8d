//! Dead letters that go out again once their cause is gone.

use eso_relay::stream::Stream;
use eso_relay_lab::{
    cluster::Kind,
    installation::{Cluster, READY},
    standin::{Effect, On, Times, Verb},
    wait,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::consuming::{CONSUMER, Consuming, TEAM};

async fn run(relay: &Consuming, arguments: &[&str]) -> Value {
    let run = relay.hub.cli(arguments).await.unwrap();
    assert_eq!(run.code, 0, "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

async fn letters(relay: &Consuming, count: u64) {
    wait::until_ok(format!("{count} dead letters"), READY, async || {
        let dead = relay.jetstream.get_stream(Stream::Dead.name()).await;
        let letters = dead.unwrap().cached_info().state.messages;
        (letters == count).then_some(()).ok_or(letters)
    })
    .await
    .unwrap();
}

/// A policy refuses all patches, until it does not.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_synced_by_a_redrive() {
    const NAMES: [&str; 3] = ["db", "mail", "web"];
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &NAMES).await;
    let faults = relay.stand_in().faults();
    let patches = On::verb(Verb::Patch, Kind::ExternalSecret).by_token(CONSUMER);
    let refuses = Effect::status(StatusCode::UNPROCESSABLE_ENTITY);
    let policy = faults.inject(patches, refuses, Times::All);
    let _consumer = relay.consumer("").await;
    for name in NAMES {
        relay.publish(&[&format!("/prod/{name}")]).await;
    }
    letters(&relay, 3).await;

    faults.lift(policy);
    // What a newer event has refreshed needs no redrive.
    let newer = relay.publish(&["/prod/db"]).await.remove(0);
    relay.carries("db", &newer).await;
    wait::until_ok("the newer event to supersede", READY, async || {
        let list = run(&relay, &["dead", "list", "-o", "json"]).await;
        let letters = list["dead_letters"].as_array().unwrap();
        let superseded = letters.iter().filter(|it| !it["superseded_by"].is_null());
        (superseded.count() == 1).then_some(()).ok_or(list)
    })
    .await
    .unwrap();
    let redrive = [
        "dead", "redrive", "--reason", "refused", "--yes", "-o", "json",
    ];
    let report = run(&relay, &redrive).await;
    assert_eq!(report["redriven"], 2, "{report}");
    assert_eq!(report["left_out"]["superseded"], 1, "{report}");
    for name in ["mail", "web"] {
        relay.cluster.refreshed(TEAM, name, None).await.unwrap();
    }
    assert_eq!(relay.cluster.refresh_of(TEAM, "db").await, Some(newer));
    letters(&relay, 1).await;
}
