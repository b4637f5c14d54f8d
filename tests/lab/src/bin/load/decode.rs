//! The largest request of Azure Event Grid, 5,000 events, from its bytes to events ÷ its JSON parse.

use std::{hint::black_box, time::Instant};

use bytes::Bytes;
use eso_relay::traceparent::TraceParent;
use eso_relay_ingress::{
    Outgoing, OutgoingConfig, SourceConfig,
    source::{Content, Delivery, Source},
    verify::{Request, Verified},
};
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Scale, progress,
    report::{Goal, Measure, Unit},
    rounds::Rounds,
};

const EVENTS: usize = 5000;

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    progress("decode: 5,000 events in turns with their JSON");
    let config = json!({ "name": "load", "format": "azure-event-grid", "auth": "none" });
    let outgoing = Outgoing::new(&OutgoingConfig::default())?;
    let source = serde_json::from_value::<SourceConfig>(config)?.open(&outgoing)?;
    let body = Bytes::from(serde_json::to_vec(
        &(0..EVENTS).map(event).collect::<Vec<_>>(),
    )?);
    let verified = verified(&source, body.clone()).await?;
    let mut measured = Rounds::default();
    for round in 0..=scale.pick(30, 10) {
        let (ours, floor) = (decode(&source, &verified)?, parse(&body)?);
        // The first round warms up.
        if round > 0 {
            measured.ours.push(ours);
            measured.floor.push(floor);
        }
    }
    Ok(vec![Measure::ratio(
        "decode 5,000 Event Grid events ÷ JSON parse",
        Unit::Milliseconds,
        &measured,
        Goal::AtMost(2.0),
    )])
}

/// As Key Vault sends it.
fn event(number: usize) -> Value {
    let version = format!("{number:032x}");
    json!({
        "id": format!("00eccf70-95a7-4e7c-8299-{number:012x}"),
        "topic": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/load/providers/Microsoft.KeyVault/vaults/load-kv",
        "subject": format!("secret-{number}"),
        "eventType": "Microsoft.KeyVault.SecretNewVersionCreated",
        "eventTime": "2026-08-08T12:00:00.1036736Z",
        "data": {
            "Id": format!("https://load-kv.vault.azure.net/secrets/secret-{number}/{version}"),
            "VaultName": "load-kv",
            "ObjectType": "Secret",
            "ObjectName": format!("secret-{number}"),
            "Version": version,
            "NBF": null,
            "EXP": null,
        },
        "dataVersion": "1",
        "metadataVersion": "1",
    })
}

async fn verified(source: &Source, body: Bytes) -> anyhow::Result<Verified> {
    let request = Request {
        headers: &HeaderMap::new(),
        query: None,
        certificate: None,
        now: Timestamp::UNIX_EPOCH,
    };
    Ok(source.scheme.admit(&request).await?.verify(body).await?)
}

fn decode(source: &Source, body: &Verified) -> anyhow::Result<f64> {
    let delivery = Delivery {
        headers: &HeaderMap::new(),
        received_at: Timestamp::UNIX_EPOCH,
        traceparent: TraceParent::random(),
    };
    let started = Instant::now();
    let content = black_box(source.decode(body, &delivery)?);
    let took = started.elapsed();
    let all = matches!(&content, Content::Events { events, .. } if events.len() == EVENTS);
    anyhow::ensure!(all, "not every event was decoded");
    Ok(took.as_secs_f64() * 1e3)
}

fn parse(body: &Bytes) -> anyhow::Result<f64> {
    let started = Instant::now();
    let value: Value = black_box(serde_json::from_slice(body)?);
    let took = started.elapsed();
    anyhow::ensure!(value.is_array(), "the body is an array");
    Ok(took.as_secs_f64() * 1e3)
}
