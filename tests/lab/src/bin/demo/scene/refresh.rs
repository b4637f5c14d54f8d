//! Every kind of ExternalSecret, and the way of each event to it.

use std::time::Instant;

use anyhow::ensure;
use serde_json::json;

use super::{accepted, fresh, way};
use crate::{
    cast::{ALL, CLUSTER_STORE, DATA, Part},
    narrate::Narrator,
    stage::{Stage, now},
};

pub(crate) async fn play(stage: &mut Stage<'_>, tell: &Narrator) -> anyhow::Result<()> {
    tell.scene("A secret changes, its store calls the webhook, and both clusters refresh");
    seed(stage, tell, &[DATA]).await?;
    let batch: Vec<Part> = ALL
        .into_iter()
        .filter(|part| ![DATA.name, CLUSTER_STORE.name].contains(&part.name))
        .collect();
    seed(stage, tell, &batch).await?;
    let ids = signed(stage, tell, CLUSTER_STORE).await?;
    tell.holds("every kind of ExternalSecret was refreshed in east and in west");
    for id in ids {
        traced(stage, tell, &id).await?;
    }
    Ok(())
}

/// What an operator is told of one event.
async fn traced(stage: &Stage<'_>, tell: &Narrator, id: &str) -> anyhow::Result<()> {
    let output = stage.hub.cli(&["trace", id, "--wait"]).await?;
    ensure!(output.code == 0, "{output:?}");
    tell.command(&format!("eso-relay trace {id} --wait"), &output.stdout);
    Ok(())
}

/// The seed's own webhook, with one element for each part.
async fn seed(stage: &mut Stage<'_>, tell: &Narrator, parts: &[Part]) -> anyhow::Result<()> {
    let rotated = rotate(stage, parts).await?;
    let keys: Vec<&str> = parts.iter().map(|part| &part.key[1..]).collect();
    let (sent, clock) = (Instant::now(), now());
    let answer = stage.webhooks.updated(&keys).await?;
    let sent = way::Sent {
        what: format!("POST /webhook (Basic), {} in the body", keys.len()),
        at: sent,
        clock,
        answered: sent.elapsed(),
        ids: accepted(&answer)?,
    };
    way::follow(stage, tell, &sent, &rotated).await
}

/// A signed webhook of no store in particular; its events' ids.
async fn signed(stage: &mut Stage<'_>, tell: &Narrator, part: Part) -> anyhow::Result<Vec<String>> {
    let rotated = rotate(stage, &[part]).await?;
    let id = format!("demo-{:08x}", fastrand::u32(..));
    let body = json!({ "id": id, "type": "updated", "secret": { "name": part.key } });
    let (sent, clock) = (Instant::now(), now());
    let answer = stage.webhooks.generic(&body).await?;
    let sent = way::Sent {
        what: "POST /v1/hooks/generic (HMAC-SHA256)".to_owned(),
        at: sent,
        clock,
        answered: sent.elapsed(),
        ids: accepted(&answer)?,
    };
    way::follow(stage, tell, &sent, &rotated).await?;
    Ok(sent.ids)
}

/// Gives each part's secret a value that it did not have.
async fn rotate(stage: &Stage<'_>, parts: &[Part]) -> anyhow::Result<Vec<way::Rotated>> {
    let mut rotated = Vec::new();
    for &part in parts {
        let value = fresh();
        stage.rotate(part.key, &part.stored(&value)).await?;
        rotated.push(way::Rotated { part, value });
    }
    Ok(rotated)
}
