//! `cargo load`: speed, as ratios to the floor of the same machine in the same run.

mod backlog;
mod batch;
mod burst;
mod child;
mod connections;
mod cryptography;
mod decode;
mod events;
mod first_sync;
mod floor;
mod flow;
mod formats;
mod http;
mod ingress;
mod keys;
mod lanes;
mod latency;
mod matching;
mod memory;
mod refused;
mod relist;
mod report;
mod rounds;
mod schemes;
mod scope;
mod senders;
mod steps;
mod update;

use clap::{Parser, ValueEnum};
use serde::Serialize;

use self::{child::Child, report::Report};

/// As in the daemons: the floors have what they have.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures eso-relay beside the floor of this machine: what the same work costs without it.
///
/// A goal that is missed is shown and is no error: the exit code is 0 unless something did not work.
/// How to read the table: docs/performance.md.
#[derive(Parser)]
struct Arguments {
    /// Small numbers, in some five minutes: to see that all of it works.
    #[arg(long)]
    quick: bool,
    /// Only these lines; may be given more than once.
    #[arg(long, value_name = "LINE")]
    only: Vec<Line>,
    /// Where the burst is measured. Without this: on the stand-in, and on the real API too where it
    /// is in the cache already.
    #[arg(long, value_name = "API")]
    kubernetes: Option<Kubernetes>,
    #[arg(long, default_value = "table")]
    output: Output,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// Requests per second and CPU per request beside a handler that only stores, and a bare one.
    Ingress,
    /// The same for each scheme that a sender can be stood in for.
    Schemes,
    /// The same for the sample of each format.
    Formats,
    /// Events per second in large requests beside a raw publisher.
    Batch,
    /// The largest request of Event Grid beside the mere parse of its JSON.
    Decode,
    /// What a signature by a private key costs beside the bare operation.
    Cryptography,
    /// From the webhook to the patch beside its parts, measured alone.
    Latency,
    /// Draining a backlog beside a raw pull and ack.
    Backlog,
    /// Events of ten objects and a refused one beside those of ten objects.
    Refused,
    /// Patches per second beside a raw loop of patches.
    Burst,
    /// Secrets that the real ESO brings up to date, refreshed in two steps beside one. Without `--only
    /// steps` only where it is in the cache already; building it takes some five minutes.
    Steps,
    /// Finding one among 100,000 ExternalSecrets beside one among 1,000.
    Matching,
    /// Taking one change of the cluster into an index of 100,000.
    Update,
    /// A refresh of 5,000 among 100,000 beside all of them patched at once.
    Scope,
    /// Mass work beside all of it patched at once, and an exact refresh amid it.
    Lanes,
    /// A consumer that comes to know 100,000 ExternalSecrets beside a raw list of them.
    FirstSync,
    /// The memory of a consumer that must list 100,000 ExternalSecrets anew.
    Relist,
    /// What an ExternalSecret and the daemons take.
    Memory,
    /// What an ingress takes that holds 10,000 idle connections.
    Connections,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kubernetes {
    StandIn,
    /// Built first if it is not in the cache: up to ten minutes.
    Real,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// How much to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Full,
    Quick,
}

impl Scale {
    fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(child) = arguments.child {
        return child.run().await;
    }
    let scale = if arguments.quick {
        Scale::Quick
    } else {
        Scale::Full
    };
    let mut report = Report::default();
    for line in Line::value_variants() {
        if arguments.only.is_empty() || arguments.only.contains(line) {
            let measures = match line {
                Line::Ingress => ingress::measure(scale).await,
                Line::Schemes => schemes::measure(scale).await,
                Line::Formats => formats::measure(scale).await,
                Line::Batch => batch::measure(scale).await,
                Line::Decode => decode::measure(scale).await,
                Line::Cryptography => cryptography::measure(scale).await,
                Line::Latency => latency::measure(scale).await,
                Line::Backlog => backlog::measure(scale).await,
                Line::Refused => refused::measure(scale).await,
                Line::Burst => burst::measure(scale, arguments.kubernetes).await,
                Line::Steps => steps::measure(scale, arguments.only.contains(&Line::Steps)).await,
                Line::Matching => matching::measure(scale),
                Line::Update => update::measure(scale),
                Line::Scope => scope::measure(scale).await,
                Line::Lanes => lanes::measure(scale).await,
                Line::FirstSync => first_sync::measure(scale).await,
                Line::Relist => relist::measure(scale).await,
                Line::Memory => memory::measure(scale).await,
                Line::Connections => connections::measure(scale).await,
            };
            report.add(*line, measures?);
        }
    }
    report.print(arguments.output)
}

/// Says on stderr what is being done.
fn progress(what: &str) {
    eprintln!("load: {what}");
}
