//! What the lines are measured on: a hub, a stand-in API with objects in it, and the daemons. Object number n
//! reads key number n.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use eso_relay_lab::{
    cluster::{Fixture, Kind, external_secret, store},
    daemon::Daemon,
    fleet::{key, name},
    installation::{Hub, READY},
    standin::{StandIn, Verb},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::Webhook;

pub(crate) const NAMESPACE: &str = "default";
/// The cluster of every consumer that shares one.
pub(crate) const CLUSTER: &str = "load";
const EVENTS_PER_WEBHOOK: usize = 100;

pub(crate) struct Rig {
    pub(crate) hub: Hub,
    pub(crate) api: StandIn,
    dir: TempDir,
}

impl Rig {
    pub(crate) async fn start(fixtures: impl Iterator<Item = Fixture>) -> anyhow::Result<Self> {
        let api = StandIn::start().await?;
        api.load(fixtures);
        let hub = Hub::start().await?;
        hub.init(&[CLUSTER]).await?;
        let dir = tempfile::tempdir()?;
        Ok(Self { hub, api, dir })
    }

    pub(crate) fn kubeconfig(&self) -> anyhow::Result<PathBuf> {
        Ok(self.api.kubeconfig(self.dir.path())?)
    }

    pub(crate) async fn consumer(&self) -> anyhow::Result<Daemon> {
        self.consumer_with("").await
    }

    /// One with more YAML.
    pub(crate) async fn consumer_with(&self, more: &str) -> anyhow::Result<Daemon> {
        consumer(&self.hub, self.kubeconfig()?, more).await
    }

    pub(crate) fn patches(&self) -> u64 {
        self.api
            .requests()
            .count_of(Verb::Patch, Kind::ExternalSecret, 200)
    }
}

/// One with more YAML beside the defaults, which may not be ready yet.
pub(crate) async fn start_consumer(
    hub: &Hub,
    cluster: &str,
    kubeconfig: PathBuf,
    more: &str,
) -> anyhow::Result<Daemon> {
    let yaml = format!(
        "cluster: {cluster}\nnats: {{ url: '{}' }}\n{more}",
        hub.nats.url()
    );
    let options = Daemon::consumer().config(yaml).kubeconfig(&kubeconfig);
    options.start().await
}

pub(crate) async fn consumer(hub: &Hub, kubeconfig: PathBuf, more: &str) -> anyhow::Result<Daemon> {
    let mut consumer = start_consumer(hub, CLUSTER, kubeconfig, more).await?;
    consumer.wait_ready(READY).await?;
    Ok(consumer)
}

pub(crate) async fn stop(mut consumer: Daemon) -> anyhow::Result<()> {
    consumer.terminate()?;
    consumer.wait_exit(READY).await.map(drop)
}

/// A ready ingress with more YAML, and where it listens.
pub(crate) async fn ingress(hub: &Hub, more: &str) -> anyhow::Result<(Daemon, SocketAddr)> {
    let mut ingress = hub.ingress_with(more).start().await?;
    ingress.wait_ready(READY).await?;
    let url = ingress.url();
    let address = url.strip_prefix("http://").context("not plain HTTP")?;
    let address = address.parse()?;
    Ok((ingress, address))
}

/// The store and these objects, with as much text beside the keys as objects usually have.
pub(crate) fn objects(numbers: impl Iterator<Item = usize>) -> impl Iterator<Item = Fixture> {
    let applied = "kubectl.kubernetes.io/last-applied-configuration";
    let objects = numbers.map(move |number| {
        let object = external_secret(&name(number)).in_namespace(NAMESPACE);
        let object = object.from_store("akeyless").key(&key(number));
        object.annotated(applied, &"x".repeat(700)).into()
    });
    let store = store("akeyless").in_namespace(NAMESPACE).akeyless();
    std::iter::once(store.into()).chain(objects)
}

/// An event of a body of the source `generic`, of some 300 bytes. Ids are unique in a run when the
/// round is.
fn element(round: &str, number: usize) -> Value {
    json!({
        "id": format!("{round}-{number}"),
        "type": "secret.updated",
        "secret": { "name": key(number), "version": 7, "description": "credentials of the database" },
        "actor": { "kind": "service", "name": "deployment pipeline of the team" },
        "account": { "region": "eu-central-1", "environment": "production" },
    })
}

/// A webhook with one event.
pub(crate) fn webhook(round: &str, number: usize) -> Webhook {
    Webhook::signed(&element(round, number).to_string())
}

/// Webhooks of many events, one for each object.
pub(crate) fn webhooks(round: &str, objects: usize) -> Arc<[Webhook]> {
    let numbers: Vec<usize> = (0..objects).collect();
    let webhook = |numbers: &[usize]| {
        let elements = numbers.iter().map(|number| element(round, *number));
        Webhook::signed(&elements.collect::<Value>().to_string())
    };
    numbers.chunks(EVENTS_PER_WEBHOOK).map(webhook).collect()
}

/// Resident memory of a daemon in MiB: `VmRSS:` now, `VmHWM:` the most that it ever had.
pub(crate) fn resident(daemon: &Daemon, field: &str) -> anyhow::Result<f64> {
    Ok(status(&daemon.id().to_string(), field)? / 1024.0)
}

/// A line of `/proc/PID/status`, in KiB.
pub(crate) fn status(process: &str, field: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).context("memory is measured on Linux only")?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let value = value.and_then(|value| value.trim().strip_suffix(" kB"));
    Ok(value
        .with_context(|| format!("no {field} in {path}"))?
        .trim()
        .parse()?)
}

/// User and system time that a process has taken so far.
pub(crate) fn cpu_time(process: u32) -> anyhow::Result<Duration> {
    /// The unit of times in `/proc`, on all architectures that the ingress is built for.
    const TICK: Duration = Duration::from_millis(10);
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).context("CPU time is measured on Linux only")?;
    // The name of the program stands in parentheses and may hold spaces; the times are fields 14 and 15.
    let after_name = stat.rsplit_once(')').context("no name of the program")?.1;
    let times = after_name.split_whitespace().skip(11).take(2);
    let ticks = times.map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(ticks * TICK)
}

/// Runs this program again, as one of its children, and reads the one number that it prints.
pub(crate) async fn figure(arguments: &[&str]) -> anyhow::Result<f64> {
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.status);
    let printed = String::from_utf8(output.stdout)?;
    let figure = printed.trim().parse();
    figure.with_context(|| format!("{arguments:?} printed {printed:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time() {
        let before = cpu_time(std::process::id()).unwrap();
        while cpu_time(std::process::id()).unwrap() == before {
            std::hint::black_box((0..10_000).sum::<u64>());
        }
    }
}
