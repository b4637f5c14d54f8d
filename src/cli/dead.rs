//! `eso-relay dead`: what a cluster gave up on, and why.

use std::{collections::VecDeque, fmt};

use anyhow::Context as _;
use async_nats::{
    HeaderMap,
    jetstream::{Context, consumer::DeliverPolicy},
};
use eso_relay::{Slug, command::Table, stream::Stream};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Failure, Session,
    output::timestamp,
    scan::{Scan, scan},
};

/// List or show dead letters: events that a cluster gave up on
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The newest dead letters
    List {
        /// Only of this cluster
        #[arg(long)]
        cluster: Option<Slug>,
        /// How many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// One dead letter with its event
    Show {
        /// The number in the first column of `eso-relay dead list`
        sequence: u64,
    },
}

#[derive(Serialize)]
struct List {
    dead_letters: Vec<Letter>,
}

#[derive(Serialize)]
struct Letter {
    /// In the stream of dead letters.
    sequence: u64,
    time: Timestamp,
    cluster: String,
    reason: String,
    error: String,
    attempts: String,
    /// Where the message stands in the events stream, and under which subject.
    event_sequence: String,
    event_subject: String,
}

#[derive(Serialize)]
struct Show {
    #[serde(flatten)]
    letter: Letter,
    /// The event, or the message if that could not be read.
    body: serde_json::Value,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<(), Failure> {
    let jetstream = session.jetstream().await?;
    match &args.command {
        Command::List { cluster, limit } => {
            let dead_letters = list(&jetstream, cluster.as_ref(), *limit).await?;
            session.print(&List { dead_letters })?;
        }
        Command::Show { sequence } => session.print(&show(&jetstream, *sequence).await?)?,
    }
    Ok(())
}

async fn list(
    jetstream: &Context,
    cluster: Option<&Slug>,
    limit: usize,
) -> anyhow::Result<Vec<Letter>> {
    let filter = cluster.map_or_else(
        || Stream::Dead.subjects().to_owned(),
        |cluster| format!("eso-relay.dead.*.{cluster}.>"),
    );
    let wanted = Scan {
        stream: Stream::Dead,
        filter,
        start: DeliverPolicy::All,
        headers_only: true,
    };
    let mut newest = VecDeque::new();
    scan(jetstream, wanted, |message, info| {
        let headers = message.headers.clone().unwrap_or_default();
        newest.push_back(Letter::new(
            info.stream_sequence,
            timestamp(info.published),
            &headers,
        ));
        if newest.len() > limit {
            newest.pop_front();
        }
    })
    .await?;
    Ok(newest.into())
}

async fn show(jetstream: &Context, sequence: u64) -> anyhow::Result<Show> {
    let name = Stream::Dead.name();
    let stream = jetstream
        .get_stream(name)
        .await
        .with_context(|| format!("cannot look at stream {name} (`eso-relay init` declares it)"))?;
    let message = stream
        .get_raw_message(sequence)
        .await
        .with_context(|| format!("no dead letter {sequence} (`eso-relay dead list` lists them)"))?;
    let text = String::from_utf8_lossy(&message.payload);
    Ok(Show {
        letter: Letter::new(sequence, timestamp(message.time), &message.headers),
        body: serde_json::from_str(&text).unwrap_or_else(|_| text.into()),
    })
}

impl Letter {
    fn new(sequence: u64, time: Timestamp, headers: &HeaderMap) -> Self {
        let header = |name: &str| {
            let value = headers.get(name);
            value.map(ToString::to_string).unwrap_or_default()
        };
        Self {
            sequence,
            time,
            cluster: header("Eso-Relay-Cluster"),
            reason: header("Eso-Relay-Reason"),
            error: header("Eso-Relay-Error"),
            attempts: header("Eso-Relay-Attempts"),
            event_sequence: header("Eso-Relay-Sequence"),
            event_subject: header("Eso-Relay-Subject"),
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dead_letters.is_empty() {
            return writeln!(f, "no dead letters");
        }
        let mut table = Table::new(&[
            "SEQ", "TIME", "CLUSTER", "REASON", "ATTEMPTS", "SUBJECT", "ERROR",
        ]);
        for letter in &self.dead_letters {
            table.row(vec![
                letter.sequence.to_string(),
                format!("{:.0}", letter.time),
                letter.cluster.clone(),
                letter.reason.clone(),
                letter.attempts.clone(),
                letter.event_subject.clone(),
                letter.error.clone(),
            ]);
        }
        table.fmt(f)
    }
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = &self.letter;
        writeln!(
            f,
            "reason    {} after {} attempts",
            letter.reason, letter.attempts
        )?;
        writeln!(f, "error     {}", letter.error)?;
        writeln!(f, "cluster   {}, {:.0}", letter.cluster, letter.time)?;
        writeln!(
            f,
            "event     {} of {}",
            letter.event_sequence, letter.event_subject
        )?;
        writeln!(f, "{:#}", self.body)
    }
}
