//! The scenes, in their order.

mod crash;
mod outage;
mod refresh;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use eso_relay_lab::installation::Answer;
use jiff::Timestamp;
use serde_json::Value;

use crate::{cast::DATA, stage::Stage, tell::Teller};

/// How long an effect may take before it counts as missing. A real ESO syncs ten a second.
const EFFECT: Duration = Duration::from_secs(30);

pub(crate) async fn play_all(stage: &mut Stage<'_>, tell: &Teller) -> anyhow::Result<()> {
    refresh::play(stage, tell).await?;
    crash::play(stage, tell).await?;
    let since = outage::play(stage, tell).await?;
    outage::replay(stage, tell, since).await?;
    poison(stage, tell).await?;
    status(stage, tell).await
}

/// A message that cannot be read, and the next one.
async fn poison(stage: &mut Stage<'_>, tell: &Teller) -> anyhow::Result<()> {
    tell.scene("A message that cannot be read, and a good one behind it");
    // As an ingress of another major version would write it.
    let (subject, body) = (
        "eso-relay.events.v2.akeyless.newer",
        r#"{"from":"the future"}"#,
    );
    let sent = stage
        .journal
        .jetstream
        .publish(subject, body.into())
        .await?;
    let sent = sent.await.context("cannot publish the message")?.sequence;
    tell.say(format!(
        "message {sent} is of version 2, which these consumers do not know"
    ));
    let id = accepted(&stage.webhooks.updated(&[DATA.key]).await?)?.remove(0);
    let refresh = stage.journal.find(&id).await?.refresh;
    for site in stage.sites() {
        let seen = async || {
            site.sightings
                .of(DATA.name, &refresh)
                .context("not patched")
        };
        let claim = format!("{}: the good one went on", site.name);
        tell.claim(claim, EFFECT, seen).await?;
    }
    let sequence = sent.to_string();
    let listed = async || {
        let output = stage.hub.cli(&["dead", "list", "--output", "json"]).await?;
        let list: Value = serde_json::from_str(&output.stdout).context(output.stderr)?;
        let letters = list["dead_letters"].as_array().context("no list")?;
        for cluster in ["east", "west"] {
            let ours = |letter: &Value| {
                letter["cluster"] == cluster
                    && letter["event_sequence"] == sequence
                    && letter["reason"] == "undecodable"
            };
            ensure!(
                letters.iter().any(ours),
                "none of {cluster} for {sent} in {letters:?}"
            );
        }
        Ok(())
    };
    let claim = "the bad one is among the dead letters, of both clusters";
    tell.claim(claim, EFFECT, listed).await?;
    let output = stage.hub.cli(&["dead", "list"]).await?;
    tell.command("eso-relay dead list", &output.stdout);
    Ok(())
}

/// What an operator sees at the end.
async fn status(stage: &Stage<'_>, tell: &Teller) -> anyhow::Result<()> {
    tell.scene("Where everything stands");
    let settled = async || {
        let output = stage.hub.cli(&["status", "--output", "json"]).await?;
        ensure!(
            output.code == 0,
            "exit code {}: {}",
            output.code,
            output.stderr
        );
        let status: Value = serde_json::from_str(&output.stdout)?;
        let clusters = status["clusters"].as_array().context("no clusters")?;
        ensure!(clusters.len() == 2, "{} clusters", clusters.len());
        for cluster in clusters {
            for field in ["backlog", "in_flight", "missed"] {
                ensure!(cluster[field] == 0, "{field} of {cluster}");
            }
        }
        Ok(())
    };
    let claim = "nothing waits, nothing is in flight, nothing was missed";
    tell.claim(claim, EFFECT, settled).await?;
    let output = stage.hub.cli(&["status"]).await?;
    tell.command("eso-relay status", &output.stdout);
    Ok(())
}

/// The ids of the events of a webhook that must have been answered 202; at least one.
fn accepted(answer: &Answer) -> anyhow::Result<Vec<String>> {
    let (status, body) = (answer.status, &answer.body);
    let ids = answer.accepted();
    ensure!(
        status == 202 && !ids.is_empty(),
        "expected: 202 for a webhook; it was {status}: {body}"
    );
    Ok(ids)
}

/// A value that no store has held before.
fn fresh() -> String {
    format!("value-{:016x}", fastrand::u64(..))
}

/// The clock, for what is compared with times in the stream.
#[expect(clippy::disallowed_methods, reason = "the demo reads the clock here")]
fn now() -> Timestamp {
    Timestamp::now()
}
