//! What `redrive` and `discard` take: letters by number, by filter, or all.

use std::collections::BTreeSet;

use async_nats::jetstream::{Context, stream};
use eso_relay::stream::Stream;

use super::{filter::Filter, letter::Letter};
use crate::cli::{
    Failure, Session,
    confirm::{confirm, must_not_ask_in_vain},
    scan::scan,
};

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
    /// Say what would be done, and stop
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// The oldest of the letters that are meant.
pub(super) struct Selection {
    pub(super) letters: Vec<Letter>,
    /// How many there are beyond `--max`.
    pub(super) more: usize,
}

impl Which {
    /// An error where it does not say which letters, or would ask in vain.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.sequences.is_empty() && !self.all && self.filter.is_empty() {
            let message = "say which: their numbers, a filter such as --reason refused, or --all";
            return Err(Failure::Usage(message.to_owned()));
        }
        must_not_ask_in_vain(self.yes, self.dry_run)
    }

    /// Whether to go on with so many letters, if there are any. An error: the answer is no.
    pub(super) fn agreed(&self, letters: usize, question: &str) -> Result<bool, Failure> {
        if self.dry_run || letters == 0 {
            return Ok(false);
        }
        if !self.yes {
            confirm(question)?;
        }
        Ok(true)
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
            if !self.sequences.is_empty() && !missing.remove(&info.stream_sequence) {
                return;
            }
            let letter = Letter::of(message, info);
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
pub(super) async fn remove<I>(stream: &stream::Stream<I>, sequence: u64) -> anyhow::Result<()> {
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
