//! `eso-relay dead discard`: letters that need no other try.

use std::fmt;

use anyhow::Context as _;
use eso_relay::stream::Stream;
use serde::Serialize;

use super::select::{Which, remove};
use crate::cli::{Failure, Session, audit::Verb, progress::Progress};

/// Remove dead letters without another try
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  eso-relay dead discard 17 --because 'the tenant is gone'
  eso-relay dead discard --cluster west --because 'the cluster is gone' --yes")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    because: String,
}

#[derive(Serialize)]
struct Report {
    selected: usize,
    /// Beyond `--max`.
    more: usize,
    discarded: usize,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    args.which.check()?;
    let jetstream = session.jetstream().await?;
    let selection = args.which.select(session, &jetstream).await?;
    let mut report = Report {
        selected: selection.letters.len(),
        more: selection.more,
        discarded: 0,
    };
    let all = report.selected;
    let question = format!("Remove {all} dead letters for good?");
    if args.which.agreed(all, &question)? {
        let dead = jetstream.get_stream_no_info(Stream::Dead.name()).await;
        let dead = dead.context("cannot look at the dead letters")?;
        let mut progress = Progress::new("discarded", all as u64);
        let mut removed = Ok(());
        for letter in &selection.letters {
            removed = remove(&dead, letter.sequence).await;
            if removed.is_err() {
                break;
            }
            report.discarded += 1;
            progress.step();
        }
        drop(progress);
        let discarded = report.discarded;
        let because = Some(args.because);
        session
            .record(&jetstream, Verb::Discard, discarded, because)
            .await;
        removed.with_context(|| {
            format!("{discarded} of {all} dead letters were removed; run it again for the rest")
        })?;
    }
    Ok(session.print(&report)?)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "discarded  {} of {}", self.discarded, self.selected)?;
        match self.more {
            0 => Ok(()),
            more => writeln!(f, "left out   {more} beyond --max: run it again for them"),
        }
    }
}
