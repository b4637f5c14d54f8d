//! The objects, webhooks and events that the lines share: object number n reads key number n.

use std::collections::BTreeMap;

use eso_relay::{
    Event,
    event::{GENERIC, Keys, Kind, Match, Operation, Origin},
};
use eso_relay_lab::cluster::{ExternalSecretBuilder, external_secret};
use serde_json::{Value, json};

use super::http::Webhook;

pub(crate) use eso_relay_lab::fleet::{key, name};

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const STORE: &str = "akeyless";

/// With as much text beside the keys as objects usually have.
pub(crate) fn object(number: usize) -> ExternalSecretBuilder {
    external_secret(&name(number))
        .in_namespace(NAMESPACE)
        .from_store(STORE)
        .key(&key(number))
        .annotated(
            "kubectl.kubernetes.io/last-applied-configuration",
            &"x".repeat(700),
        )
}

/// An event of a body of the source `generic`, of some 300 bytes. Ids are unique in a run when the
/// round is.
fn element(round: &str, number: usize) -> Value {
    json!({
        "id": format!("{round}-{number}"),
        "type": "secret.updated",
        "secret": { "name": key(number), "version": 7, "description": "credentials of the database" },
        "actor": { "kind": "service", "name": "deployment pipeline of the team" },
        "account": { "region": "eu-central-1", "environment": "production" },
    })
}

/// A webhook with one event.
pub(crate) fn webhook(round: &str, number: usize) -> Webhook {
    Webhook::signed(&element(round, number).to_string())
}

/// A webhook with an event for each of these keys.
pub(crate) fn large_webhook(round: &str, numbers: impl IntoIterator<Item = usize>) -> Webhook {
    let body: Value = numbers
        .into_iter()
        .map(|number| element(round, number))
        .collect();
    Webhook::signed(&body.to_string())
}

/// The event that the ingress would make of such a webhook.
pub(crate) fn event(round: &str, number: usize) -> anyhow::Result<Event> {
    #[expect(clippy::disallowed_methods, reason = "the event is received now")]
    let received_at = jiff::Timestamp::now();
    Ok(Event {
        id: format!("{round}-{number}"),
        source: "generic".parse()?,
        kind: Kind::SecretChanged,
        time: None,
        traceparent: None,
        provider: GENERIC.parse()?,
        operation: Operation::Updated,
        matches: Match::Exact(Keys::one(key(number))?),
        version: None,
        scope: BTreeMap::new(),
        target: None,
        settle: None,
        restart: false,
        received_at,
        origin: Origin::default(),
    })
}
