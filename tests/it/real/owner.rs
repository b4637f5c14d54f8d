//! Children of a ClusterExternalSecret: its controller overwrites their metadata.

use eso_relay_lab::{
    cluster::{Fixture, Kind, create_namespace},
    operator,
};
use serde_json::json;

use super::{Options, STORE, Site, VALUE, with_documents};

/// More than a few: what the owner's controller strips before the other one looks is a race.
const CHILDREN: usize = 12;

fn namespaces() -> Vec<String> {
    (0..CHILDREN).map(|at| format!("child-{at}")).collect()
}

/// A child called `db` in every namespace.
async fn create_owner(site: &Site) {
    for namespace in namespaces() {
        create_namespace(&site.client, &namespace).await.unwrap();
    }
    let spec = json!({
        "externalSecretName": "db",
        "externalSecretSpec": {
            "refreshInterval": "1h0m0s",
            "secretStoreRef": { "kind": "ClusterSecretStore", "name": STORE },
            "data": [{ "secretKey": VALUE, "remoteRef": { "key": "/prod/db" } }],
        },
        "namespaces": namespaces(),
    });
    let owner = Fixture::new(Kind::ClusterExternalSecret, None, "owner", spec);
    owner.create(&site.client).await.unwrap();
    all_hold(site, "old").await;
}

async fn all_hold(site: &Site, value: &str) {
    for namespace in namespaces() {
        site.holds(&namespace, "db", value).await;
    }
}

/// The operator copies an owner's annotation to its children since 0.20, and this one is older: what
/// was not refreshed must not be told as synced.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_eso_does_not_copy_from_is_told_as_silent() {
    if !operator::is_asked_for() {
        return;
    }
    let (documents, relay) = with_documents(Options::default()).await;
    documents.set("/prod/db", "old");
    create_owner(&relay.sites[0]).await;
    documents.set("/prod/db", "new");
    let event = relay.changed(&["/prod/db"]).await;
    let told = relay.trace(&event).await;
    assert_eq!(told.code, 1, "{told:?}");
    let silent = "ClusterExternalSecret/owner: silent";
    assert!(told.stdout.contains(silent), "{told:?}");
    assert!(!told.stdout.contains("synced by ESO"), "{told:?}");
    all_hold(&relay.sites[0], "old").await;
}

/// Their owner is not the consumer's to patch, which sees a list of namespaces alone; and its
/// controller takes away what it finds on a child.
#[tokio::test(flavor = "multi_thread")]
async fn children_refreshed_alone_get_the_new_value() {
    if !operator::is_asked_for() {
        return;
    }
    let namespaces = namespaces().join(", ");
    let consumer = format!("kubernetes: {{ namespaces: [{namespaces}] }}");
    let options = Options {
        consumer: &consumer,
        ..Options::default()
    };
    let (documents, relay) = with_documents(options).await;
    documents.set("/prod/db", "old");
    create_owner(&relay.sites[0]).await;
    documents.set("/prod/db", "new");
    let event = relay.changed(&["/prod/db"]).await;
    let told = relay.trace(&event).await;
    assert_eq!(told.code, 0, "{told:?}");
    let synced = format!("synced by ESO {CHILDREN}");
    assert!(told.stdout.contains(&synced), "{told:?}");
    all_hold(&relay.sites[0], "new").await;
}
