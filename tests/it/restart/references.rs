//! References of the webhook of Bank-Vaults: no Kubernetes Secret is involved.

use std::collections::BTreeMap;

use eso_relay::{
    Event,
    event::{Keys, Match},
    stream::Stream,
};
use eso_relay_lab::{
    cluster::{Kind, events_on},
    installation::READY,
    wait,
    workloads::{Controllers, RESTARTED_FOR, RESTARTS, Workload, marks},
};

use super::{SETTINGS, count, deploy, generation, relay};
use crate::{
    cli,
    consuming::{TEAM, event, fingerprint},
    stored,
};

/// Where the injector of a pod reads.
const NAMESPACE: &str = "secrets-webhook.security.bank-vaults.io/vault-namespace";
const FROM_PATH: &str = "secrets-webhook.security.bank-vaults.io/vault-from-path";
/// The older names of the reloader's annotations.
const OLD_OPT_IN: &str = "alpha.vault.security.banzaicloud.io/reload-on-secret-change";
const OLD_COUNT: &str = "alpha.vault.security.banzaicloud.io/secret-reload-count";
/// What the reloader of Bank-Vaults reads and writes.
const VAULT_OPT_IN: &str = "secrets-reloader.security.bank-vaults.io/reload-on-secret-change";
const VAULT_COUNT: &str = "secrets-reloader.security.bank-vaults.io/secret-reload-count";

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_in_the_env_restarts_unless_pinned_or_not_opted_in() {
    const MYSQL: &str = "vault:secret/data/mysql#password";
    let relay = relay(&[]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    let of = |name: &str, value: &str| Workload::deployment(TEAM, name).value(value);
    let pinned = format!("{MYSQL}#1");
    let inline = "mysql://${vault:secret/data/mysql#user}:${vault:secret/data/mysql#password}@db";
    for (name, workload) in [
        (
            "plain",
            of("plain", MYSQL).template_annotated(VAULT_OPT_IN, "true"),
        ),
        (
            "inline",
            of("inline", inline).template_annotated(VAULT_OPT_IN, "true"),
        ),
        (
            "pinned",
            of("pinned", &pinned).template_annotated(VAULT_OPT_IN, "true"),
        ),
        (
            "mixed",
            of("mixed", &pinned)
                .value(MYSQL)
                .template_annotated(VAULT_OPT_IN, "true"),
        ),
        (
            "other",
            of("other", "vault:secret/data/other#a").template_annotated(VAULT_OPT_IN, "true"),
        ),
        ("not-opted-in", of("not-opted-in", MYSQL)),
        ("own", of("own", MYSQL).restart()),
    ] {
        deploy(&relay, Kind::Deployment, name, workload).await;
    }
    let _consumer = relay.consumer(SETTINGS).await;
    let event = Event {
        provider: "vault".parse().unwrap(),
        matches: Match::Exact(Keys::one("secret/data/mysql").unwrap()),
        ..event("secret/data/mysql")
    };
    cli::publish(&relay.jetstream, std::slice::from_ref(&event)).await;
    relay.drained().await;
    for name in ["plain", "inline", "mixed"] {
        let count = count(&relay, name, VAULT_COUNT).await;
        assert_eq!(count.as_deref(), Some("1"), "{name}");
    }
    assert_eq!(count(&relay, "own", RESTARTS).await.unwrap(), "1");
    let carried = marks(relay.cluster.client(), Kind::Deployment, TEAM, "own").await;
    assert_eq!(carried.unwrap()[RESTARTED_FOR], fingerprint(&event));
    for name in ["pinned", "other", "not-opted-in"] {
        assert_eq!(generation(&relay, name).await, 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_says_what_and_where_and_counts() {
    let relay = relay(&[]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    let of = |name: &str| Workload::deployment(TEAM, name).template_annotated(OLD_OPT_IN, "true");
    let mysql = "vault:secret/data/mysql#password";
    for (name, workload) in [
        (
            "paths",
            of("paths").template_annotated(FROM_PATH, "secret/data/mysql,secret/data/b#1"),
        ),
        (
            "pinned",
            of("pinned").template_annotated(FROM_PATH, "secret/data/mysql#1"),
        ),
        (
            "here",
            of("here")
                .value(mysql)
                .template_annotated(NAMESPACE, "team-b"),
        ),
        (
            "elsewhere",
            of("elsewhere")
                .value(mysql)
                .template_annotated(NAMESPACE, "team-a"),
        ),
    ] {
        deploy(&relay, Kind::Deployment, name, workload).await;
    }
    let _consumer = relay.consumer(SETTINGS).await;
    let event = Event {
        provider: "vault".parse().unwrap(),
        matches: Match::Exact(Keys::one("secret/data/mysql").unwrap()),
        scope: BTreeMap::from([("namespace".to_owned(), "team-b".to_owned())]),
        ..event("secret/data/mysql")
    };
    cli::publish(&relay.jetstream, std::slice::from_ref(&event)).await;
    relay.drained().await;
    for name in ["paths", "here"] {
        let old = count(&relay, name, OLD_COUNT).await;
        assert_eq!(old.as_deref(), Some("1"), "{name}");
        for other in [RESTARTS, VAULT_COUNT] {
            assert_eq!(count(&relay, name, other).await, None, "{name}");
        }
    }
    for name in ["pinned", "elsewhere"] {
        assert_eq!(generation(&relay, name).await, 1, "{name}");
    }
}

/// A variable may be a secret in plain text.
#[tokio::test(flavor = "multi_thread")]
async fn plain_values_are_seen_nowhere() {
    let relay = relay(&["db"]).await;
    let client = relay.cluster.client();
    let _controllers = Controllers::builder().start(client);
    let web = Workload::deployment(TEAM, "web")
        .reads_secret("db")
        .value("marker-plain")
        .value("postgres://marker-user:${vault:secret/data/db#p}@marker-host")
        .value(">>vault:pki/issue/web#certificate#{\"marker-data\": 1}");
    deploy(&relay, Kind::Deployment, "web", web.restart()).await;
    let everything = "info,eso_relay=trace,eso_relay_consumer=trace";
    let options = relay.options(&format!("{SETTINGS}\nwatch_list: {{ enabled: true }}"));
    let mut consumer = options.env("RUST_LOG", everything).start().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    assert_eq!(count(&relay, "web", RESTARTS).await.unwrap(), "1");
    let listed = wait::until("the watch list", READY, async || {
        let polls = stored::messages(&relay.jetstream, Stream::Polls).await;
        (!polls.is_empty()).then_some(polls)
    });
    listed.await.unwrap();
    let noted = wait::until("an Event", READY, async || {
        let events = events_on(client, Kind::Deployment, Some(TEAM), "web").await;
        Some(events.unwrap()).filter(|events| !events.is_empty())
    });
    let mut all = format!("{:?}", noted.await.unwrap());
    for stream in Stream::ALL {
        for message in stored::messages(&relay.jetstream, stream).await {
            all += &message.subject;
            all += &String::from_utf8_lossy(&message.payload);
        }
    }
    consumer.terminate().unwrap();
    consumer.wait_exit(READY).await.unwrap();
    all += &consumer.logs();
    assert!(!all.contains("marker"), "{all}");
}
