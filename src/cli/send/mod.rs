//! `eso-relay send`: an event by hand, into the stream or through an ingress.

mod post;

use clap::ArgGroup;
use eso_relay::{Slug, command::ByHand, traceparent::TraceParent};

use super::{
    Failure, Session,
    audit::Verb,
    clusters,
    publish::{Published, publish},
};

/// Publish an event by hand, or POST a payload to an ingress
///
/// Without --to the event goes straight into the stream, and the consumers refresh the objects that
/// it matches. With --to the payload goes to an ingress, as a webhook does. --sample tries a source
/// of the ingress: it sends the sample that the sender documents, signed with the source's own secret.
#[derive(clap::Args)]
#[command(
    group(ArgGroup::new("what").required(true).args(["keys", "prefix", "scope", "all", "template", "data", "sample"])),
    after_help = "\
Examples:
  eso-relay send --provider akeyless --key /prod/db
  eso-relay send --key db --namespace 'team-*' --cluster east
  eso-relay send --provider vault --scope mount=secret --scope namespace=team-a
  eso-relay send --all --store 'ClusterSecretStore/vault*'
  eso-relay send --template ConfigMap/app-config --namespace team-a
  eso-relay send --to http://localhost:8080/v1/hooks/akeyless-prod --basic eso:./password --data event.json
  echo '{\"key\":\"db\"}' | eso-relay send --to https://relay.example/v1/hooks/ci --data - \\
      --hmac-secret-file ./secret --hmac-header X-Signature --hmac-prefix sha256=
  eso-relay send --sample --source ci --config ingress.yaml --to https://relay.example"
)]
pub(super) struct Args {
    #[command(flatten)]
    by_hand: ByHand,
    /// The name under which the event is published; with --sample the source to try
    #[arg(
        long,
        value_name = "SOURCE",
        default_value = "manual",
        conflicts_with = "data"
    )]
    source: Slug,
    #[command(flatten)]
    post: post::Post,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    if args.post.is_sample() {
        return Err(args.post.sample(session, &args.source));
    }
    if args.post.is_wanted() {
        return post::run(session, &args.post).await;
    }
    let trace = TraceParent::random();
    let names = args.by_hand.clusters().to_vec();
    let event = args.by_hand.event(args.source, trace, session.now())?;
    let jetstream = session.jetstream().await?;
    clusters::must_exist(&jetstream, &names).await?;
    let sequence = publish(&jetstream, &event).await?;
    session.record(&jetstream, Verb::Send, 1, None).await;
    Ok(session.print(&Published::new(event, sequence))?)
}
