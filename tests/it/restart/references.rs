//! References of the webhook of Bank-Vaults: no Kubernetes Secret is involved.

use eso_relay::{
    Event,
    event::{Keys, Match},
};
use eso_relay_lab::{
    cluster::Kind,
    workloads::{Controllers, RESTARTED_FOR, RESTARTS, Workload, marks},
};

use super::{SETTINGS, count, deploy, generation, relay};
use crate::{
    cli,
    consuming::{TEAM, event, fingerprint},
};

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
