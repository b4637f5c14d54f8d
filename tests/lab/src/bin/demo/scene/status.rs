//! What an operator sees at the end.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::EFFECT;
use crate::{narrate::Narrator, stage::Stage};

pub(crate) async fn play(stage: &Stage<'_>, tell: &Narrator) -> anyhow::Result<()> {
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
    tell.claim(
        "nothing waits, nothing is in flight, nothing was missed",
        EFFECT,
        settled,
    )
    .await?;
    let output = stage.hub.cli(&["status"]).await?;
    tell.command("eso-relay status", &output.stdout);
    Ok(())
}
