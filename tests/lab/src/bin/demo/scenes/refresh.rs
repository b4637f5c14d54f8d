//! A webhook, and its way to every kind of ExternalSecret.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use super::{EFFECT, accepted, fresh, now};
use crate::{
    cast::{ALL, CLUSTER_STORE, DATA, Part},
    site::Site,
    stage::Stage,
    tell::{Teller, expect, short},
    watch::Published,
};

pub(crate) async fn play(stage: &mut Stage<'_>, tell: &Teller) -> anyhow::Result<()> {
    tell.scene("A secret changes, its store calls the webhook, and both clusters refresh");
    let (batch, id) = (&ALL[1..5], format!("demo-{:08x}", fastrand::u32(..)));
    follow(stage, tell, &[DATA], Webhook::Akeyless).await?;
    follow(stage, tell, batch, Webhook::Akeyless).await?;
    follow(stage, tell, &[CLUSTER_STORE], Webhook::Signed(&id)).await?;
    tell.holds("every kind of ExternalSecret was refreshed in east and in west");
    let output = stage.hub.cli(&["trace", &id, "--wait"]).await?;
    ensure!(output.code == 0, "{output:?}");
    tell.command(&format!("eso-relay trace {id} --wait"), &output.stdout);
    Ok(())
}

#[derive(Clone, Copy)]
enum Webhook<'a> {
    /// `POST /webhook`, as the predecessor of eso-relay had it.
    Akeyless,
    /// Of no store in particular, with this id.
    Signed(&'a str),
}

/// Rotates the secrets of these parts, sends one webhook for them, and waits for all that it must lead to.
async fn follow(
    stage: &mut Stage<'_>,
    tell: &Teller,
    parts: &[Part],
    webhook: Webhook<'_>,
) -> anyhow::Result<()> {
    let mut rotated = Vec::new();
    for part in parts {
        let value = fresh();
        stage.rotate(part.key, &part.stored(&value)).await?;
        rotated.push((*part, value));
    }
    let (sent, clock) = (Instant::now(), now());
    let (what, answer) = match webhook {
        Webhook::Akeyless => {
            let keys: Vec<&str> = parts.iter().map(|part| &part.key[1..]).collect();
            let what = format!("POST /webhook (Basic), {} in the body", keys.len());
            (what, stage.webhooks.updated(&keys).await?)
        }
        Webhook::Signed(id) => {
            let body = json!({ "id": id, "type": "updated", "secret": { "name": parts[0].key } });
            let what = "POST /v1/hooks/generic (HMAC-SHA256)".to_owned();
            (what, stage.webhooks.generic(&body).await?)
        }
    };
    let (answered, ids) = (sent.elapsed(), accepted(&answer)?);
    tell.fact(
        &format!("{what:<44} 202 after {}", short(answered)),
        json!({ "webhook": what, "answered_seconds": answered.as_secs_f64() }),
    );
    ensure!(
        ids.len() == parts.len(),
        "expected: an event for each of {} elements; accepted: {ids:?}",
        parts.len()
    );
    let Stage {
        east,
        west,
        journal,
        ..
    } = stage;
    let sites = [&*east, &*west];
    for ((part, value), id) in rotated.iter().zip(ids) {
        let event = journal.find(&id).await?;
        let stored = Duration::try_from(event.at.duration_since(clock)).unwrap_or_default();
        let (key, after, sequence) = (part.key, short(stored), event.sequence);
        tell.fact(
            &format!("  {key:<42} in the stream after {after}, as message {sequence}"),
            json!({ "key": key, "stored_seconds": stored.as_secs_f64(), "sequence": sequence }),
        );
        for site in sites {
            refreshed(tell, site, *part, value, &event, sent).await?;
        }
    }
    Ok(())
}

/// Waits until the ExternalSecret was patched for this event and synced, and its Secret has the value.
async fn refreshed(
    tell: &Teller,
    site: &Site<'_>,
    part: Part,
    value: &str,
    event: &Published,
    since: Instant,
) -> anyhow::Result<()> {
    let (name, cluster, refresh) = (part.name, site.name, &event.refresh);
    let readable = site.gives_values_to(part);
    let what = format!("{name} in {cluster} patched with {refresh} and synced");
    let sighting = || async {
        let seen = site.sightings.of(name, refresh);
        seen.filter(|seen| seen.synced.is_some() || !readable)
            .ok_or("it has not been seen")
    };
    let seen = expect(what, EFFECT, sighting).await?;
    let after = |moment: Instant| moment.saturating_duration_since(since);
    let patched = after(seen.patched);
    let synced = seen.synced.map(after).filter(|_| readable);
    let outcome = match synced {
        Some(synced) => {
            let what = format!("the new value in Secret {name} of {cluster}");
            expect(what, EFFECT, || site.secret_holds(name, value)).await?;
            format!(
                "synced {:<8}  the new value is in its Secret",
                short(synced)
            )
        }
        None => "(its store cannot be searched by path)".to_owned(),
    };
    tell.fact(
        &format!(
            "    {cluster}  {name:<14} patched {:<8}  {outcome}",
            short(patched)
        ),
        json!({
            "cluster": cluster,
            "name": name,
            "patched_seconds": patched.as_secs_f64(),
            "synced_seconds": synced.map(|synced| synced.as_secs_f64()),
        }),
    );
    Ok(())
}
