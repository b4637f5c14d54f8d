//! `eso-relay send`: an event by hand, into the stream or through an ingress.

mod post;

use std::fmt;

use clap::ArgGroup;
use eso_relay::{
    Event, Slug,
    event::{
        Fingerprint, Keys, Kind, Match, Operation, Origin, Pattern, StoreKind, StorePattern, Target,
    },
    trace::TraceParent,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{Failure, Session, publish::publish};

/// Publish an event by hand, or POST a payload to an ingress
///
/// Without --to the event goes straight into the stream, and every consumer that it reaches
/// refreshes what it means. With --to it takes the way of a webhook. --sample tries a source of the
/// ingress: the sample that its sender documents, signed with the source's own secret.
#[derive(clap::Args)]
#[command(
    group(ArgGroup::new("what").required(true).args(["keys", "prefix", "scope", "all", "data", "sample"])),
    after_help = "\
Examples:
  eso-relay send --provider akeyless --key /prod/db
  eso-relay send --key db --namespace 'team-*' --cluster east
  eso-relay send --provider vault --scope mount=secret --scope namespace=team-a
  eso-relay send --all --store 'ClusterSecretStore/vault*'
  eso-relay send --to http://localhost:8080/v1/hooks/akeyless-prod --basic eso:./password --data event.json
  echo '{\"key\":\"db\"}' | eso-relay send --to https://relay.example/v1/hooks/ci --data - \\
      --hmac-secret-file ./secret --hmac-header X-Signature --hmac-prefix sha256=
  eso-relay send --sample --source ci --config ingress.yaml --to https://relay.example"
)]
pub(super) struct Args {
    /// One secret, by its name at the provider; repeat it for aliases of the same secret
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Every secret below this path
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Everything in this place, such as project=backend or mount=secret; repeat it for more attributes
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute)]
    scope: Vec<(String, String)>,
    /// Everything that --store, --namespace and --cluster allow
    #[arg(long)]
    all: bool,
    /// Whose keys these are; `generic` compares them whatever provider a store has
    #[arg(
        long,
        value_name = "PROVIDER",
        default_value = "generic",
        conflicts_with = "to"
    )]
    provider: Slug,
    /// The name under which the event is published; with --sample the source to try
    #[arg(
        long,
        value_name = "SOURCE",
        default_value = "manual",
        conflicts_with = "data"
    )]
    source: Slug,
    /// Only these stores, as KIND/NAME or NAME; `*` stands for any characters
    #[arg(long = "store", value_name = "[KIND/]NAME", value_parser = store, conflicts_with = "to")]
    stores: Vec<StorePattern>,
    /// Only these namespaces; `*` stands for any characters
    #[arg(long = "namespace", short, value_name = "NAME", conflicts_with = "to")]
    namespaces: Vec<String>,
    /// Only these clusters; `*` stands for any characters
    #[arg(long = "cluster", value_name = "NAME", conflicts_with = "to")]
    clusters: Vec<String>,
    #[command(flatten)]
    post: post::Post,
}

#[derive(Serialize)]
struct Report {
    id: String,
    sequence: u64,
    /// The value of the annotation on what was refreshed.
    annotation: Annotation,
    trace_id: String,
}

/// As text in JSON too.
struct Annotation(Fingerprint);

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    if args.post.is_sample() {
        return Err(args.post.sample(session, &args.source));
    }
    if args.post.is_wanted() {
        return post::run(session, &args.post).await;
    }
    let trace = TraceParent::random();
    let event = args.event(trace, session.now())?;
    let sequence = publish(&session.jetstream().await?, &event).await?;
    Ok(session.print(&Report {
        annotation: Annotation(event.fingerprint()),
        id: event.id,
        sequence,
        trace_id: trace.trace_id(),
    })?)
}

impl Args {
    fn event(self, trace: TraceParent, now: Timestamp) -> Result<Event, Failure> {
        let usage = |error| Failure::Usage(format!("--key or --prefix: {error}"));
        let matches = match (self.prefix, self.all) {
            (_, true) => Match::All,
            // A prefix obeys the rules of a key.
            (Some(path), _) => Keys::one(path.clone())
                .map(|_| Match::Prefix(path))
                .map_err(usage)?,
            (None, _) if !self.scope.is_empty() => Match::Scope,
            (None, _) => Match::Exact(Keys::new(self.keys).map_err(usage)?),
        };
        let patterns = |names: Vec<String>| names.into_iter().map(Pattern::new).collect();
        let target = Target {
            stores: self.stores,
            namespaces: patterns(self.namespaces),
            clusters: patterns(self.clusters),
        };
        Ok(Event {
            // As unique as the trace, and so found in the logs by the same text.
            id: trace.trace_id(),
            source: self.source,
            kind: Kind::RefreshRequested,
            time: Some(now),
            traceparent: Some(trace),
            provider: self.provider,
            operation: Operation::Unknown,
            matches,
            version: None,
            scope: self.scope.into_iter().collect(),
            target: (target != Target::default()).then_some(target),
            settle: None,
            received_at: now,
            origin: Origin::default(),
        })
    }
}

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE, such as project=backend".to_owned()),
    }
}

fn store(text: &str) -> Result<StorePattern, String> {
    let (kind, name) = match text.split_once('/') {
        None => (None, text),
        Some(("SecretStore", name)) => (Some(StoreKind::SecretStore), name),
        Some(("ClusterSecretStore", name)) => (Some(StoreKind::ClusterSecretStore), name),
        Some(_) => return Err("the kind is SecretStore or ClusterSecretStore".to_owned()),
    };
    if name.is_empty() {
        return Err("write [KIND/]NAME, such as ClusterSecretStore/vault".to_owned());
    }
    let name = Pattern::new(name);
    Ok(StorePattern { kind, name })
}

impl Serialize for Annotation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "event       {}", self.id)?;
        writeln!(f, "sequence    {}", self.sequence)?;
        writeln!(f, "annotation  eso-relay.dev/refresh={}", self.annotation.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_attributes_with_their_values() {
        assert_eq!(
            attribute("path=/a=b"),
            Ok(("path".to_owned(), "/a=b".to_owned()))
        );
        for wrong in ["project", "=backend", "project=", ""] {
            assert!(attribute(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_store_is_a_name_or_a_kind_and_a_name() {
        let both = store("vault*").unwrap();
        assert_eq!((both.kind, both.name), (None, Pattern::new("vault*")));
        let one = store("ClusterSecretStore/vault").unwrap();
        assert_eq!(one.kind, Some(StoreKind::ClusterSecretStore));
        for wrong in ["Store/vault", "", "SecretStore/", "/vault"] {
            assert!(store(wrong).is_err(), "{wrong} was taken");
        }
    }
}
