//! Webhooks as stores send them, over real HTTP.

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};

pub const BASIC_USER: &str = "eso";
pub const BASIC_PASSWORD: &str = "marker-password-of-the-lab";
pub const BEARER_TOKEN: &str = "marker-token-of-the-lab";
pub const HMAC_SECRET: &str = "marker-hmac-secret-of-the-lab";

/// A sender of webhooks to one ingress.
#[derive(Clone)]
pub struct Webhooks {
    base: String,
    client: reqwest::Client,
}

/// What the ingress said.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The ids of the accepted events.
    pub fn accepted(&self) -> Vec<String> {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let ids = body["accepted"].as_array().cloned().unwrap_or_default();
        ids.iter()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect()
    }
}

impl Webhooks {
    pub fn to(base: &str) -> Self {
        eso_relay::nats::install_crypto();
        let client = reqwest::Client::builder().no_proxy().build();
        // OK because nothing that can fail was asked for.
        Self {
            base: base.to_owned(),
            client: client.expect("a plain client"),
        }
    }

    /// The seed's own: `POST /webhook` with Basic authentication.
    pub async fn seed(&self, body: &Value) -> anyhow::Result<Answer> {
        self.basic("/webhook", body).await
    }

    /// The seed's payload, with one updated item for each name.
    pub async fn updated(&self, items: &[&str]) -> anyhow::Result<Answer> {
        let body: Value = items
            .iter()
            .enumerate()
            .map(|(at, item)| akeyless(at, item))
            .collect();
        self.seed(&body).await
    }

    /// An Akeyless Event Center webhook, to the source `akeyless`.
    pub async fn akeyless(&self, body: &Value) -> anyhow::Result<Answer> {
        self.basic("/v1/hooks/akeyless", body).await
    }

    async fn basic(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let request = self.post(path).basic_auth(BASIC_USER, Some(BASIC_PASSWORD));
        send(request.body(body.to_string())).await
    }

    /// A signed body such as `{"id": "1", "type": "updated", "secret": {"name": "prod/db"}}`, or an array
    /// of them, to the source `generic`.
    pub async fn generic(&self, body: &Value) -> anyhow::Result<Answer> {
        let body = body.to_string();
        send(
            self.post("/v1/hooks/generic")
                .header("x-signature", sign(body.as_bytes()))
                .body(body),
        )
        .await
    }

    /// A structured `CloudEvent`, to the source `cloudevents`.
    pub async fn cloudevent(&self, body: &Value) -> anyhow::Result<Answer> {
        let request = self.post("/v1/hooks/cloudevents").bearer_auth(BEARER_TOKEN);
        send(
            request
                .header("content-type", "application/cloudevents+json")
                .body(body.to_string()),
        )
        .await
    }

    /// A request of the caller's making, without authentication.
    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
    }
}

/// One element of Akeyless's body, as the seed knows it. Each call is an event of its own.
pub fn akeyless(item_id: usize, item: &str) -> Value {
    json!({
        "event_id": fastrand::u64(..), "event_level": "info", "event_type": "static-secret-updated",
        "item_name": item, "item_id": item_id, "item_type": "static_secret", "payload": {},
    })
}

/// The signature that the source `generic` asks for.
pub fn sign(body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, HMAC_SECRET.as_bytes());
    let tag = ring::hmac::sign(&key, body);
    format!("sha256={}", HEXLOWER.encode(tag.as_ref()))
}

/// Sends and reads the whole answer.
pub async fn send(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let answer = request.send().await.context("no answer from the ingress")?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    Ok(Answer {
        status,
        headers,
        body: answer.text().await?,
    })
}
