//! The ways to log in, on the auth methods of a real OpenBao. What proves the poller is read again at each login.

use std::path::{Path, PathBuf};

use eso_relay_lab::{
    daemon::Daemon,
    installation::READY,
    token_reviews::{ServiceAccount, TokenReviews},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{POLICY, Stage, failures, passes};
use crate::jwt::{Issuer, LATER, LONG_AGO};

const ACCOUNT: ServiceAccount<'_> = ServiceAccount {
    namespace: "relay",
    name: "poller",
    uid: "6d1f0a52",
};

/// A store with the policy `poller` and an auth method, and the file with the poller's proof.
async fn stage(method: &str, path: &str) -> Option<(Stage, PathBuf)> {
    let stage = Stage::start("").await?;
    let policy = json!({ "policy": POLICY });
    stage
        .api(Method::PUT, "sys/policies/acl/poller", policy)
        .await;
    let enabled = json!({ "type": method });
    stage
        .api(Method::POST, &format!("sys/auth/{path}"), enabled)
        .await;
    stage.put("a", "1").await;
    let file = stage.hub.secrets().join("proof");
    Some((stage, file))
}

/// The successful logins at an auth method.
fn logins(stage: &Stage, path: &str) -> usize {
    let path = format!("auth/{path}/login");
    let entries = stage.bao.audit_log().unwrap().into_iter();
    let lent = entries.filter(|entry| {
        entry["type"] == "response"
            && entry["request"]["path"] == path
            && entry["response"]["auth"]["client_token"].is_string()
    });
    lent.count()
}

/// Polls with what is proven now, and after it was replaced and revoked with another token.
async fn polls_on(stage: &Stage, path: &str, replace: impl AsyncFnOnce()) -> Daemon {
    let poller = stage.poller().await;
    stage.put("a", "2").await;
    stage.events(1).await;
    assert_eq!(logins(stage, path), 1, "{}", poller.logs());
    replace().await;
    let lent = format!("sys/leases/revoke-prefix/auth/{path}/login");
    stage.api(Method::PUT, &lent, json!({})).await;
    stage.put("a", "3").await;
    stage.events(2).await;
    passes(&poller, 1).await;
    assert_eq!(logins(stage, path), 2, "{}", poller.logs());
    assert_eq!(failures(&poller, "denied").await, 0, "{}", poller.logs());
    poller
}

/// A token of the issuer, which is not the one before.
fn token(issuer: &Issuer, number: u64) -> String {
    let ServiceAccount {
        namespace,
        name,
        uid,
    } = ACCOUNT;
    issuer.sign(&json!({
        "iss": "https://issuer.example",
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
        // Of the two methods one wants a list.
        "aud": ["openbao"],
        "iat": LONG_AGO,
        "exp": LATER + number,
        "kubernetes.io": {
            "namespace": namespace,
            "serviceaccount": { "name": name, "uid": uid },
        },
    }))
}

/// What a login lends.
fn lends(mut role: Value) -> Value {
    role["token_policies"] = json!(["poller"]);
    role["token_no_default_policy"] = true.into();
    role
}

fn jwt_role() -> Value {
    lends(json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["openbao"],
    }))
}

/// The settings of a poller that logs in with the token in this file.
fn with_jwt(file: &Path) -> String {
    format!(
        "paths: [secret/data/a], auth: {{ jwt: {{ role: relay, token_file: '{}' }} }}",
        file.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_of_an_issuer() {
    let Some((mut stage, file)) = stage("jwt", "jwt").await else {
        return;
    };
    let trust = |issuer: &Issuer| json!({ "jwt_validation_pubkeys": [issuer.pem()] });
    let (old, new) = (Issuer::new(), Issuer::new());
    stage
        .api(Method::POST, "auth/jwt/config", trust(&old))
        .await;
    stage
        .api(Method::POST, "auth/jwt/role/relay", jwt_role())
        .await;
    let first = token(&old, 1);
    std::fs::write(&file, &first).unwrap();
    stage.settings = with_jwt(&file);
    let second = token(&new, 2);
    let poller = polls_on(&stage, "jwt", async || {
        std::fs::write(&file, &second).unwrap();
        stage
            .api(Method::POST, "auth/jwt/config", trust(&new))
            .await;
    });
    let log = poller.await.logs();
    assert!(!log.contains(&first) && !log.contains(&second), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_service_account() {
    let Some((mut stage, file)) = stage("kubernetes", "clusters/east").await else {
        return;
    };
    let (reviews, issuer) = (TokenReviews::start().await.unwrap(), Issuer::new());
    // Not used over plain HTTP, and asked for.
    let ca = rcgen::generate_simple_self_signed(["kubernetes".to_owned()]);
    let config = json!({
        "kubernetes_host": reviews.url(),
        "kubernetes_ca_cert": ca.unwrap().cert.pem(),
        "disable_local_ca_jwt": true,
    });
    stage
        .api(Method::POST, "auth/clusters/east/config", config)
        .await;
    let role = lends(json!({
        "bound_service_account_names": [ACCOUNT.name],
        "bound_service_account_namespaces": [ACCOUNT.namespace],
    }));
    stage
        .api(Method::POST, "auth/clusters/east/role/relay", role)
        .await;
    let first = token(&issuer, 1);
    std::fs::write(&file, &first).unwrap();
    reviews.accept_only(&first, &ACCOUNT);
    stage.settings = format!(
        "paths: [secret/data/a], auth: {{ kubernetes: {{ role: relay, path: clusters/east, token_file: '{}' }} }}",
        file.display()
    );
    let second = token(&issuer, 2);
    let poller = polls_on(&stage, "clusters/east", async || {
        std::fs::write(&file, &second).unwrap();
        reviews.accept_only(&second, &ACCOUNT);
    });
    let log = poller.await.logs();
    assert!(!log.contains(&first) && !log.contains(&second), "{log}");
}

/// It is not lent by a login, but read at each pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_file() {
    let Some(stage) = Stage::start("paths: [secret/data/a]").await else {
        return;
    };
    stage.put("a", "1").await;
    let file = stage.hub.secrets().join("bao-token");
    let old = std::fs::read_to_string(&file).unwrap();
    let poller = stage.poller().await;
    std::fs::write(&file, stage.bao.token(POLICY).await.unwrap()).unwrap();
    let revoked = json!({ "token": old });
    stage.api(Method::POST, "auth/token/revoke", revoked).await;
    stage.put("a", "2").await;
    stage.events(1).await;
    assert_eq!(failures(&poller, "denied").await, 0, "{}", poller.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_refused() {
    let Some((mut stage, file)) = stage("jwt", "jwt").await else {
        return;
    };
    let (trusted, other) = (Issuer::new(), Issuer::new());
    let config = json!({ "jwt_validation_pubkeys": [trusted.pem()] });
    stage.api(Method::POST, "auth/jwt/config", config).await;
    stage
        .api(Method::POST, "auth/jwt/role/relay", jwt_role())
        .await;
    std::fs::write(&file, token(&other, 1)).unwrap();
    stage.settings = with_jwt(&file);
    let mut poller = stage.options().start().await.unwrap();
    poller.wait_ready(READY).await.unwrap();
    let line = poller
        .wait_log("cannot poll the store; trying again", READY)
        .await
        .unwrap();
    assert!(
        line.contains("denied") && line.contains("setting `auth`"),
        "{line}"
    );
    // It recovers by itself.
    std::fs::write(&file, token(&trusted, 2)).unwrap();
    passes(&poller, 1).await;
}
