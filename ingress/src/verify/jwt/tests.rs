use std::sync::Mutex;

use http::{HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::{
    fixture::{Signer, jwks, keys},
    *,
};
use crate::outgoing::{
    Outgoing,
    stand_in::{Answer, StandIn},
};

const HOST: &str = "issuer.example";
const NOW: i64 = 1_750_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://accounts.google.com",
        "aud": "https://relay.example/v1/hooks/gcp",
        "email": "push@project.iam.gserviceaccount.com",
        "email_verified": true,
        "iat": NOW - 10,
        "exp": NOW + 3600,
        "sub": "113774264463038321964",
    })
}

fn config(more: &Value) -> JwtConfig {
    let mut settings = json!({
        "preset": "google",
        "audience": "https://relay.example/v1/hooks/gcp",
        "claims": { "email": "push@project.iam.gserviceaccount.com" },
    });
    let settings = settings.as_object_mut().unwrap();
    settings.extend(more.as_object().unwrap().clone());
    serde_json::from_value(settings.clone().into()).unwrap()
}

fn bearer(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

/// An issuer behind TLS, whose answer the test changes.
struct Published {
    server: StandIn,
    jwks: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Published {
    async fn start(jwks: Option<Vec<u8>>) -> Self {
        let jwks = Arc::new(Mutex::new(jwks));
        let shared = Arc::clone(&jwks);
        let server = StandIn::start(&[HOST], move |_| match &*shared.lock().unwrap() {
            Some(jwks) => Answer::ok(jwks),
            None => Answer::with_status("503 Service Unavailable", ""),
        })
        .await;
        Self { server, jwks }
    }

    fn jwt(&self) -> Jwt {
        let url = json!({ "jwks_url": format!("https://{HOST}/keys") });
        config(&url).open(&self.server.outgoing()).unwrap()
    }
}

const UNAUTHORIZED: Result<(), Refused> = Err(Refused::Unauthorized(Unauthorized));

#[tokio::test]
async fn a_token_of_the_issuer_is_let_in_and_its_keys_are_fetched_once() {
    let signer = Signer::rsa();
    let issuer = Published::start(Some(jwks([signer.jwk("a")]))).await;
    let jwt = issuer.jwt();
    let right = bearer(&signer.token("a", &claims()));
    for _ in 0..3 {
        assert_eq!(jwt.check(&right, now()).await, Ok(()));
    }
    assert_eq!(issuer.server.requests(), 1);
}

/// Real sockets do not go with a paused clock: it moves on between requests only.
async fn half_a_minute() {
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(30)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_unknown_key_may_have_been_published_since_the_last_fetch() {
    let signer = Signer::rsa();
    let issuer = Published::start(Some(jwks([signer.jwk("a")]))).await;
    let jwt = issuer.jwt();
    let right = bearer(&signer.token("a", &claims()));
    assert_eq!(jwt.check(&right, now()).await, Ok(()));
    for kid in ["b", "c"] {
        let unknown = bearer(&signer.token(kid, &claims()));
        assert_eq!(jwt.check(&unknown, now()).await, Err(Refused::Unavailable));
    }
    assert_eq!(issuer.server.requests(), 1);
    half_a_minute().await;
    let unknown = bearer(&signer.token("b", &claims()));
    assert_eq!(jwt.check(&unknown, now()).await, UNAUTHORIZED);
    assert_eq!(issuer.server.requests(), 2);
}

#[tokio::test]
async fn without_keys_the_sender_is_to_try_again_and_is_not_refused() {
    let signer = Signer::rsa();
    let issuer = Published::start(None).await;
    let jwt = issuer.jwt();
    let right = bearer(&signer.token("a", &claims()));
    assert_eq!(jwt.check(&right, now()).await, Err(Refused::Unavailable));
    // What can never be right needs no keys.
    let never = bearer("eyJhbGciOiJub25lIn0.e30.");
    assert_eq!(jwt.check(&never, now()).await, UNAUTHORIZED);
    assert_eq!(jwt.check(&HeaderMap::new(), now()).await, UNAUTHORIZED);
    assert_eq!(issuer.server.requests(), 1);
}

#[tokio::test]
async fn a_new_key_counts_as_soon_as_it_signs() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let issuer = Published::start(Some(jwks([old.jwk("old")]))).await;
    let jwt = issuer.jwt();
    let (by_old, by_new) = (
        bearer(&old.token("old", &claims())),
        bearer(&new.token("new", &claims())),
    );
    assert_eq!(jwt.check(&by_old, now()).await, Ok(()));
    *issuer.jwks.lock().unwrap() = Some(jwks([new.jwk("new")]));
    half_a_minute().await;
    assert_eq!(jwt.check(&by_new, now()).await, Ok(()));
    assert_eq!(jwt.check(&by_old, now()).await, Err(Refused::Unavailable));
    half_a_minute().await;
    assert_eq!(jwt.check(&by_old, now()).await, UNAUTHORIZED);
    assert_eq!(issuer.server.requests(), 3);
}

#[tokio::test]
async fn the_header_is_there_once_and_names_a_bearer() {
    let signer = Signer::rsa();
    let issuer = Published::start(Some(jwks([signer.jwk("a")]))).await;
    let jwt = issuer.jwt();
    let token = signer.token("a", &claims());
    let mut twice = bearer(&token);
    twice.append(AUTHORIZATION, twice[AUTHORIZATION].clone());
    assert_eq!(jwt.check(&twice, now()).await, UNAUTHORIZED);
    let basic = HeaderValue::from_str(&format!("Basic {token}")).unwrap();
    let basic = HeaderMap::from_iter([(AUTHORIZATION, basic)]);
    assert_eq!(jwt.check(&basic, now()).await, UNAUTHORIZED);
    assert_eq!(jwt.check(&bearer(&token), now()).await, Ok(()));
}

#[tokio::test]
async fn keys_in_a_file_are_followed_and_a_broken_file_changes_nothing() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let write = |bytes: &[u8]| {
        let aside = directory.path().join("aside");
        std::fs::write(&aside, bytes).unwrap();
        std::fs::rename(&aside, &path).unwrap();
    };
    write(&jwks([old.jwk("a")]));
    let outgoing = Outgoing::new(&crate::OutgoingConfig::default()).unwrap();
    let jwt = config(&json!({ "jwks_file": &path }))
        .open(&outgoing)
        .unwrap();
    let (by_old, by_new) = (
        bearer(&old.token("a", &claims())),
        bearer(&new.token("a", &claims())),
    );
    assert_eq!(jwt.check(&by_old, now()).await, Ok(()));
    assert_eq!(jwt.check(&by_new, now()).await, UNAUTHORIZED);
    assert_eq!(jwt.refresh(), None);

    write(b"{}");
    assert!(matches!(jwt.refresh(), Some(News::Failure { .. })));
    assert_eq!(jwt.refresh(), None);
    assert_eq!(jwt.check(&by_old, now()).await, Ok(()));

    write(&jwks([new.jwk("a")]));
    assert!(matches!(jwt.refresh(), Some(News::Keys { count: 1, .. })));
    assert_eq!(jwt.check(&by_old, now()).await, UNAUTHORIZED);
    assert_eq!(jwt.check(&by_new, now()).await, Ok(()));
}

#[test]
fn each_claim_that_is_wrong_or_missing_is_refused() {
    let outgoing = Outgoing::new(&crate::OutgoingConfig::default()).unwrap();
    let rules = config(&json!({})).open(&outgoing).unwrap().rules;
    let signer = Signer::rsa();
    let keys = keys([signer.jwk("a")]);
    let verified = |claims: &Value| verify(&signer.token("a", claims), &keys, &rules, now());
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        claims
    };
    let audience = "https://relay.example/v1/hooks/gcp";
    for (name, right) in [
        ("iss", json!("accounts.google.com")),
        ("aud", json!([audience])),
        ("aud", json!(["other", audience])),
        ("exp", json!(NOW - 59)),
        ("exp", json!(f64::from(1_750_000_000) + 0.5)),
        ("nbf", json!(NOW + 60)),
        ("iat", json!(NOW + 60)),
        ("iat", json!(NOW - 1_000_000)),
        ("sub", json!(null)),
    ] {
        let claims = with(name, right);
        assert_eq!(verified(&claims), Ok(()), "{claims}");
    }
    for (name, wrong) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!("https://accounts.google.com/")),
        ("iss", json!(["https://accounts.google.com"])),
        ("iss", json!(null)),
        ("aud", json!("https://relay.example/v1/hooks/other")),
        ("aud", json!([])),
        ("aud", json!([audience, 1])),
        ("aud", json!({ "aud": audience })),
        ("email", json!("push@evil.iam.gserviceaccount.com")),
        ("email", json!("PUSH@project.iam.gserviceaccount.com")),
        ("email", json!(["push@project.iam.gserviceaccount.com"])),
        ("email_verified", json!(false)),
        ("email_verified", json!("true")),
        ("exp", json!(NOW - 60)),
        ("exp", json!("1750003600")),
        ("exp", json!(null)),
        ("nbf", json!(NOW + 61)),
        ("nbf", json!("1749999999")),
        ("nbf", json!(null)),
        ("iat", json!(NOW + 61)),
        ("iat", json!([])),
    ] {
        let claims = with(name, wrong);
        assert_eq!(verified(&claims), Err(Wrong::Token), "{claims}");
    }
    for name in ["iss", "aud", "email", "email_verified", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(verified(&claims), Err(Wrong::Token), "{claims}");
    }
    let mut without_iat = claims();
    without_iat.as_object_mut().unwrap().remove("iat");
    assert_eq!(verified(&without_iat), Ok(()));
}
