//! What ESO refreshes when an annotation changes, and what it does not.

use eso_relay_lab::{cluster::secret_value, operator};

use super::{Options, TEAM, VALUE, reading, with_documents};

#[tokio::test(flavor = "multi_thread")]
async fn skipped_objects_are_reported() {
    if !operator::is_asked_for() {
        return;
    }
    let (documents, relay) = with_documents(Options::default()).await;
    let east = &relay.sites[0];
    documents.set("/prod/db", "old");
    let on_change = |name| reading(name, "/prod/db").refresh_policy("OnChange");
    let refreshed = ["on-change", "on-change-zero", "periodic"];
    let skipped = ["created-once", "interval-zero"];
    east.create(on_change("on-change")).await;
    east.create(on_change("on-change-zero").refresh_interval("0s"))
        .await;
    east.create(reading("periodic", "/prod/db")).await;
    east.create(reading("created-once", "/prod/db").refresh_policy("CreatedOnce"))
        .await;
    east.create(reading("interval-zero", "/prod/db").refresh_interval("0s"))
        .await;
    for name in refreshed.into_iter().chain(skipped) {
        east.holds(TEAM, name, "old").await;
    }
    documents.set("/prod/db", "new");
    let event = relay.changed(&["/prod/db"]).await;
    for name in refreshed {
        east.holds(TEAM, name, "new").await;
    }
    let told = relay.trace(&event).await;
    for step in [
        "synced by ESO 3",
        "team-a/created-once: created_once",
        "team-a/interval-zero: interval_zero",
    ] {
        assert!(told.stdout.contains(step), "{step}: {told:?}");
    }
    for name in skipped {
        let value = secret_value(&east.client, TEAM, name, VALUE).await.unwrap();
        assert_eq!(value.as_deref(), Some("old"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forced_is_refreshed_whatever_its_policy() {
    if !operator::is_asked_for() {
        return;
    }
    let options = Options {
        consumer: "refresh: { force: [created_once] }",
        ..Options::default()
    };
    let (documents, relay) = with_documents(options).await;
    let east = &relay.sites[0];
    documents.set("/prod/db", "old");
    let created_once = reading("created-once", "/prod/db").refresh_policy("CreatedOnce");
    let interval_zero = reading("interval-zero", "/prod/db")
        .refresh_interval("0s")
        .annotated("eso-relay.dev/force", "true");
    for (name, object) in [
        ("created-once", created_once),
        ("interval-zero", interval_zero),
    ] {
        east.create(object).await;
        east.holds(TEAM, name, "old").await;
    }
    documents.set("/prod/db", "new");
    let event = relay.changed(&["/prod/db"]).await;
    let told = relay.trace(&event).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("synced by ESO 2"), "{told:?}");
    for name in ["created-once", "interval-zero"] {
        east.holds(TEAM, name, "new").await;
    }
}
