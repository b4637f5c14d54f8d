//! A value in a store becomes the value in the Secrets.

use eso_relay_lab::{documents::Documents, operator};
use serde_json::Value;

use super::{Options, Relay, TEAM, reading, with_documents};

#[tokio::test(flavor = "multi_thread")]
async fn one_webhook_brings_the_new_value_into_two_clusters() {
    if !operator::is_asked_for() {
        return;
    }
    let documents = Documents::start().await.unwrap();
    documents.set("/prod/db", "old");
    let relay = Relay::start(&["east", "west"], Options::default()).await;
    for site in &relay.sites {
        site.read_from(documents.provider()).await;
        site.create(reading("db", "/prod/db")).await;
        site.holds(TEAM, "db", "old").await;
    }
    documents.set("/prod/db", "new");
    let event = relay.changed(&["/prod/db"]).await;
    for site in &relay.sites {
        site.holds(TEAM, "db", "new").await;
    }
    let told = relay.trace(&event).await;
    assert_eq!(told.code, 0, "{told:?}");
    let synced = told.stdout.matches("synced by ESO 1").count();
    assert_eq!(synced, 2, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_store_is_reported_failed() {
    if !operator::is_asked_for() {
        return;
    }
    let (documents, relay) = with_documents(Options::default()).await;
    let east = &relay.sites[0];
    documents.set("/prod/db", "old");
    east.create(reading("db", "/prod/db")).await;
    east.holds(TEAM, "db", "old").await;

    documents.set_failing(true);
    documents.set("/prod/db", "new");
    let event = relay.changed(&["/prod/db"]).await;
    let told = relay.trace(&event).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stdout.contains("ESO failed with 1"), "{told:?}");
    assert!(!told.stdout.contains("synced by ESO"), "{told:?}");
    let receipts = receipts(&relay).await;
    assert_eq!(
        (&receipts["synced"], &receipts["failed"]),
        (&0.into(), &1.into())
    );
    // ESO would not have asked again for an hour, had it taken the failure for a sync.
    documents.set_failing(false);
    east.holds(TEAM, "db", "new").await;

    documents.set("/prod/db", "newer");
    let event = relay.changed(&["/prod/db"]).await;
    let told = relay.trace(&event).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("synced by ESO 1"), "{told:?}");
    east.holds(TEAM, "db", "newer").await;
}

/// What `status` says of them.
async fn receipts(relay: &Relay) -> Value {
    let status = relay.hub.cli(&["status", "-o", "json"]).await.unwrap();
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    status["receipts"]["east"].clone()
}
