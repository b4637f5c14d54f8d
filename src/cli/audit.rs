//! `eso-relay audit`: what people have done to the streams, by these commands.

use std::{collections::VecDeque, fmt};

use anyhow::Context as _;
use async_nats::jetstream::{Context, context::PublishErrorKind};
use eso_relay::{
    command::Table,
    stream::{Audit, Start, Stream},
};
use serde::Serialize;

pub(super) use eso_relay::stream::Verb;

use super::{
    Failure, Session,
    parse::{self, Since},
    scan::{Scan, scan},
};

/// List who has sent, replayed, redriven, discarded or declared what
///
/// Every command that changes something records itself, for a year. What is published to the streams without
/// eso-relay is not recorded.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only this kind: send, replay, resync, redrive, discard or init
    #[arg(long, value_name = "VERB", value_parser = verb)]
    verb: Option<Verb>,
    /// Only those since (90m, 2h, 3d, or 2026-01-31T08:00:00Z)
    #[arg(long, value_name = "T", value_parser = parse::since)]
    since: Option<Since>,
    /// How many, the newest last
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
}

fn verb(text: &str) -> Result<Verb, String> {
    parse::one_of(Verb::ALL, Verb::as_str, text)
}

#[derive(Serialize)]
struct Report {
    audit: VecDeque<Audit>,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<(), Failure> {
    let since = args.since.map(|since| since.of("--since", session.now()));
    let since = since.transpose()?;
    let jetstream = session.jetstream().await?;
    let wanted = Scan {
        stream: Stream::Audit,
        filter: Audit::subjects_of(args.verb),
        start: since.map_or(Start::Oldest, Start::At).into(),
        headers_only: false,
    };
    let mut audit = VecDeque::new();
    scan(&jetstream, wanted, |message, _| {
        // What a later version wrote otherwise is left out.
        if let Ok(entry) = serde_json::from_slice::<Audit>(&message.payload) {
            audit.push_back(entry);
            if audit.len() > args.limit {
                audit.pop_front();
            }
        }
    })
    .await?;
    Ok(session.print(&Report { audit })?)
}

impl Session {
    /// Records what a command has done. It is done already: a record that cannot be written is said, and changes nothing.
    pub(super) async fn record(
        &self,
        jetstream: &Context,
        verb: Verb,
        count: usize,
        because: Option<String>,
    ) {
        let entry = Audit {
            at: self.now(),
            verb,
            user: self.user(),
            login: login(),
            command: command(std::env::args().skip(1)),
            count,
            because,
        };
        if let Err(error) = store(jetstream, &entry).await {
            eprintln!("not recorded in {}: {error:#}", Stream::Audit.name());
        }
    }
}

async fn store(jetstream: &Context, entry: &Audit) -> anyhow::Result<()> {
    let entry_json = serde_json::to_vec(entry).context("cannot write JSON")?;
    let sent = jetstream
        .publish(entry.subject(), entry_json.into())
        .await?;
    match sent.await {
        // Streams that an earlier version has declared: there is none for this.
        Err(error) if error.kind() == PublishErrorKind::StreamNotFound => Ok(()),
        stored => Ok(stored.map(drop)?),
    }
}

/// The arguments, but for where NATS is: its URL may hold a password.
fn command(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut is_url = false;
    let mut is_shown = |argument: &String| {
        let names_it = argument == "--nats";
        let is_value = std::mem::replace(&mut is_url, names_it);
        !is_value && !names_it && !argument.starts_with("--nats=")
    };
    arguments.filter(|argument| is_shown(argument)).collect()
}

/// Who is logged in where the command runs.
fn login() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.audit.is_empty() {
            return writeln!(f, "nothing is recorded");
        }
        let mut table = Table::new(&[
            "TIME",
            "VERB",
            "COUNT",
            "NATS USER",
            "LOGIN",
            "BECAUSE",
            "COMMAND",
        ]);
        for entry in &self.audit {
            let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            table.row(vec![
                format!("{:.0}", entry.at),
                entry.verb.as_str().to_owned(),
                entry.count.to_string(),
                or_none(&entry.user),
                or_none(&entry.login),
                or_none(&entry.because),
                entry.command.join(" "),
            ]);
        }
        table.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_nats_is_not_recorded() {
        for line in [
            "send --nats nats://me:hunter2@nats --key a",
            "--nats=nats://me:hunter2@nats send --key a",
            "send --key a --nats nats://me:hunter2@nats",
        ] {
            let recorded = command(line.split(' ').map(str::to_owned));
            assert_eq!(recorded, ["send", "--key", "a"], "{line}");
        }
    }
}
