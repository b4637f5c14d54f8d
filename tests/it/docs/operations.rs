//! Metrics and conditions of running daemons, against docs/operations.md.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use eso_relay_lab::{
    daemon::Daemon,
    installation::{Cluster, Hub, READY, Webhooks},
    wait,
};

use super::{code, documents, read, rows};
use crate::{consuming::Consuming, metrics};

const OPERATIONS: &str = "docs/operations.md";

/// The families of `/metrics`, as one asks for them.
fn exposed(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|family| match family.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect()
}

fn first_cells(heading: &str) -> BTreeSet<String> {
    let rows = rows(&read(OPERATIONS), heading);
    rows.iter().flat_map(|row| code(&row[0])).collect()
}

/// The metrics of the table, each of which a running daemon shows.
pub(crate) fn listed_metrics() -> BTreeSet<String> {
    let cells = first_cells("## Metrics").into_iter();
    cells.flat_map(|cell| metrics_in(&cell)).collect()
}

/// Every metric that a text names, also within a query; a part of a histogram is the histogram.
pub(crate) fn metrics_in(text: &str) -> BTreeSet<String> {
    let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = |name: &&str| name.starts_with("eso_relay_") || name.starts_with("process_");
    let family = |name: &str| {
        let parts = ["_bucket", "_count", "_sum"];
        let family = parts.iter().find_map(|part| name.strip_suffix(part));
        family.unwrap_or(name).to_owned()
    };
    names.filter(ours).map(family).collect()
}

/// Shown once there is something that no daemon here has: fetched keys, a restart. The code has their names.
const LATER: [(&str, &str, &str); 3] = [
    (
        "eso_relay_ingress_jwks_age_seconds",
        "ingress/src/metrics/mod.rs",
        "\"jwks_age\"",
    ),
    (
        "eso_relay_consumer_restarts_total",
        "consumer/src/report/metrics/restarts.rs",
        "\"restarts\"",
    ),
    (
        "eso_relay_consumer_restart_duration_seconds",
        "consumer/src/report/metrics/restarts.rs",
        "\"restart_duration\"",
    ),
];

/// With everything that adds metrics. Neither the issuer nor the store answers.
pub(crate) async fn ingress_with_everything(hub: &Hub) -> Daemon {
    let directory = hub.secrets();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let claims = BASE64.encode(r#"{"exp":4102444800}"#);
    let seed = nkeys::KeyPair::new_user().seed().unwrap();
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\ne30.{claims}.c2ln\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    for (name, text) in [
        ("tls.crt", pair.cert.pem()),
        ("tls.key", pair.signing_key.serialize_pem()),
        ("relay.creds", credentials),
    ] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let dir = directory.display();
    let more = format!(
        "- {{ name: token, format: akeyless, auth: {{ jwt: {{ issuer: 'https://127.0.0.1:1', audience: us, \
           jwks_url: 'https://127.0.0.1:1/keys' }} }} }}\n\
         polls:\n\
         - {{ name: bao, provider: openbao, address: 'http://127.0.0.1:1', paths: [secret/db], \
           auth: {{ token_file: '{dir}/token' }} }}\n\
         tls: {{ cert_file: '{dir}/tls.crt', key_file: '{dir}/tls.key' }}\n"
    );
    let file = |name: &str| directory.join(name);
    let options = hub.ingress_with(&more);
    let options = options
        .env("ESO_RELAY__NATS__TLS__CERT_FILE", file("tls.crt"))
        .env("ESO_RELAY__NATS__TLS__KEY_FILE", file("tls.key"))
        .env("ESO_RELAY__NATS__CREDENTIALS_FILE", file("relay.creds"));
    options.start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_and_every_condition_is_in_the_documents() {
    let east = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(east, &["db"]).await;
    let mut ingress = relay.hub.ingress().start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let consumer = relay.consumer("metrics: { objects: true }").await;
    let webhooks = Webhooks::to(&ingress.url());
    webhooks.updated(&["/prod/db"]).await.unwrap();
    let object = [("name", "db")];
    wait::until("the sync of the object", READY, || async {
        let last = consumer.metric("eso_relay_consumer_object_last_sync", &object);
        last.await.ok()
    })
    .await
    .unwrap();
    let mut conditions = BTreeSet::new();
    for daemon in [&ingress, &consumer] {
        let (_, ready) = daemon.readyz().await.unwrap();
        conditions.extend(ready.lines().map(|line| {
            let name = line.trim_start_matches("[+]").split(' ').next();
            name.unwrap().to_owned()
        }));
    }
    assert_eq!(first_cells("## Ready or not"), conditions);

    let everything = ingress_with_everything(&relay.hub).await;
    let failures = "eso_relay_ingress_jwks_failures_total";
    wait::until("a failed fetch of keys", READY, || async {
        let failures = everything.count(failures, &[("source", "token")]).await;
        failures.ok().filter(|failures| *failures > 0)
    })
    .await
    .unwrap();
    for (metric, moment) in [
        (
            "eso_relay_nats_credentials_not_after_timestamp_seconds",
            4_102_444_800,
        ),
        // The default of rcgen: the first day of 4096.
        (
            "eso_relay_nats_certificate_not_after_timestamp_seconds",
            67_090_118_400,
        ),
    ] {
        assert_eq!(
            everything.count(metric, &[]).await.unwrap(),
            moment,
            "{metric}"
        );
    }
    let mut shown = BTreeSet::new();
    for daemon in [&ingress, &consumer, &everything] {
        shown.extend(exposed(&metrics::text(daemon).await));
    }
    for (name, file, registered) in LATER {
        assert!(read(file).contains(registered), "no metric {name}");
        shown.insert(name.to_owned());
    }
    let listed = listed_metrics();
    let missing: Vec<_> = shown.difference(&listed).collect();
    assert!(missing.is_empty(), "not in {OPERATIONS}: {missing:?}");
    let unknown: Vec<_> = listed.difference(&shown).collect();
    assert!(unknown.is_empty(), "only in {OPERATIONS}: {unknown:?}");
    // Alerts and troubleshooting name no other.
    for (file, document) in documents() {
        for name in metrics_in(&document) {
            assert!(listed.contains(&name), "{file}: {name}");
        }
    }
}
