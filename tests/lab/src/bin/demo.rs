//! `cargo demo`: the main job, seen. A webhook becomes patched ExternalSecrets in two clusters, whatever dies
//! meanwhile. Every line that begins with `ok` was checked; the exit code is 1 if one of them does not hold.

use std::{
    fmt::Display,
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Parser;
use eso_relay::stream::ACK_WAIT;
use eso_relay_lab::{
    cluster::{
        ExternalSecretBuilder, Fixture, Kind, StoreBuilder, cluster_store, create_all,
        create_namespace, external_secret, objects, store,
    },
    daemon::{Binary, Daemon},
    installation::{
        Answer, BASIC_PASSWORD, BASIC_USER, Cluster, HMAC_SECRET, Hub, KubernetesKind, READY,
        Webhooks,
    },
    nats_server,
    standin::{Effect, On, Times, Verb},
    wait,
    workloads::{Controllers, RESTARTS, Workload, marks},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::signal::ctrl_c;

/// One line; when standard output is closed, the exit code still counts.
macro_rules! tell {
    ($($text:tt)*) => { writeln!(std::io::stdout(), $($text)*).ok() };
}
macro_rules! say {
    ($($text:tt)*) => { tell!("  {}", format_args!($($text)*)) };
}
/// Something that was promised and has happened.
macro_rules! ok {
    ($($text:tt)*) => { tell!("  ok {}", format_args!($($text)*)) };
}

const NAMESPACE: &str = "eso-relay-demo";
/// How long an effect may take before it counts as missing.
const EFFECT: Duration = Duration::from_secs(30);
/// What a patch takes while a consumer is to be killed at work. A real API cannot be slowed down like this:
/// there the consumers patch ten objects a second.
const SLOW: Duration = Duration::from_secs(1);

/// Starts NATS, two clusters, the ingress and two consumers for each cluster, and shows what they do.
#[derive(Parser)]
#[command(name = "cargo demo")]
struct Args {
    /// What the clusters east and west are made of
    #[arg(long, value_enum, default_value_t)]
    kubernetes: KubernetesKind,
    /// Leave all running at the end, and print what to try next, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    tokio::select! {
        // First, because with --keep it ends by the same Ctrl-C, and well.
        biased;
        ended = run(&args) => match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say!("FAILED {error:#}");
                ExitCode::FAILURE
            }
        },
        // As a shell has it for a program that Ctrl-C ended.
        _ = ctrl_c() => ExitCode::from(130),
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let mut stage = Stage::start(args.kubernetes).await?;
    let started = Instant::now();
    let played = play(&mut stage).await;
    played.inspect_err(|_| stage.show_logs())?;
    tell!("\nAll of it held, in {:.0?}.", started.elapsed());
    if args.keep {
        stage.show_what_to_try().await?;
        ctrl_c().await?;
    }
    Ok(())
}

async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    webhooks(stage).await?;
    restart(stage).await?;
    kill(stage).await?;
    let since = outage(stage).await?;
    replay(stage, since).await?;
    status(stage).await
}

/// A webhook, and its way to every kind of ExternalSecret.
async fn webhooks(stage: &Stage) -> anyhow::Result<()> {
    tell!("\nA secret changes, its store calls the webhook, and both clusters refresh");
    for (part, _) in PARTS {
        let (value, sent) = (stage.rotate(part.1), Instant::now());
        accepted(&stage.webhooks.updated(&[part.1]).await?)?;
        say!("POST /webhook (Basic): 202 after {:.1?}", sent.elapsed());
        stage.arrived(part, &value, sent).await?;
    }
    let id = format!("demo-{:08x}", fastrand::u32(..));
    let (value, sent) = (stage.rotate(DATA.1), Instant::now());
    let body = json!({ "id": id, "type": "updated", "secret": { "name": DATA.1 } });
    accepted(&stage.webhooks.generic(&body).await?)?;
    say!(
        "POST /v1/hooks/generic (HMAC-SHA256): 202 after {:.1?}",
        sent.elapsed()
    );
    stage.arrived(DATA, &value, sent).await?;
    ok!("every kind of ExternalSecret has the new value, in east and in west");
    stage.cli(&["trace", &id, "--wait"]).await
}

/// A workload that reads a Secret when its pods start.
async fn restart(stage: &Stage) -> anyhow::Result<()> {
    tell!("\nA Deployment in each cluster reads a Secret when its pods start");
    for site in [&stage.east, &stage.west] {
        let restarts = site.restarts().await?;
        ensure!(
            restarts.is_none(),
            "expected: none yet, it was {restarts:?}"
        );
    }
    let value = stage.rotate(WEB.1);
    accepted(&stage.webhooks.updated(&[WEB.1]).await?)?;
    for site in [&stage.east, &stage.west] {
        let restarted = async || {
            let restarts = site.restarts().await?;
            ensure!(restarts.as_deref() == Some("1"), "{restarts:?} restarts");
            Ok(())
        };
        let name = site.cluster.name();
        wait::until_ok(format!("one restart in {name}"), EFFECT, restarted).await?;
        // Not waited for: it came first.
        site.holds(WEB.0, &value).await?;
        ok!("it restarted once in {name}, after its Secret had the new value");
    }
    Ok(())
}

/// A consumer is killed at work, and NATS delivers again what it held.
async fn kill(stage: &mut Stage) -> anyhow::Result<()> {
    tell!("\nA consumer dies in the middle of its work (kill -9)");
    let slow = stage.east.cluster.as_stand_in().map(|api| {
        let patches = On::verb(Verb::Patch, Kind::ExternalSecret);
        api.faults().inject(patches, Effect::slow(SLOW), Times::All)
    });
    let mut values = Vec::new();
    for (name, key) in crowd() {
        values.push((name, stage.rotate(&key)));
        accepted(&stage.webhooks.updated(&[&key]).await?)?;
    }
    let count = values.len();
    say!("{count} webhooks answered 202, for an ExternalSecret each");
    let at_work = async || {
        let [first, second] = [0, 1].map(|at| unfinished(&stage.east.consumers[at]));
        let (first, second) = (first.await?, second.await?);
        ensure!(first + second > 0.0, "none holds a message");
        let (at, held) = if first > second {
            (0, first)
        } else {
            (1, second)
        };
        Ok((at, held))
    };
    let (dying, held) = wait::until_ok("a consumer at work", EFFECT, at_work).await?;
    stage.east.consumers[dying].kill9()?;
    let (killed, number) = (Instant::now(), dying + 1);
    say!("consumer {number} of east killed with {held} messages in its hands");
    if let (Some(slow), Some(api)) = (slow, stage.east.cluster.as_stand_in()) {
        api.faults().lift(slow);
    }
    let survivor = &stage.east.consumers[1 - dying];
    let finished = async || {
        let held = unfinished(survivor).await?;
        let [waiting, left] = stage.durable("east").await?;
        ensure!(
            waiting == 0 && held < 1.0,
            "{waiting} wait, it holds {held}"
        );
        Ok(left)
    };
    let left = check("the other consumer of east has finished its own", finished).await?;
    ensure!(
        left > 0,
        "expected: messages that only the dead consumer had"
    );
    let seconds = ACK_WAIT.as_secs();
    say!("{left} are with the dead one still: NATS waits {seconds} s for its ack");
    let acked = || stage.drained("east");
    wait::until_ok("the redelivery", ACK_WAIT + EFFECT, acked).await?;
    let after = killed.elapsed();
    ok!("they were delivered again, and all is acked {after:.0?} after the kill");
    for site in [&stage.east, &stage.west] {
        site.has_all(&values, &format!("all {count} new values"))
            .await?;
    }
    let dead = &mut stage.east.consumers[dying];
    dead.start_again().await?;
    dead.wait_ready(READY).await
}

/// A cluster is away while events arrive, and catches up when it is back. Returns the moment before them.
async fn outage(stage: &mut Stage) -> anyhow::Result<Timestamp> {
    const ROUNDS: usize = 10;
    /// Each of the two consumers patches an object at most twice: for its first event and for its newest.
    const MOST_PATCHES: u64 = 2 * 2 * AWAY.len() as u64;
    tell!("\nA cluster is away for a while");
    for consumer in &mut stage.west.consumers {
        consumer.terminate()?;
        let status = consumer.wait_exit(EFFECT).await?;
        ensure!(status.success(), "expected: exit code 0, it was {status}");
    }
    ok!("both consumers of west stopped (SIGTERM, exit code 0)");
    let (since, before) = (now(), stage.west.refreshes().await);
    let values = AWAY.map(|(name, key)| (name.to_owned(), stage.rotate(key)));
    for (_, key) in [AWAY; ROUNDS].into_iter().flatten() {
        accepted(&stage.webhooks.updated(&[key]).await?)?;
    }
    let events = ROUNDS * AWAY.len();
    say!("{events} webhooks answered 202, for three secrets");
    stage.east.has_all(&values, "the newest values").await?;
    let [waiting, _] = stage.durable("west").await?;
    ensure!(waiting > 0, "expected: events wait for west");
    ensure!(
        stage.west.refreshes().await == before,
        "expected: nothing moves in west"
    );
    ok!("west has not moved; {waiting} messages wait for it in the stream");
    for consumer in &mut stage.west.consumers {
        consumer.start_again().await?;
    }
    for consumer in &mut stage.west.consumers {
        consumer.wait_ready(READY).await?;
    }
    say!("both consumers of west are back");
    let claim = "west has caught up: nothing waits, all is acked";
    check(claim, || stage.drained("west")).await?;
    stage.west.has_all(&values, "the newest values").await?;
    let mut patches = 0;
    for consumer in &stage.west.consumers {
        let name = "eso_relay_consumer_patches_total";
        patches += consumer.count(name, &[("result", "done")]).await?;
    }
    ensure!(
        (AWAY.len() as u64..=MOST_PATCHES).contains(&patches),
        "expected: at most {MOST_PATCHES} patches for {events} events, there were {patches}"
    );
    ok!("coalesced: {events} events became {patches} patches of three ExternalSecrets");
    Ok(since)
}

/// What changed since a moment, once more, for one cluster alone.
async fn replay(stage: &Stage, since: Timestamp) -> anyhow::Result<()> {
    tell!("\nEast is restored from a backup: replay for east alone");
    let [east, west] = [stage.east.refreshes().await, stage.west.refreshes().await];
    let since = format!("{since:.0}");
    stage
        .cli(&["replay", "--cluster", "east", "--since", &since, "--yes"])
        .await?;
    let again = async || {
        let now = stage.east.refreshes().await;
        let same = now.iter().zip(&east).filter(|(now, then)| now == then);
        ensure!(same.count() == 0, "not all were refreshed again");
        Ok(())
    };
    check("east refreshed all of them once more", again).await?;
    let claim = "west has seen the replayed events too";
    check(claim, || stage.drained("west")).await?;
    ensure!(
        stage.west.refreshes().await == west,
        "expected: west as it was"
    );
    ok!("and has not moved: they are not meant for it");
    Ok(())
}

/// What an operator sees at the end.
async fn status(stage: &Stage) -> anyhow::Result<()> {
    tell!("\nWhere everything stands");
    let settled = async || {
        let status = stage.status().await?;
        for cluster in status["clusters"].as_array().context("no clusters")? {
            for field in ["backlog", "in_flight", "missed"] {
                ensure!(cluster[field] == 0, "{field} of {cluster}");
            }
        }
        Ok(())
    };
    let claim = "nothing waits, nothing is in flight, nothing was missed";
    check(claim, settled).await?;
    stage.cli(&["status"]).await
}

/// What an ExternalSecret reads, by the key of its secret.
type Reads = fn(ExternalSecretBuilder, &str) -> ExternalSecretBuilder;
/// The name of an ExternalSecret, and that of its secret.
type Part = (&'static str, &'static str);

/// One for each way in which an ExternalSecret can name a secret.
const PARTS: [(Part, Reads); 6] = [
    (DATA, ExternalSecretBuilder::key),
    (SOURCE_REF, |it, key| it.key(key).source_ref("other-store")),
    (CLUSTER_STORE, |it, key| {
        it.key(key).cluster_store(NAMESPACE)
    }),
    (("extract", "/demo/login"), ExternalSecretBuilder::extract),
    (("find-by-name", "/demo/api-token"), |it, _| {
        it.find_name("^/?demo/api-")
    }),
    (("find-by-path", "/demo/tls/cert"), |it, _| {
        it.find_path("/demo/tls")
    }),
];
/// The one that a Deployment of the same name reads.
const WEB: Part = ("web", "/demo/web");
const DATA: Part = ("data", "/demo/database");
const SOURCE_REF: Part = ("source-ref", "/demo/queue");
const CLUSTER_STORE: Part = ("cluster-store", "/demo/shared");
/// Those that change while a cluster is away.
const AWAY: [Part; 3] = [DATA, SOURCE_REF, CLUSTER_STORE];

/// Forty more, with a secret each: for the kill.
fn crowd() -> impl Iterator<Item = (String, String)> {
    (0..40).map(|at| (format!("crowd-{at:02}"), format!("/demo/crowd/{at:02}")))
}

/// All that runs. Dropping it ends all processes.
struct Stage {
    ingress: Daemon,
    webhooks: Webhooks,
    east: Site,
    west: Site,
    // Last, so that it outlives those that use it.
    hub: Hub,
}

/// A cluster with its stand-in ESO and two consumers.
struct Site {
    cluster: Cluster,
    _controllers: Controllers,
    consumers: Vec<Daemon>,
}

impl Stage {
    /// Starts everything and waits until every ExternalSecret has its first value.
    async fn start(kubernetes: KubernetesKind) -> anyhow::Result<Self> {
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

    /// Gives the secret a value that no store has held before, in every cluster's store.
    fn rotate(&self, key: &str) -> String {
        let value = format!("value-{:016x}", fastrand::u64(..));
        for site in [&self.east, &self.west] {
            site.cluster.values.set(key, &value);
        }
        value
    }

    async fn arrived(&self, part: Part, value: &str, sent: Instant) -> anyhow::Result<()> {
        for site in [&self.east, &self.west] {
            let what = format!(
                "{} in the Secret {} of {}",
                part.1,
                part.0,
                site.cluster.name()
            );
            wait::until_ok(&what, EFFECT, || site.holds(part.0, value)).await?;
            say!("  {what} is new after {:.0?}", sent.elapsed());
        }
        Ok(())
    }

    /// Runs a command that must succeed, and shows what it prints.
    async fn cli(&self, args: &[&str]) -> anyhow::Result<()> {
        let output = self.hub.cli(args).await?;
        let command = format!("$ eso-relay {}", args.join(" "));
        say!("{command}");
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            say!("{line}");
        }
        ensure!(output.code == 0, "{command}: exit code {}", output.code);
        Ok(())
    }

    async fn status(&self) -> anyhow::Result<Value> {
        let output = self.hub.cli(&["status", "--output", "json"]).await?;
        serde_json::from_str(&output.stdout).context(output.stderr)
    }

    /// How many messages wait for a cluster, and how many are delivered and not acked.
    async fn durable(&self, cluster: &str) -> anyhow::Result<[u64; 2]> {
        let status = self.status().await?;
        let clusters = status["clusters"].as_array().context("no clusters")?;
        let found = clusters.iter().find(|it| it["cluster"] == cluster);
        let found = found.with_context(|| format!("no {cluster} in {status}"))?;
        let count = |field: &str| found[field].as_u64().context(field.to_owned());
        Ok([count("backlog")?, count("in_flight")?])
    }

    async fn drained(&self, cluster: &str) -> anyhow::Result<()> {
        let [waiting, unacked] = self.durable(cluster).await?;
        ensure!(
            waiting == 0 && unacked == 0,
            "{waiting} wait, {unacked} are not acked"
        );
        Ok(())
    }

    /// The last lines of every daemon's log.
    fn show_logs(&self) {
        let consumers = self.east.consumers.iter().chain(&self.west.consumers);
        for daemon in consumers.chain([&self.ingress]) {
            let log = daemon.logs();
            let lines: Vec<&str> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(8)..];
            say!("the end of a log:\n  {}", end.join("\n  "));
        }
    }

    /// `--keep`: what to try on what still runs.
    async fn show_what_to_try(&self) -> anyhow::Result<()> {
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
        for site in [&self.east, &self.west] {
            let kubeconfig = site.cluster.kubeconfig().display();
            say!("kubectl --kubeconfig {kubeconfig} -n {NAMESPACE} get externalsecrets -w");
            say!("curl {}/metrics", site.consumers[0].admin_url());
        }
        Ok(())
    }
}

impl Site {
    async fn start(name: &str, kind: KubernetesKind, hub: &Hub) -> anyhow::Result<Self> {
        let cluster = Cluster::of_kind(name, kind).await?;
        let client = cluster.client();
        let parts = PARTS.map(|((name, key), _)| (name.to_owned(), key.to_owned()));
        let keys = parts.into_iter().chain(crowd()).map(|(_, key)| key);
        for key in keys.chain([WEB.1.to_owned()]) {
            cluster.values.set(&key, "first");
        }
        create_namespace(client, NAMESPACE).await?;
        let stores = ["store", "other-store"].map(|name| store(name).in_namespace(NAMESPACE));
        let stores = stores.into_iter().chain([cluster_store(NAMESPACE)]);
        create_all(client, stores.map(StoreBuilder::akeyless), 1).await?;
        let reader = |name: &str| {
            external_secret(name)
                .in_namespace(NAMESPACE)
                .from_store("store")
        };
        let parts = PARTS.map(|((name, key), reads)| reads(reader(name), key));
        let web = reader(WEB.0).key(WEB.1);
        let crowd = crowd().map(|(name, key)| reader(&name).key(&key));
        let all = parts.into_iter().chain([web]).chain(crowd);
        let all: Vec<Fixture> = all.map(Fixture::from).collect();
        let count = all.len();
        create_all(client, all, 16).await?;
        let deployment = Workload::deployment(NAMESPACE, WEB.0).reads_secret(WEB.0);
        deployment.restart().create(client).await?;
        let (what, slowly) = match kind {
            KubernetesKind::StandIn => ("stand-in API", ""),
            KubernetesKind::Real => ("kube-apiserver", "refresh: { rate: 10.0 }\n"),
        };
        let settings = format!("{slowly}restart: {{ enabled: true, gather: 1s }}\n");
        let consumer = cluster.consumer(hub, &settings);
        let mut site = Self {
            _controllers: Controllers::builder().start(client),
            cluster,
            consumers: Vec::new(),
        };
        for _ in 0..2 {
            let mut consumer = consumer.clone().start().await?;
            consumer.wait_ready(READY).await?;
            site.consumers.push(consumer);
        }
        for (reader, _) in PARTS.map(|(part, _)| part).into_iter().chain([WEB]) {
            let what = format!("the first value of {reader} in {name}");
            wait::until_ok(what, READY, || site.holds(reader, "first")).await?;
        }
        say!("{name}      {what}, stand-in ESO, {count} ExternalSecrets, 2 consumers");
        Ok(site)
    }

    /// Whether the Secret of this ExternalSecret has `value` under any of its keys.
    async fn holds(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let secrets = objects(self.cluster.client(), Kind::Secret, Some(NAMESPACE));
        let secret = secrets.get_opt(name).await?;
        let secret = secret.context("there is no Secret yet")?;
        let data = secret.data["data"].as_object();
        let mut values = data.into_iter().flat_map(|data| data.values());
        let wanted = BASE64_STANDARD.encode(value);
        ensure!(
            values.any(|value| *value == wanted),
            "Secret {name} holds another value"
        );
        Ok(())
    }

    async fn has_all(&self, values: &[(String, String)], what: &str) -> anyhow::Result<()> {
        let all = async || {
            for (name, value) in values {
                self.holds(name, value).await?;
            }
            Ok(())
        };
        let claim = format!("{what} are in the Secrets of {}", self.cluster.name());
        check(claim, all).await
    }

    /// How often [`WEB`] was restarted.
    async fn restarts(&self) -> anyhow::Result<Option<String>> {
        let marks = marks(self.cluster.client(), Kind::Deployment, NAMESPACE, WEB.0);
        Ok(marks.await?.remove(RESTARTS))
    }

    /// What those of [`AWAY`] were refreshed for last.
    async fn refreshes(&self) -> [Option<String>; 3] {
        let of = |(name, _)| self.cluster.refresh_of(NAMESPACE, name);
        let [first, second, third] = AWAY.map(of);
        [first.await, second.await, third.await]
    }
}

/// Events accepted less deliveries finished, since a consumer's start. The gauge of what is held follows
/// only every few seconds.
async fn unfinished(consumer: &Daemon) -> anyhow::Result<f64> {
    let metrics = consumer.metrics().await?;
    let events = metrics.sum("eso_relay_consumer_events_total", &[])?;
    Ok(events - metrics.sum("eso_relay_consumer_deliveries_total", &[])?)
}

fn accepted(answer: &Answer) -> anyhow::Result<()> {
    ensure!(
        answer.status == 202 && answer.accepted().len() == 1,
        "expected: 202 and one event; it was {answer:?}"
    );
    Ok(())
}

/// Waits until `probe` says that the claim holds, and says so.
async fn check<T, F: Future<Output = anyhow::Result<T>>>(
    claim: impl Display,
    probe: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let value = wait::until_ok(&claim, EFFECT, probe).await?;
    ok!("{claim}");
    Ok(value)
}

/// The clock, for what is compared with times in the stream.
#[expect(clippy::disallowed_methods, reason = "the demo reads the clock here")]
fn now() -> Timestamp {
    Timestamp::now()
}
