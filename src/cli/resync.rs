//! `eso-relay resync`: refresh everything, in some clusters.

use eso_relay::{
    Event, Slug, command,
    event::{Pattern, Reach, StorePattern},
    traceparent::TraceParent,
};

use super::{
    Failure, Session,
    audit::Verb,
    clusters,
    publish::{Published, publish},
};

/// Refresh every ExternalSecret of a cluster once
///
/// A consumer does this by itself when events were removed before its cluster had seen them. By hand
/// it is for the time after a restore of the cluster, or of a store. It goes at ESO's pace; urgent
/// refreshes overtake it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  eso-relay resync --cluster east
  eso-relay resync --cluster east --store 'ClusterSecretStore/vault*' --namespace 'team-*'
  eso-relay trace EVENT --wait             how far it is, with the event that resync prints")]
pub(super) struct Args {
    /// In this cluster; repeat it for more
    #[arg(long = "cluster", value_name = "NAME", required = true)]
    clusters: Vec<Slug>,
    /// Only what reads through these stores; `*` stands for any characters
    #[arg(long = "store", value_name = "[KIND/]NAME", value_parser = command::store)]
    stores: Vec<StorePattern>,
    /// Only in these namespaces; `*` stands for any characters
    #[arg(long = "namespace", short, value_name = "NAME")]
    namespaces: Vec<String>,
    /// The name under which the event is published
    #[arg(long, value_name = "SOURCE", default_value = "resync")]
    source: Slug,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let trace = TraceParent::random();
    let names: Vec<_> = args.clusters.iter().map(Slug::to_string).collect();
    let target = Reach {
        stores: args.stores,
        namespaces: args.namespaces.into_iter().map(Pattern::new).collect(),
        clusters: names.iter().map(Pattern::new).collect(),
    };
    let event = Event {
        traceparent: Some(trace),
        ..Event::refresh_everything(args.source, trace.trace_id(), target, session.now())
    };
    let jetstream = session.jetstream().await?;
    clusters::must_exist(&jetstream, &names).await?;
    let sequence = publish(&jetstream, &event).await?;
    session.record(&jetstream, Verb::Resync, 1, None).await;
    Ok(session.print(&Published::new(event, sequence))?)
}
