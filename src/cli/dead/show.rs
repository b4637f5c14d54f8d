//! `eso-relay dead show`

use std::fmt;

use anyhow::Context as _;
use eso_relay::stream::Stream;
use serde::Serialize;

use super::{letter::Letter, superseded};
use crate::cli::{Failure, Session, output::timestamp};

/// A batch may hold thousands of events.
const MAX_RECEIPTS: usize = 3;

/// One dead letter with its event, and the commands that say more of it
#[derive(clap::Args)]
pub(super) struct Args {
    /// The number in the first column of `eso-relay dead list`
    sequence: u64,
}

#[derive(Serialize)]
struct Show {
    #[serde(flatten)]
    letter: Letter,
    trace_id: Option<String>,
    /// The event, or the message if that could not be read.
    body: serde_json::Value,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<(), Failure> {
    let sequence = args.sequence;
    let jetstream = session.jetstream().await?;
    let name = Stream::Dead.name();
    let stream = jetstream
        .get_stream(name)
        .await
        .with_context(|| format!("cannot look at stream {name} (`eso-relay init` declares it)"))?;
    let message = stream
        .get_raw_message(sequence)
        .await
        .with_context(|| format!("no dead letter {sequence} (`eso-relay dead list` lists them)"))?;
    let mut letter = Letter::new(
        sequence,
        timestamp(message.time),
        &message.subject,
        &message.headers,
        &message.payload,
    );
    superseded::look(&jetstream, std::slice::from_mut(&mut letter)).await?;
    let text = String::from_utf8_lossy(&message.payload);
    let trace = letter.events.iter().flatten().find_map(|it| it.traceparent);
    Ok(session.print(&Show {
        letter,
        trace_id: trace.map(|trace| trace.trace_id()),
        body: serde_json::from_str(&text).unwrap_or_else(|_| text.into()),
    })?)
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = &self.letter;
        let (reason, attempts) = (&letter.reason, &letter.attempts);
        writeln!(f, "reason      {reason} after {attempts} attempts")?;
        writeln!(f, "error       {}", letter.error)?;
        writeln!(f, "cluster     {}, {:.0}", letter.cluster, letter.time)?;
        let (sequence, subject) = (&letter.event_sequence, &letter.event_subject);
        writeln!(f, "event       {sequence} of {subject}")?;
        if let Some(trace) = &self.trace_id {
            writeln!(f, "trace       {trace}")?;
        }
        match (&letter.superseded_by, &letter.events) {
            (Some(newer), _) => writeln!(f, "superseded  by {newer}, which has refreshed the same"),
            (None, Some(_)) => {
                writeln!(f, "redrive     eso-relay dead redrive {}", letter.sequence)
            }
            (None, None) => writeln!(f, "redrive     not by this version, which cannot read it"),
        }?;
        if let Some(events) = &letter.events {
            for event in events.iter().take(MAX_RECEIPTS) {
                writeln!(f, "receipt     eso-relay trace {}", event.fingerprint())?;
            }
            let sequence = letter.sequence;
            writeln!(
                f,
                "matches     eso-relay dead show {sequence} --output json | eso-relay matches --event -"
            )?;
        }
        writeln!(f, "{:#}", self.body)
    }
}
