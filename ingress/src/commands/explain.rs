//! `explain`: the events that a captured payload would become.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

use clap::ArgGroup;
use eso_relay::{
    Event, Slug,
    command::{self, Failure, Table},
    event::{Match, encode_batch},
    traceparent::TraceParent,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Answer;
use crate::{
    FormatName, SourceConfig,
    error::Error,
    source::{Content, Delivery, Handshake, Irrelevant, Source},
    verify::{Request, Scheme},
};

/// Show which events a captured payload would become, and why the rest is none
///
/// Nothing is sent, and nothing is authenticated: signatures and secret files are not looked at.
#[derive(clap::Args)]
#[command(
    group(ArgGroup::new("how").required(true).args(["format", "source"])),
    after_help = "\
Examples:
  eso-relay explain --format akeyless event.json
  eso-relay explain --config ingress.yaml --source ci event.json --output json
  eso-relay explain --format pulumi-esc --header 'Pulumi-Webhook-Kind: environment_revision' -"
)]
pub struct Args {
    /// The payload: a file, or `-` for standard input
    #[arg(value_name = "FILE")]
    payload: PathBuf,
    /// Read it in this format, without further settings
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    format: Option<FormatName>,
    /// Read it as this source of --config does
    #[arg(long, value_name = "NAME")]
    source: Option<Slug>,
    /// A header of the request (repeat it for more), where the format reads headers
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = command::header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    #[command(flatten)]
    answer: Answer,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Always false: nothing is authenticated here.
    authenticated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<&'static str>,
    /// As they would be stored in the stream.
    events: Value,
    ignored: Vec<Ignored>,
    #[serde(skip)]
    rows: Vec<(usize, Event)>,
}

#[derive(Debug, Serialize)]
struct Ignored {
    element: usize,
    reason: &'static str,
    why: Cow<'static, str>,
}

pub(super) async fn run(args: &Args, config: Option<&Path>, now: Timestamp) -> Result<(), Failure> {
    let report = report(args, config, now).await?;
    Ok(args.answer.output.print(&report)?)
}

pub(super) async fn report(
    args: &Args,
    config: Option<&Path>,
    now: Timestamp,
) -> Result<Report, Failure> {
    let source = match (&args.source, args.format) {
        (Some(name), _) => super::source(config, name)?.0.open_with(Scheme::None)?,
        (None, Some(format)) => plain(format)?,
        (None, None) => return Err(Failure::Usage("--format or --source".to_owned())),
    };
    let body = command::read(&args.payload)?;
    let headers = args.headers.iter().cloned().collect();
    let content = decode(&source, &headers, body, now).await?;
    Ok(Report::of(content)?)
}

/// A source with nothing but a format.
fn plain(format: FormatName) -> Result<Source, Failure> {
    let config = json!({ "name": "explained", "format": format, "auth": "none" });
    let config: SourceConfig = serde_json::from_value(config)?;
    config.open_with(Scheme::None).map_err(|problem| {
        Failure::Usage(format!(
            "{problem}\n       or give the whole source: --config FILE --source NAME"
        ))
    })
}

async fn decode(
    source: &Source,
    headers: &HeaderMap,
    body: Vec<u8>,
    now: Timestamp,
) -> Result<Content, Failure> {
    let request = Request {
        headers,
        query: None,
        now,
        certificate: None,
    };
    let verified = Scheme::None
        .admit(&request)
        .await?
        .verify(body.into())
        .await?;
    let delivery = Delivery {
        headers,
        received_at: now,
        traceparent: TraceParent::random(),
        tracestate: None,
    };
    source.decode(&verified, &delivery).map_err(|problem| {
        let error = Error::from(problem);
        let (status, code) = if source.fail_open {
            (StatusCode::NO_CONTENT, "fail_open")
        } else {
            (error.status(), error.code())
        };
        anyhow::anyhow!("{error} (the answer would be {} `{code}`)", status.as_u16()).into()
    })
}

impl Report {
    fn of(content: Content) -> anyhow::Result<Self> {
        let (events, left_out, handshake) = match content {
            Content::Events {
                events,
                ignored,
                malformed,
            } => (events, left_out(ignored, malformed), None),
            Content::Handshake(handshake) => (Vec::new(), Vec::new(), Some(named(&handshake))),
        };
        let batch = serde_json::from_slice(&encode_batch(&events))?;
        let is_event = |element: &usize| left_out.iter().all(|other| other.element != *element);
        let rows = (0..).filter(is_event).zip(events).collect();
        Ok(Self {
            authenticated: false,
            handshake,
            events: batch,
            ignored: left_out,
            rows,
        })
    }
}

/// The elements that are no events, in the order of the body.
fn left_out(ignored: Vec<(usize, Irrelevant)>, malformed: Vec<(usize, String)>) -> Vec<Ignored> {
    let left_out = |element, reason: Irrelevant, why| Ignored {
        element,
        reason: reason.reason(),
        why,
    };
    let ignored = ignored
        .into_iter()
        .map(|(element, reason)| left_out(element, reason, why(reason).into()));
    let malformed = malformed
        .into_iter()
        .map(|(element, what)| left_out(element, Irrelevant::Malformed, what.into()));
    let mut all: Vec<Ignored> = ignored.chain(malformed).collect();
    all.sort_by_key(|ignored| ignored.element);
    all
}

/// Without its code or URL, which has to stay secret.
fn named(handshake: &Handshake) -> &'static str {
    match handshake {
        Handshake::Validation { .. } => "validation",
        Handshake::Confirmation { .. } => "confirmation",
        Handshake::Unwanted { .. } => "confirmation that `confirm` does not allow",
        Handshake::Unsubscribed => "farewell",
    }
}

fn why(reason: Irrelevant) -> &'static str {
    match reason {
        Irrelevant::Empty => "the body has no element",
        Irrelevant::Type => {
            "events of this type change no value, or are not listed in `mapping.types`"
        }
        Irrelevant::Failed => "the operation failed",
        Irrelevant::Read => "it is a read or a list",
        Irrelevant::Version => "it is about a version that ESO does not read by default",
        Irrelevant::Test => "it is a test event",
        Irrelevant::Undecodable => "it cannot be read, and the source has `fail_open`",
        Irrelevant::TooOld => "it is older than the source's `max_age`",
        Irrelevant::Malformed => "it cannot be read",
    }
}

/// The keys and the scope of an event, for people.
fn means(event: &Event) -> (String, String) {
    let what = match &event.matches {
        Match::Exact(_) => event.matches.keys().join(" = "),
        Match::Prefix(path) => format!("{path}*"),
        Match::Scope => "all of the scope".to_owned(),
        Match::All => "everything".to_owned(),
    };
    let scope: Vec<String> = event
        .scope
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let scope = if scope.is_empty() {
        "-".to_owned()
    } else {
        scope.join(" ")
    };
    (what, scope)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(handshake) = self.handshake {
            writeln!(
                f,
                "A handshake ({handshake}): the ingress answers it, and publishes nothing."
            )?;
        }
        if !self.rows.is_empty() {
            let mut table = Table::new(&["ELEMENT", "EVENT", "PROVIDER", "KEYS", "SCOPE", "ID"]);
            for ((element, event), batch) in self
                .rows
                .iter()
                .zip(self.events.as_array().into_iter().flatten())
            {
                let (what, scope) = means(event);
                let kind = batch["type"].as_str().unwrap_or_default();
                table.row(vec![
                    element.to_string(),
                    kind.to_owned(),
                    event.provider.to_string(),
                    what,
                    scope,
                    event.id.clone(),
                ]);
            }
            writeln!(f, "{table}")?;
        }
        if !self.ignored.is_empty() {
            let mut table = Table::new(&["ELEMENT", "IGNORED", "BECAUSE"]);
            for ignored in &self.ignored {
                table.row(vec![
                    ignored.element.to_string(),
                    ignored.reason.to_owned(),
                    ignored.why.to_string(),
                ]);
            }
            writeln!(f, "{table}")?;
        }
        writeln!(f, "Nothing was authenticated, and nothing was sent.")
    }
}
