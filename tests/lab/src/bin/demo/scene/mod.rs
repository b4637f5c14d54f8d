//! The scenes, in their order.

mod crash;
mod keep;
mod outage;
mod poison;
mod refresh;
mod replay;
mod status;
mod way;

use std::{process::ExitCode, time::Duration};

use anyhow::ensure;
use eso_relay_lab::installation::Answer;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    Args,
    narrate::Narrator,
    stage::{Own, Stage},
};

/// How long an effect may take before it counts as missing. A real ESO syncs ten a second.
const EFFECT: Duration = Duration::from_secs(30);

/// Sets the stage and plays every scene on it.
pub(crate) async fn play_all(args: &Args, own: Option<&Own>, tell: &Narrator) -> ExitCode {
    let mut stage = match Stage::set(args.kubernetes, own, tell).await {
        Ok(stage) => stage,
        Err(error) => return tell.failed(&error, ""),
    };
    if let Err(error) = play(&mut stage, tell).await {
        return tell.failed(&error, &stage.tails());
    }
    let code = tell.finished();
    if args.keep {
        match keep::lines(&stage, tell).await {
            Ok(()) => interrupted().await,
            Err(error) => return tell.failed(&error, ""),
        }
    }
    code
}

async fn play(stage: &mut Stage<'_>, tell: &Narrator) -> anyhow::Result<()> {
    refresh::play(stage, tell).await?;
    crash::play(stage, tell).await?;
    let since = outage::play(stage, tell).await?;
    replay::play(stage, tell, since).await?;
    poison::play(stage, tell).await?;
    status::play(stage, tell).await
}

/// Ctrl-C, or SIGTERM.
pub(crate) async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// The ids of the events of a webhook that must have been answered 202.
fn accepted(answer: &Answer) -> anyhow::Result<Vec<String>> {
    let (status, body) = (answer.status, &answer.body);
    ensure!(
        status == 202,
        "expected: 202 for a webhook; it was {status}: {body}"
    );
    Ok(answer.accepted())
}

/// A value that no store has held before.
fn fresh() -> String {
    format!("value-{:016x}", fastrand::u64(..))
}
