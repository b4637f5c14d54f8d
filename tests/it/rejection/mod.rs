//! Whatever a stranger or a broken sender sends: the right status, no panic, nothing published.

mod body;
mod http;
mod sender;

use eso_relay_lab::{
    daemon::Daemon,
    installation::{Answer, Hub, READY, Webhooks, akeyless},
};
use serde_json::{Value, json};

use crate::stored;

/// An ingress that has accepted one webhook, and must not publish another one.
struct Tested {
    hub: Hub,
    ingress: Daemon,
    webhooks: Webhooks,
}

impl Tested {
    async fn start(more: &str) -> Self {
        let hub = Hub::start().await.unwrap();
        hub.init(&[]).await.unwrap();
        let ingress = hub.ingress_with(more).env("RUST_LOG", "debug");
        let mut ingress = ingress.start().await.unwrap();
        ingress.wait_ready(READY).await.unwrap();
        let tested = Self {
            webhooks: Webhooks::to(&ingress.url()),
            hub,
            ingress,
        };
        tested.accepts().await;
        tested
    }

    async fn accepts(&self) {
        let webhook = json!([akeyless(1, "prod/db")]);
        let answer = self.webhooks.akeyless(&webhook).await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    /// Still the same process, still at work; only its first webhook is in the stream.
    async fn ends_unharmed(mut self) {
        let jetstream = self.hub.jetstream().await.unwrap();
        assert_eq!(stored::last_sequence(&jetstream).await, 1, "published");
        self.accepts().await;
        self.ingress.terminate().unwrap();
        let status = self.ingress.wait_exit(READY).await.unwrap();
        assert!(status.success(), "{status}");
        let log = self.ingress.logs();
        assert!(!log.contains("panicked"), "{log}");
        assert_eq!(log.matches("serving webhooks").count(), 1, "{log}");
    }
}

/// The status, and a body of exactly `code` and `message`.
fn refuses(what: &str, answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{what}: {answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["code"], code, "{what}: {answer:?}");
    let message = body["message"].as_str().unwrap();
    assert!((1..=300).contains(&message.len()), "{what}: {answer:?}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{what}: {answer:?}");
}
