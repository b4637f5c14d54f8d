//! A store that is away, sealed or busy, a token that ends, paths that cannot be read, and replicas that die.

use eso_relay_lab::{daemon::Daemon, installation::READY, wait};
use reqwest::Method;
use serde_json::json;

use super::{NAME, POLICY, Stage, failures, is_by_poller, passes};
use crate::link::Link;

/// How often a text is in the log.
fn said(poller: &Daemon, text: &str) -> usize {
    poller
        .logs()
        .lines()
        .filter(|line| line.contains(text))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away() {
    let paths = "paths: [secret/data/a, secret/data/b, secret/data/c]";
    let Some(mut stage) = Stage::start(paths).await else {
        return;
    };
    for path in ["a", "b", "c"] {
        stage.put(path, "1").await;
    }
    let link = Link::to(stage.bao.url().trim_start_matches("http://")).await;
    stage.address = link.url().replace("nats://", "http://");
    let poller = stage.poller().await;
    link.cut().await;
    stage.put("b", "2").await;
    let away = wait::until("three failures", READY, || async {
        (failures(&poller, "unreachable").await >= 3).then_some(())
    });
    away.await.unwrap();
    assert!(stage.all_events().await.is_empty());
    let (status, _) = poller.readyz().await.unwrap();
    assert!(status.is_success());
    link.restore();
    let event = stage.events(1).await.remove(0);
    assert_eq!(event.matches.keys(), ["secret/data/b"]);
    poller
        .wait_log("the polled store answers again", READY)
        .await
        .unwrap();
    assert_eq!(
        said(&poller, "cannot poll the store; trying again"),
        1,
        "{}",
        poller.logs()
    );
    assert_eq!(said(&poller, "secret/data/"), 0, "{}", poller.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_store() {
    let Some(stage) = Stage::start("paths: [secret/data/a, secret/data/b]").await else {
        return;
    };
    stage.put("a", "1").await;
    stage.put("b", "1").await;
    let poller = stage.poller().await;
    stage.bao.seal().await.unwrap();
    let line = poller
        .wait_log("cannot poll the store; trying again", READY)
        .await
        .unwrap();
    assert!(line.contains("sealed"), "{line}");
    stage.bao.unseal().await.unwrap();
    poller
        .wait_log("the polled store answers again", READY)
        .await
        .unwrap();
    stage.put("a", "2").await;
    stage.events(1).await;
    assert_eq!(
        said(&poller, "cannot poll the store"),
        1,
        "{}",
        poller.logs()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends() {
    let Some(mut stage) = Stage::start("").await else {
        return;
    };
    stage
        .api(
            Method::PUT,
            "sys/policies/acl/poller",
            json!({ "policy": POLICY }),
        )
        .await;
    stage
        .api(
            Method::POST,
            "sys/auth/approle",
            json!({ "type": "approle" }),
        )
        .await;
    let role = json!({
        "token_policies": ["poller"], "token_no_default_policy": true,
        "token_ttl": "2s", "token_max_ttl": "2s",
    });
    stage
        .api(Method::POST, "auth/approle/role/relay", role)
        .await;
    let id = stage
        .api(Method::GET, "auth/approle/role/relay/role-id", json!({}))
        .await;
    let secret = stage
        .api(Method::POST, "auth/approle/role/relay/secret-id", json!({}))
        .await;
    let file = stage.hub.secrets().join("secret-id");
    std::fs::write(&file, secret["data"]["secret_id"].as_str().unwrap()).unwrap();
    stage.settings = format!(
        "paths: [secret/data/a], auth: {{ approle: {{ role_id: {}, secret_id_file: '{}' }} }}",
        id["data"]["role_id"],
        file.display(),
    );
    stage.put("a", "1").await;
    let poller = stage.poller().await;
    for round in 1..=3 {
        // Another token each time.
        passes(&poller, 8).await;
        stage.put("a", "2").await;
        stage.events(round).await;
    }
    assert_eq!(failures(&poller, "denied").await, 0, "{}", poller.logs());
    let logins = stage.bao.audit_log().unwrap().into_iter().filter(|entry| {
        entry["type"] == "response" && entry["request"]["path"] == "auth/approle/login"
    });
    assert!(logins.count() >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_versions_is_not_asked_for() {
    let paths = "paths: [kv1/db, kv1/other, cubbyhole/x, secret/data/db]";
    let Some(stage) = Stage::start(paths).await else {
        return;
    };
    let policy = format!(
        "{POLICY}\npath \"kv1/*\" {{ capabilities = [\"read\", \"list\"] }}\npath \"cubbyhole/*\" {{ capabilities = [\"read\"] }}"
    );
    let token = stage.bao.token(&policy).await.unwrap();
    std::fs::write(stage.hub.secrets().join("bao-token"), token).unwrap();
    let kv1 = json!({ "type": "kv", "options": { "version": "1" } });
    stage.api(Method::POST, "sys/mounts/kv1", kv1).await;
    stage.api(Method::POST, "kv1/db", json!({ "a": "b" })).await;
    stage.put("db", "1").await;
    let poller = stage.poller().await;
    passes(&poller, 2).await;
    let text = "this mount has no versions to poll";
    let both = wait::until("both lines", READY, || async {
        (said(&poller, text) == 2).then_some(())
    });
    both.await
        .unwrap_or_else(|error| panic!("{error}\n{}", poller.logs()));
    assert_eq!(failures(&poller, "unversioned").await, 2);
    for entry in stage.bao.audit_log().unwrap() {
        let path = entry["request"]["path"].as_str().unwrap_or_default();
        let engine = path.starts_with("kv1/") || path.starts_with("cubbyhole/");
        assert!(!(is_by_poller(&entry) && engine), "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_replicas_polls() {
    let Some(stage) = Stage::start("paths: [secret/data/a]").await else {
        return;
    };
    stage.put("a", "1").await;
    let mut first = stage.poller().await;
    let mut second = stage.options().start().await.unwrap();
    second.wait_ready(READY).await.unwrap();
    let active = [("source", NAME)];
    passes(&first, 5).await;
    let passed = "eso_relay_ingress_poll_passes_total";
    assert_eq!(second.count(passed, &[]).await.unwrap(), 0);
    first.kill9().unwrap();
    stage.put("a", "2").await;
    let taken = wait::until("the lease", READY, || async {
        let polls = second
            .metric("eso_relay_ingress_poll_active", &active)
            .await
            .unwrap();
        (polls > 0.5).then_some(())
    });
    taken.await.unwrap();
    stage.events(1).await;
    // It gives the lease back, so that the next one need not wait.
    second.terminate().unwrap();
    second.wait_exit(READY).await.unwrap();
    let third = stage.poller().await;
    passes(&third, 2).await;
    assert_eq!(stage.all_events().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_and_a_denied_one() {
    let Some(stage) =
        Stage::start("paths: [secret/data/none, nowhere/data/a, secret/data/a]").await
    else {
        return;
    };
    stage.put("a", "1").await;
    let poller = stage.poller().await;
    passes(&poller, 3).await;
    assert!(failures(&poller, "missing").await >= 3);
    assert!(failures(&poller, "denied").await >= 3);
    let missing = poller
        .wait_log("a polled secret does not exist", READY)
        .await
        .unwrap();
    assert!(
        missing.contains("secret/data/none") && missing.contains("ERROR"),
        "{missing}"
    );
    let denied = "cannot read the metadata of a polled secret";
    poller.wait_log(denied, READY).await.unwrap();
    assert_eq!(said(&poller, "a polled secret does not exist"), 1);
    assert_eq!(said(&poller, denied), 1);
    stage.put("a", "2").await;
    stage.events(1).await;
    stage.put("none", "1").await;
    poller
        .wait_log("a polled secret can be read again", READY)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_store_gets_its_pause() {
    let paths: Vec<String> = (0..20).map(|path| format!("secret/data/{path}")).collect();
    let settings = format!("paths: [{}]", paths.join(", "));
    let Some(stage) = Stage::start(&settings).await else {
        return;
    };
    for path in 0..20 {
        stage.put(&path.to_string(), "1").await;
    }
    let poller = stage.poller().await;
    let headers = json!({ "enable_rate_limit_response_headers": true });
    stage.api(Method::POST, "sys/quotas/config", headers).await;
    // One a second would take forever with more passes: what was refused is asked again, and the rest is not forgotten.
    let quota = json!({ "rate": 8, "interval": "1s", "path": "secret/" });
    stage
        .api(Method::POST, "sys/quotas/rate-limit/slow", quota)
        .await;
    let line = poller
        .wait_log("cannot poll the store; trying again", READY)
        .await
        .unwrap();
    assert!(line.contains("throttled"), "{line}");
    passes(&poller, 2).await;
    stage
        .api(Method::DELETE, "sys/quotas/rate-limit/slow", json!({}))
        .await;
    stage.put("7", "2").await;
    stage.events(1).await;
    assert_eq!(failures(&poller, "denied").await, 0);
}
