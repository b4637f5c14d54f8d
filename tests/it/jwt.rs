//! A source that believes the tokens of an issuer.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use eso_relay_lab::installation::{Hub, READY, Webhooks, akeyless, send};
use rcgen::KeyPair;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::https::Https;

/// In the year 2100, and in 2001.
pub(crate) const LATER: u64 = 4_102_444_800;
pub(crate) const LONG_AGO: u64 = 1_000_000_000;

pub(crate) struct Issuer {
    key: EcdsaKeyPair,
    /// The public key.
    pem: String,
    random: SystemRandom,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pair = KeyPair::generate().unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pair.serialized_der(), &random).unwrap();
        let pem = pair.public_key_pem();
        Self { key, pem, random }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// As RFC 7517 writes them.
    fn keys(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y }] })
    }

    /// At an address of its own.
    pub(crate) async fn serves_keys(&self) -> Https {
        Https::answering(self.keys().to_string()).await
    }

    fn token(&self, audience: &str, expires: u64) -> String {
        let issuer = "https://issuer.example";
        self.sign(&json!({ "iss": issuer, "aud": audience, "exp": expires }))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": "k" }).to_string();
        let signed = format!(
            "{}.{}",
            BASE64.encode(header),
            BASE64.encode(claims.to_string())
        );
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64.encode(signature))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_is_valid_until_it_expires() {
    let (hub, issuer) = (Hub::start().await.unwrap(), Issuer::new());
    let keys = hub.secrets().join("keys.json");
    std::fs::write(&keys, issuer.keys().to_string()).unwrap();
    believes(
        &hub,
        &issuer,
        &format!("jwks_file: '{}'", keys.display()),
        "",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuers_keys_are_fetched() {
    let (hub, issuer) = (Hub::start().await.unwrap(), Issuer::new());
    let keys = issuer.serves_keys().await;
    let ca = hub.secrets().join("issuer.crt");
    std::fs::write(&ca, &keys.certificate).unwrap();
    let outgoing = format!("outgoing: {{ ca_file: '{}' }}", ca.display());
    believes(
        &hub,
        &issuer,
        &format!("jwks_url: '{}'", keys.url),
        &outgoing,
    )
    .await;
}

/// An ingress that has the keys by this setting, and more YAML, believes this issuer and no other.
async fn believes(hub: &Hub, issuer: &Issuer, keys: &str, more: &str) {
    hub.init(&[]).await.unwrap();
    let source = format!(
        "- {{ name: token, format: akeyless, auth: {{ jwt: {{ issuer: 'https://issuer.example', \
         audience: us, {keys} }} }} }}\n{more}"
    );
    let mut ingress = hub.ingress_with(&source).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    for (token, status) in [
        (issuer.token("us", LATER), 202),
        (issuer.token("us", LONG_AGO), 401),
        (issuer.token("others", LATER), 401),
        (Issuer::new().token("us", LATER), 401),
    ] {
        let body = json!([akeyless(0, "/prod/db")]).to_string();
        let post = webhooks
            .post("/v1/hooks/token")
            .bearer_auth(token)
            .body(body);
        assert_eq!(send(post).await.unwrap().status, status);
    }
}
