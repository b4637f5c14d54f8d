//! `matches`: shows which objects of a cluster an event would refresh.

mod input;
mod report;
mod text;

use std::path::{Path, PathBuf};

use clap::ArgGroup;
use eso_relay::{
    Event, Slug,
    command::{ByHand, Failure, Output},
    nats,
    traceparent::TraceParent,
};
use jiff::Timestamp;
use serde::Deserialize;

use self::report::Report;
use crate::{
    config::{KesConfig, KubernetesConfig, RefreshConfig, RestartConfig, TenancyConfig},
    kubernetes::{self, Selection},
    object::ObjectRef,
};

/// Show which ExternalSecrets of a cluster an event would refresh, and why not another
///
/// Lists the cluster's objects once and changes nothing; needs no stream. The event is given by flags, as for
/// `eso-relay send`, or as a file. --scope may be combined with --key and --prefix: the secret in that place.
#[derive(clap::Args)]
#[command(
    group(ArgGroup::new("what").args(["keys", "prefix", "all", "template", "event"])),
    group(ArgGroup::new("meant").required(true).multiple(true).args(["keys", "prefix", "all", "template", "scope", "event"])),
    after_help = "\
Examples:
  eso-relay matches --provider akeyless --key /prod/db
  eso-relay matches --provider aws-sm --key db --scope region=eu-west-1 --object team-a/web
  eso-relay matches --key db --context east --in team-a
  eso-relay matches --template ConfigMap/app-config --namespace team-a
  eso-relay explain --format doppler payload.json --output json | eso-relay matches --event -"
)]
pub struct Args {
    #[command(flatten)]
    by_hand: ByHand,
    /// One event or several, as `explain` and `dead show` print them with --output json; `-` for
    /// standard input
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["scope", "provider", "restart", "stores", "namespaces", "clusters"]
    )]
    event: Option<PathBuf>,
    /// Explain why this ExternalSecret matches or not (repeat it for more)
    #[arg(long = "object", value_name = "NAMESPACE/NAME", value_parser = target)]
    objects: Vec<ObjectRef>,
    /// For people or for scripts
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

/// Each overrides the setting of --config.
#[derive(clap::Args)]
#[command(next_help_heading = "Cluster")]
struct Place {
    /// A context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// List only this namespace (repeat it for more); a Role in each is enough then
    #[arg(long = "in", value_name = "NAMESPACE")]
    within: Vec<String>,
}

/// The settings of `consumer.yaml` that affect matching.
#[derive(Deserialize)]
struct Settings {
    cluster: Option<Slug>,
    #[serde(default)]
    kubernetes: KubernetesConfig,
    #[serde(default)]
    refresh: RefreshConfig,
    #[serde(default)]
    restart: RestartConfig,
    #[serde(default)]
    kes: KesConfig,
    #[serde(default)]
    tenancy: TenancyConfig,
}

pub(super) async fn run(args: Args, config: Option<&Path>, now: Timestamp) -> Result<(), Failure> {
    let Settings {
        cluster,
        mut kubernetes,
        refresh,
        restart,
        kes,
        tenancy,
    } = eso_relay::config::load(config)?;
    let Args {
        by_hand,
        event,
        objects,
        place,
        output,
    } = args;
    let events = events(by_hand, event.as_deref(), now)?;
    place.apply(&mut kubernetes);
    nats::install_crypto();
    let client = kubernetes::client(&kubernetes).await?;
    let selection = Selection::of(&kubernetes, &refresh, &restart, &kes, &tenancy);
    let listed = kubernetes::list(&client, &kubernetes.namespaces, &selection).await?;
    let report = Report::of(&events, cluster, &objects, &kubernetes.namespaces, &listed)?;
    output.print(&report)?;
    for note in report.notes() {
        eprintln!("{note}");
    }
    Ok(())
}

fn events(by_hand: ByHand, file: Option<&Path>, now: Timestamp) -> Result<Vec<Event>, Failure> {
    if let Some(file) = file {
        return input::events(file);
    }
    let source = "manual".parse()?;
    Ok(vec![by_hand.event(source, TraceParent::random(), now)?])
}

impl Place {
    fn apply(self, config: &mut KubernetesConfig) {
        if self.context.is_some() {
            config.context = self.context;
        }
        if self.kubeconfig.is_some() {
            config.kubeconfig = self.kubeconfig;
        }
        if !self.within.is_empty() {
            config.namespaces = self.within;
        }
    }
}

/// Of ESO; with `KES/` before it, of KES.
fn target(text: &str) -> Result<ObjectRef, String> {
    let of_kes = text.strip_prefix("KES/").filter(|rest| rest.contains('/'));
    let (text, make): (_, fn(&str, &str) -> ObjectRef) = match of_kes {
        Some(rest) => (rest, ObjectRef::kes),
        None => (text, ObjectRef::new),
    };
    text.split_once('/')
        .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
        .filter(|(_, name)| !name.contains('/'))
        .map(|(namespace, name)| make(namespace, name))
        .ok_or_else(|| "write NAMESPACE/NAME, or KES/NAMESPACE/NAME".to_owned())
}

#[cfg(test)]
mod tests;
