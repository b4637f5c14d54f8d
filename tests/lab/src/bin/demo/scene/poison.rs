//! A message that nobody can read, and what becomes of it and of the next one.

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::{EFFECT, accepted};
use crate::{cast::DATA, narrate::Narrator, stage::Stage};

/// As an ingress of another major version would write it.
const SUBJECT: &str = "eso-relay.events.v2.akeyless.newer";

pub(crate) async fn play(stage: &mut Stage<'_>, tell: &Narrator) -> anyhow::Result<()> {
    tell.scene("A message that cannot be read, and a good one behind it");
    let sent = stage
        .journal
        .jetstream
        .publish(SUBJECT, r#"{"from":"the future"}"#.into())
        .await?;
    let sequence = sent
        .await
        .context("cannot publish the poisonous message")?
        .sequence;
    tell.say(format!(
        "message {sequence} is of version 2, which these consumers do not know"
    ));
    let ids = accepted(&stage.webhooks.updated(&[DATA.key]).await?)?;
    let id = ids.first().context("expected: an event for the webhook")?;
    let refresh = stage.journal.find(id).await?.refresh;
    for site in stage.sites() {
        let refreshed = async || {
            let seen = site.sightings.of(DATA.name, &refresh);
            seen.map(drop).context("not patched")
        };
        let claim = format!("{}: the good one went on", site.name);
        tell.claim(claim, EFFECT, refreshed).await?;
    }
    let wanted = sequence.to_string();
    let listed = async || {
        let output = stage.hub.cli(&["dead", "list", "--output", "json"]).await?;
        let list: Value = serde_json::from_str(&output.stdout).context(output.stderr)?;
        let letters = list["dead_letters"].as_array().context("no list")?;
        for cluster in ["east", "west"] {
            let ours = |letter: &Value| {
                letter["cluster"] == cluster
                    && letter["event_sequence"] == wanted
                    && letter["reason"] == "undecodable"
            };
            if !letters.iter().any(ours) {
                bail!("no letter of {cluster} for message {sequence} in {letters:?}");
            }
        }
        Ok(())
    };
    tell.claim(
        "the bad one is among the dead letters, of both clusters",
        EFFECT,
        listed,
    )
    .await?;
    let output = stage.hub.cli(&["dead", "list"]).await?;
    tell.command("eso-relay dead list", &output.stdout);
    Ok(())
}
