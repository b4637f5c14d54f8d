//! What changed since a moment, once more, for one cluster alone.

use anyhow::{Context as _, ensure};
use jiff::Timestamp;

use super::{EFFECT, outage::PARTS};
use crate::{
    narrate::Narrator,
    stage::{Site, Stage},
};

pub(crate) async fn play(
    stage: &Stage<'_>,
    tell: &Narrator,
    since: Timestamp,
) -> anyhow::Result<()> {
    tell.scene("Somebody restores east from a backup: replay for east alone");
    let last =
        |site: &Site<'_>| PARTS.map(|part| site.sightings.last(part.name).map(|seen| seen.refresh));
    let (east, west) = (last(&stage.east), last(&stage.west));
    let since = format!("{since:.0}");
    let args = ["replay", "--cluster", "east", "--since", &since, "--yes"];
    let output = stage.hub.cli(&args).await?;
    tell.command(
        &format!("eso-relay {}", args.join(" ")),
        &format!("{}{}", output.stdout, output.stderr),
    );
    ensure!(
        output.code == 0,
        "expected: exit code 0 of replay, it was {}",
        output.code
    );

    let moved = async || {
        let now = last(&stage.east);
        let same = PARTS
            .iter()
            .zip(now.iter().zip(&east))
            .find(|(_, (now, then))| now == then);
        match same {
            Some((part, _)) => Err(format!("{} was not refreshed again", part.name)),
            None => Ok(()),
        }
    };
    tell.claim("east refreshed all of them once more", EFFECT, moved)
        .await?;
    let newest = stage.journal.last().await?;
    let seen = async || {
        let floor = stage
            .journal
            .durable("west")
            .await?
            .ack_floor
            .stream_sequence;
        ensure!(floor >= newest, "acked up to {floor} of {newest}");
        anyhow::Ok(())
    };
    tell.claim("west has seen the replayed events too", EFFECT, seen)
        .await?;
    ensure!(
        last(&stage.west) == west,
        "expected: nothing moves in west; it was refreshed"
    );
    // The watch may lag behind: the objects themselves say it too.
    for (part, then) in PARTS.iter().zip(&west) {
        let (client, namespace) = (stage.west.client(), stage.west.namespace());
        let now = eso_relay_lab::cluster::annotation(client, namespace, part.name)
            .await
            .context("cannot look at west")?;
        ensure!(
            now == *then,
            "expected: {} of west as it was; it was refreshed",
            part.name
        );
    }
    tell.holds("and has not moved: they are not meant for it");
    Ok(())
}
