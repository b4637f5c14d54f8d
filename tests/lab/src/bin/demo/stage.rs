//! All that runs: NATS, the ingress, and two clusters.

use std::{fmt::Display, time::Duration};

use anyhow::{Context as _, ensure};
use eso_relay_lab::{
    daemon::{Binary, Daemon},
    installation::{
        Answer, BASIC_PASSWORD, BASIC_USER, HMAC_SECRET, Hub, KubernetesKind, READY, Webhooks,
    },
    nats_server, wait,
};
use serde_json::Value;

use super::site::{DATA, NAMESPACE, Site};

/// How long an effect may take before it counts as missing.
pub(crate) const EFFECT: Duration = Duration::from_secs(30);

/// All that runs. Dropping it ends all processes.
pub(crate) struct Stage {
    ingress: Daemon,
    pub(crate) webhooks: Webhooks,
    pub(crate) east: Site,
    pub(crate) west: Site,
    // Last, so that it outlives those that use it.
    hub: Hub,
}

impl Stage {
    /// Starts everything and waits until every ExternalSecret has its first value.
    pub(crate) async fn start(kubernetes: KubernetesKind) -> anyhow::Result<Self> {
        tell!("\nThe stage");
        eprintln!("  … building the daemons");
        Binary::Cli.path().await?;
        nats_server::obtain().await?;
        let hub = Hub::start().await?;
        hub.init(&["east", "west"]).await?;
        say!("NATS      {}, streams by `eso-relay init`", hub.url());
        let east = Site::start("east", kubernetes, &hub).await?;
        let west = Site::start("west", kubernetes, &hub).await?;
        let mut ingress = hub.ingress().start().await?;
        ingress.wait_ready(READY).await?;
        say!("ingress   {}", ingress.url());
        Ok(Self {
            webhooks: Webhooks::to(&ingress.url()),
            ingress,
            east,
            west,
            hub,
        })
    }

    pub(crate) fn sites(&self) -> [&Site; 2] {
        [&self.east, &self.west]
    }

    /// Gives the secret a value that no store has held before, in every cluster's store.
    pub(crate) fn rotate(&self, key: &str) -> String {
        let value = format!("value-{:016x}", fastrand::u64(..));
        for site in self.sites() {
            site.cluster.values.set(key, &value);
        }
        value
    }

    /// Tells the ingress of it, as a store does.
    pub(crate) async fn updated(&self, key: &str) -> anyhow::Result<()> {
        accepted(&self.webhooks.updated(&[key]).await?)
    }

    /// Runs a command that must succeed, and shows what it prints.
    pub(crate) async fn cli(&self, args: &[&str]) -> anyhow::Result<()> {
        let output = self.hub.cli(args).await?;
        let command = format!("$ eso-relay {}", args.join(" "));
        say!("{command}");
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            say!("{line}");
        }
        ensure!(output.code == 0, "{command}: exit code {}", output.code);
        Ok(())
    }

    /// How many messages wait for a cluster, how many are delivered and not acked, and how many it missed.
    pub(crate) async fn durable(&self, cluster: &str) -> anyhow::Result<[u64; 3]> {
        let output = self.hub.cli(&["status", "--output", "json"]).await?;
        let status: Value = serde_json::from_str(&output.stdout).context(output.stderr)?;
        let clusters = status["clusters"].as_array().context("no clusters")?;
        let found = clusters.iter().find(|it| it["cluster"] == cluster);
        let found = found.with_context(|| format!("no {cluster} in {status}"))?;
        let count = |field: &str| found[field].as_u64().context(field.to_owned());
        Ok([count("backlog")?, count("in_flight")?, count("missed")?])
    }

    pub(crate) async fn drained(&self, cluster: &str) -> anyhow::Result<()> {
        let left = self.durable(cluster).await?;
        ensure!(left == [0; 3], "waiting, not acked, missed: {left:?}");
        Ok(())
    }

    /// The last lines of every daemon's log.
    pub(crate) fn show_logs(&self) {
        let consumers = self.sites().into_iter().flat_map(|site| &site.consumers);
        for daemon in consumers.chain([&self.ingress]) {
            say!("{}", daemon.last_words());
        }
    }

    /// `--keep`: what to try on what still runs.
    pub(crate) async fn show_what_to_try(&self) -> anyhow::Result<()> {
        tell!("\nAll of it runs on, until Ctrl-C. To try, in another terminal:");
        let (url, nats, key) = (self.ingress.url(), self.hub.url(), DATA.1);
        let cli = format!("{} --nats {nats}", Binary::Cli.path().await?.display());
        let json = "-H 'content-type: application/json'";
        let item = format!(r#""event_type":"static-secret-updated","item_name":"{key}""#);
        let user = format!("-u {BASIC_USER}:{BASIC_PASSWORD}");
        say!("curl -i {user} {json} -d '[{{\"event_id\":1,{item}}}]' {url}/webhook");
        // An id of its own each time: the same one again is the same event, and changes nothing.
        let body = format!(r#"{{\"id\":\"$RANDOM\",\"secret\":{{\"name\":\"{key}\"}}}}"#);
        let sign = format!("openssl dgst -sha256 -hmac {HMAC_SECRET} -r | cut -d' ' -f1");
        let signature = format!("x-signature: sha256=$(printf %s \"$B\" | {sign})");
        let url = format!("{url}/v1/hooks/generic");
        say!("B=\"{body}\"; curl -i -H \"{signature}\" {json} -d \"$B\" {url}");
        say!("{cli} status");
        say!("{cli} send --key {key}");
        say!("{cli} replay --cluster west --since 10m --dry-run");
        for site in self.sites() {
            let kubeconfig = site.cluster.kubeconfig().display();
            say!("kubectl --kubeconfig {kubeconfig} -n {NAMESPACE} get externalsecrets -w");
            say!("curl {}/metrics", site.consumers[0].admin_url());
        }
        Ok(())
    }
}

pub(crate) fn accepted(answer: &Answer) -> anyhow::Result<()> {
    let one = answer.status == 202 && answer.accepted().len() == 1;
    ensure!(one, "expected: 202 and one event; it was {answer:?}");
    Ok(())
}

/// Waits until `probe` says that the claim holds, and says so.
pub(crate) async fn check<T, F: Future<Output = anyhow::Result<T>>>(
    claim: impl Display,
    probe: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let value = wait::until_ok(&claim, EFFECT, probe).await?;
    ok!("{claim}");
    Ok(value)
}
