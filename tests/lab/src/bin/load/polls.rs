//! A pass of a poller over the secrets that clusters list, on a real OpenBao ÷ a loop that reads the same metadata over
//! as many connections and does nothing else, in a process of its own.

use std::{
    process,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use async_nats::{Subscriber, jetstream::Context};
use eso_relay::{
    Slug,
    stream::{Pass, Watched},
};
use eso_relay_lab::{
    daemon::Daemon,
    installation::{Hub, READY},
    openbao::OpenBao,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::{
    Scale, progress,
    report::{Measure, Unit, median, milliseconds, rate, rounds},
    rig::{CLUSTER, cpu_time, figure, stop},
};

/// As the poller.
const IN_FLIGHT: usize = 8;
/// Secrets and messages that are made at a time.
const MADE_AT_ONCE: usize = 64;
const POLICY: &str = r#"path "secret/metadata/*" { capabilities = ["read"] }"#;
const POLL: &str = "load";
const LONGEST_PASS: Duration = Duration::from_secs(600);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let secrets = scale.pick(10_000, 200);
    let Some(bao) = OpenBao::if_there_is_one().await? else {
        return Ok(Vec::new());
    };
    progress("polls: creating the secrets");
    create(&bao, secrets).await?;
    let hub = Hub::start().await?;
    hub.init(&[CLUSTER]).await?;
    list(&hub.jetstream().await?, secrets).await?;
    let (url, token) = (bao.url(), bao.token(POLICY).await?);
    std::fs::write(hub.secrets().join("bao-token"), &token)?;

    let what = format!("polls: {secrets} paths");
    let mut first_pass = 0.0;
    let one = async |round: usize| {
        let ours = passes(&hub, &url, secrets).await?;
        if round == 0 {
            first_pass = milliseconds(ours.first);
        }
        let count = secrets.to_string();
        let read = async |how| figure(&["metadata-loop", &url, &token, &count, how]).await;
        let (floor, cpu) = (read("time").await?, read("cpu").await?);
        Ok([
            (milliseconds(ours.later), floor),
            (
                rate(secrets, ours.later),
                1000.0 / floor * rate(secrets, Duration::from_secs(1)),
            ),
            (1e6 / rate(secrets, ours.cpu), cpu),
        ])
    };
    let [time, paths, cpu] = rounds(&what, scale.pick(3, 1), one).await?;
    let pass = |which: &str, time| {
        let pass = Measure::value(format!("{what}: {which}"), Unit::Milliseconds, time);
        pass.at_most(60_000.0)
    };
    let ratio =
        |of: &str, unit, rounds| Measure::ratio(format!("{what}: {of} ÷ bare reads"), unit, rounds);
    Ok(vec![
        pass("the first pass", first_pass),
        pass("a later pass", median(&time.ours)),
        ratio("a later pass", Unit::Milliseconds, &time),
        ratio("paths", Unit::PerSecond, &paths),
        ratio("CPU of a path", Unit::Microseconds, &cpu),
    ])
}

fn name(number: usize) -> String {
    format!("team-{}/application-{number}/database", number % 50)
}

async fn create(bao: &OpenBao, secrets: usize) -> anyhow::Result<()> {
    stream::iter((0..secrets).map(anyhow::Ok))
        .try_for_each_concurrent(MADE_AT_ONCE, async |number| {
            let path = format!("secret/data/{}", name(number));
            let body = json!({ "data": { "password": "of the load" } });
            bao.api(Method::POST, &path, body).await.map(drop)
        })
        .await
}

/// As consumers of a cluster do that reads them.
async fn list(jetstream: &Context, secrets: usize) -> anyhow::Result<()> {
    let cluster: &Slug = &CLUSTER.parse()?;
    stream::iter((0..secrets).map(anyhow::Ok))
        .try_for_each_concurrent(MADE_AT_ONCE, async |number| {
            let watched = Watched {
                provider: "openbao".parse()?,
                host: Some("127.0.0.1".to_owned()),
                namespace: None,
                path: format!("secret/data/{}", name(number)),
            };
            let body = serde_json::to_vec(&watched)?;
            let sent = jetstream.publish(watched.subject(cluster), body.into());
            sent.await?.await?;
            Ok(())
        })
        .await
}

/// The first two passes of a process.
struct Passes {
    /// From the start of the process.
    first: Duration,
    /// All is remembered by then. With the pause before it, of a millisecond.
    later: Duration,
    /// The CPU time of the process meanwhile.
    cpu: Duration,
}

async fn passes(hub: &Hub, url: &str, secrets: usize) -> anyhow::Result<Passes> {
    let nats = async_nats::connect(hub.url()).await?;
    let mut written = nats.subscribe(Pass::subject(&POLL.parse()?)).await?;
    nats.flush().await?;
    let token = hub.secrets().join("bao-token");
    let poll = format!(
        "{{ name: {POLL}, provider: openbao, address: '{url}', interval: 1ms, auth: {{ token_file: '{}' }} }}",
        token.display()
    );
    let yaml = format!("nats: {{ url: '{}' }}\npolls: [{poll}]\n", hub.url());
    let started = Instant::now();
    let options = Daemon::ingress().config(yaml);
    let options = options.env("ESO_RELAY__LISTEN", "none");
    let mut poller = options.start().await?;
    end_of_pass(&mut written, secrets).await?;
    let first = started.elapsed();
    let before = cpu_time(poller.id())?;
    end_of_pass(&mut written, secrets).await?;
    let later = started.elapsed().saturating_sub(first);
    let cpu = cpu_time(poller.id())?.saturating_sub(before);
    poller.wait_ready(READY).await?;
    stop(poller).await?;
    Ok(Passes { first, later, cpu })
}

/// Waits until the poller writes that it has looked at everything.
async fn end_of_pass(written: &mut Subscriber, secrets: usize) -> anyhow::Result<()> {
    let message = timeout(LONGEST_PASS, written.next()).await?;
    let pass: Pass = serde_json::from_slice(&message.context("no connection")?.payload)?;
    ensure!(pass.paths == secrets as u64, "{} paths", pass.paths);
    Ok(())
}

/// Reads the metadata of so many secrets: how many milliseconds that took, or how many microseconds of CPU each.
pub(crate) async fn metadata_loop(
    url: &str,
    token: &str,
    secrets: usize,
    how: &str,
) -> anyhow::Result<f64> {
    eso_relay::nats::install_crypto();
    let client = reqwest::Client::builder().no_proxy();
    let client = &client.pool_max_idle_per_host(IN_FLIGHT).build()?;
    let (started, before) = (Instant::now(), cpu_time(process::id())?);
    stream::iter((0..secrets).map(anyhow::Ok))
        .try_for_each_concurrent(IN_FLIGHT, async |number| {
            let url = format!("{url}/v1/secret/metadata/{}", name(number));
            let answer = client
                .get(url)
                .header("X-Vault-Token", token)
                .send()
                .await?;
            answer.error_for_status()?.bytes().await?;
            Ok(())
        })
        .await?;
    let (took, cpu) = (started.elapsed(), cpu_time(process::id())?);
    Ok(match how {
        "cpu" => 1e6 / rate(secrets, cpu.saturating_sub(before)),
        _ => milliseconds(took),
    })
}
