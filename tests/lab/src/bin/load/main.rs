//! `cargo load`: speed, as ratios to the floor of the same machine in the same run.

mod backlog;
mod burst;
mod first_sync;
mod floor;
mod http;
mod ingress;
mod lanes;
mod latency;
mod memory;
mod polls;
mod report;
mod rig;
mod steps;

use std::{io::Write as _, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use eso_relay::command::Output;
use eso_relay_lab::installation::KubernetesKind;
use serde::Serialize;

use self::report::Report;

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
    /// Small numbers, in some three minutes: to see that all of it works.
    #[arg(long)]
    quick: bool,
    /// Only these lines; may be given more than once.
    #[arg(long, value_name = "LINE")]
    only: Vec<Line>,
    /// Where the burst is measured. Without this: on the stand-in, and on the real API too where it
    /// is in the cache already.
    #[arg(long, value_name = "API")]
    kubernetes: Option<KubernetesKind>,
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// Requests per second and CPU per request beside a handler that only stores, and a bare one.
    Ingress,
    /// From the webhook to the patch beside its parts, measured alone.
    Latency,
    /// Draining a backlog beside a raw pull and ack, and one with a refused object in each event.
    Backlog,
    /// Patches per second beside a raw loop of patches.
    Burst,
    /// Mass work beside all of it patched at once, and an exact refresh amid it.
    Lanes,
    /// A consumer that lists 100,000 ExternalSecrets, and workloads, beside a raw list of them, and lists them once more.
    FirstSync,
    /// What an ExternalSecret, a workload, the daemons, and 10,000 idle connections take.
    Memory,
    /// A pass of a poller over 10,000 secrets of a real OpenBao beside a bare loop that reads their metadata.
    Polls,
    /// A refresh in two steps beside one, on the real operator: only with `ESO_RELAY_ESO=real`.
    Steps,
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

/// What must be measured in a process of its own: this program, started again. All but the handlers print
/// one figure.
#[derive(Subcommand)]
#[command(hide = true)]
enum Child {
    /// An axum server whose one handler reads the body and answers 202.
    BareHandler { port: u16 },
    /// An axum server whose one handler checks an HMAC, stores the body in JetStream and answers 202.
    DurableHandler { port: u16, nats: String },
    /// Patches objects over so many connections: how many per second.
    PatchLoop {
        kubeconfig: PathBuf,
        round: String,
        objects: usize,
    },
    /// Lists so many objects in pages, which it reads or not: how many milliseconds that took.
    RawList {
        kubeconfig: PathBuf,
        objects: usize,
        how: String,
    },
    /// Reads the metadata of so many secrets: how many milliseconds that took, or microseconds of CPU each.
    MetadataLoop {
        url: String,
        token: String,
        secrets: usize,
        how: String,
    },
    /// How many bytes an ExternalSecret takes in an index of so many, or a workload where so many follow them.
    IndexMemory { objects: usize, workloads: usize },
}

impl Child {
    async fn run(self) -> anyhow::Result<()> {
        let figure = match self {
            Self::BareHandler { port } => return floor::bare_handler(port).await,
            Self::DurableHandler { port, nats } => {
                return floor::durable_handler(port, &nats).await;
            }
            Self::PatchLoop {
                kubeconfig,
                round,
                objects,
            } => burst::patch_loop(&kubeconfig, &round, objects).await?,
            Self::RawList {
                kubeconfig,
                objects,
                how,
            } => first_sync::raw_list(&kubeconfig, objects, &how).await?,
            Self::MetadataLoop {
                url,
                token,
                secrets,
                how,
            } => polls::metadata_loop(&url, &token, secrets, &how).await?,
            Self::IndexMemory { objects, workloads } => memory::indexed(objects, workloads)?,
        };
        writeln!(std::io::stdout(), "{figure}")?;
        Ok(())
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
                Line::Latency => latency::measure(scale).await,
                Line::Backlog => backlog::measure(scale).await,
                Line::Burst => burst::measure(scale, arguments.kubernetes).await,
                Line::Lanes => lanes::measure(scale).await,
                Line::FirstSync => first_sync::measure(scale).await,
                Line::Memory => memory::measure(scale).await,
                Line::Polls => polls::measure(scale).await,
                Line::Steps => steps::measure(scale).await,
            };
            report.add(*line, measures?);
        }
    }
    arguments.output.print(&report)
}

/// Says on stderr what is being done.
fn progress(what: &str) {
    eprintln!("load: {what}");
}
