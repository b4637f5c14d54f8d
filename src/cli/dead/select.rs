//! What `redrive` and `discard` take: letters by number, by filter, or all.

use std::collections::BTreeSet;

use async_nats::jetstream::{Context, stream};
use eso_relay::stream::Stream;

use super::{filter::Filter, letter::Letter};
use crate::cli::{Failure, Session, output::timestamp, scan::scan};

#[derive(clap::Args)]
pub(super) struct Which {
    /// Their numbers, in the first column of `eso-relay dead list`
    #[arg(value_name = "SEQ")]
    sequences: Vec<u64>,
    /// All there are
    #[arg(long, conflicts_with = "sequences")]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// At most so many, the oldest first
    #[arg(long, default_value_t = 5000, value_name = "N")]
    max: usize,
}

/// The oldest of the letters that are meant.
pub(super) struct Selection {
    pub(super) letters: Vec<Letter>,
    /// How many there are beyond `--max`.
    pub(super) more: usize,
}

impl Which {
    /// What was asked for, for the audit.
    pub(super) fn must_be_said(&self) -> Result<(), Failure> {
        if self.sequences.is_empty() && !self.all && self.filter.is_empty() {
            let message = "say which: their numbers, a filter such as --reason refused, or --all";
            return Err(Failure::Usage(message.to_owned()));
        }
        Ok(())
    }

    /// An error: one of the numbers stands for no letter.
    pub(super) async fn select(
        &self,
        session: &Session,
        jetstream: &Context,
    ) -> Result<Selection, Failure> {
        let wanted = self.filter.at(session.now())?;
        let mut missing: BTreeSet<u64> = self.sequences.iter().copied().collect();
        let mut selection = Selection {
            letters: Vec::new(),
            more: 0,
        };
        scan(jetstream, wanted.scan(), |message, info| {
            let sequence = info.stream_sequence;
            if !self.sequences.is_empty() && !missing.remove(&sequence) {
                return;
            }
            let letter = Letter::new(
                sequence,
                timestamp(info.published),
                &message.subject,
                &message.headers.clone().unwrap_or_default(),
                &message.payload,
            );
            if !wanted.takes(&letter) {
                return;
            }
            if selection.letters.len() < self.max {
                selection.letters.push(letter);
            } else {
                selection.more += 1;
            }
        })
        .await?;
        if let Some(sequence) = missing.first() {
            return Err(anyhow::anyhow!(
                "no dead letter {sequence} among them (`eso-relay dead list` lists them)"
            )
            .into());
        }
        Ok(selection)
    }
}

/// Takes a letter out of the stream; one that is gone already is no error.
pub(super) async fn remove(stream: &stream::Stream<()>, sequence: u64) -> anyhow::Result<()> {
    let Err(error) = stream.delete_message(sequence).await else {
        return Ok(());
    };
    match stream.get_raw_message(sequence).await {
        Err(gone) if gone.kind() == stream::RawMessageErrorKind::NoMessageFound => Ok(()),
        _ => Err(anyhow::Error::new(error).context(format!(
            "cannot remove dead letter {sequence} from {}",
            Stream::Dead.name()
        ))),
    }
}
