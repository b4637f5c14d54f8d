//! HTTP in, stream out: authenticates webhooks and answers 202 when their events are durable. And the poller of stores
//! that send nothing.
//!
//! ```text
//! request ─verify─▶ Verified bytes ─source─▶ Vec<Event> ─publish─▶ PubAck ─▶ 202
//! ```

mod akeyless_trigger;
mod answer;
mod body;
pub mod catalogue;
mod client;
mod clouds;
pub mod commands;
mod config;
mod error;
mod file_version;
mod handshake;
mod head;
mod limit;
mod listen;
mod metrics;
pub mod outgoing;
mod paths;
mod poll;
mod preflight;
mod publish;
mod refusals;
mod rotation;
mod routes;
mod server;
pub mod source;
mod spans;
mod stream_check;
pub mod tls;
mod token_bucket;
pub mod verify;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream;
use eso_relay::{
    Slug,
    admin::{self, Condition, Readiness},
    config::in_time,
    lifecycle::Lifecycle,
    metrics::Component,
    nats,
    telemetry::{
        self,
        spans::{Exporter, Tracer, tracer},
    },
};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{poll::Poll, publish::Publisher, source::Source, stream_check::StreamCheck, tls::Tls};

pub use self::{
    akeyless_trigger::AkeylessTriggerConfig,
    config::{IngressConfig, ShutdownConfig},
    limit::LimitsConfig,
    listen::Listen,
    outgoing::{Outgoing, OutgoingConfig},
    poll::{AppRoleLogin, JwtLogin, KubernetesLogin, PollAuthConfig, PollConfig, PollProvider},
    source::{
        FormatName, MappingConfig, MatchConfig, MatchKind, Pointer, Projects, SourceConfig,
        StoreConfig, TargetConfig,
    },
    tls::TlsConfig,
    verify::{
        Algorithm, AuthConfig, BasicConfig, BearerConfig, Encoding, HeaderConfig, HmacConfig,
        JwtConfig, MtlsConfig, Preset, SnsConfig, StandardWebhooksConfig,
    },
};

/// For closing the connection to NATS once every request is answered.
const DISCONNECT: Duration = Duration::from_secs(1);

/// Starts every task of the ingress on `lifecycle`. An error is one of the configuration.
///
/// Shutdown, in this order: not ready → drain delay → stop accepting, finish the requests that have begun → the
/// committer has answered everything → disconnect → `/readyz` and `/metrics` close.
pub async fn run(config: IngressConfig, lifecycle: &Lifecycle) -> anyhow::Result<()> {
    config.check()?;
    let poll_metrics = poll::Metrics::default();
    let Opened {
        outgoing,
        mut sources,
        polls,
        tls,
        traces: (tracer, exporter),
    } = opened(&config, &poll_metrics).await?;
    let mut akeyless_trigger = config.open_akeyless_trigger();
    let listener = listener(config.listen).await?;
    let admin_listener = admin::bind("admin.listen", config.admin.listen).await?;

    let readiness = Readiness::default();
    let AllMetrics {
        registry,
        connection,
        requests: metrics,
        publish: publish_metrics,
    } = AllMetrics::register(&readiness, (!polls.is_empty()).then_some(&poll_metrics));
    for source in sources.values_mut().chain(&mut akeyless_trigger) {
        source.metrics = metrics.show(&source.name, &source.scheme);
    }
    let (sources, tls) = (Arc::new(sources), tls.map(Arc::new));

    let client = nats::connect(
        &config.nats,
        "eso-relay-ingress",
        readiness.condition("nats"),
        connection,
    )
    .await?;
    let jetstream = config
        .nats
        .jetstream(client.clone(), config.publish.deadline);
    let usable = publish::Usable::default();
    let (publisher, committer) = publish::publisher(
        client.clone(),
        jetstream.clone(),
        usable.clone(),
        &config.publish,
        publish_metrics.clone(),
    );
    let check = StreamCheck {
        client: client.clone(),
        jetstream: jetstream.clone(),
        condition: readiness.condition("stream"),
        usable,
        metrics: publish_metrics,
        max_message_bytes: config.publish.max_message_bytes,
    };
    let ingress = routes::Ingress {
        sources: Arc::clone(&sources),
        akeyless_trigger: akeyless_trigger.map(Arc::new),
        publisher: publisher.clone(),
        budget: body::Budget::new(config.body_limits()),
        outgoing,
        metrics: metrics.clone(),
        refusals: refusals::Refusals::default(),
        tracer,
    };

    let (stop, closing, closed) = (
        lifecycle.stopping(),
        CancellationToken::new(),
        CancellationToken::new(),
    );
    rotation::watch(&sources, tls.clone(), &metrics, &stop)
        .context("cannot watch the secret files")?;
    lifecycle.spawn("stream check", check.run(stop.clone()));
    start(polls, &jetstream, &publisher, &metrics, lifecycle);
    let serving = readiness.condition("serving");
    serving.met();
    tokio::spawn(drain_delay(
        serving,
        stop,
        config.shutdown.drain_delay,
        closing.clone(),
    ));
    if let Some(listener) = listener {
        let (limits, stop) = (config.connection_limits(), lifecycle.stopping());
        let router = routes::router(ingress, &config.paths(), &stop);
        let serve = server::serve(listener, tls, router, limits, metrics, stop, closing);
        lifecycle.spawn("webhooks", serve);
    }
    lifecycle.spawn(
        "admin",
        admin::serve(admin_listener, readiness, registry, closed.clone()),
    );
    let sent = send_traces(exporter, lifecycle);
    lifecycle.spawn("publisher", async move {
        // The admin port closes when this task ends, also when it fails.
        let _closed = closed.drop_guard();
        // Every span is finished once everything is answered.
        let _sent = sent.drop_guard();
        committer.run().await?;
        tokio::time::timeout(DISCONNECT, client.drain()).await.ok();
        Ok(())
    });
    Ok(())
}

/// The metrics of every part, and the registry that shows them.
struct AllMetrics {
    registry: Registry,
    connection: nats::Metrics,
    requests: metrics::Metrics,
    publish: publish::Metrics,
}

impl AllMetrics {
    /// `polls`: where there are any.
    fn register(readiness: &Readiness, polls: Option<&poll::Metrics>) -> Self {
        let mut registry = Registry::default();
        eso_relay::metrics::register(&mut registry, Component::Ingress, readiness);
        let connection = nats::Metrics::register(&mut registry);
        telemetry::spans::register(&mut registry);
        let ours = registry.sub_registry_with_prefix("eso_relay_ingress");
        let requests = metrics::Metrics::register(ours);
        let publish = publish::Metrics::register(ours);
        if let Some(polls) = polls {
            polls.register(ours);
        }
        telemetry::register(ours);
        Self {
            registry,
            connection,
            requests,
            publish,
        }
    }
}

/// Starts the polls.
fn start(
    polls: Vec<Poll>,
    jetstream: &jetstream::Context,
    publisher: &Publisher,
    metrics: &metrics::Metrics,
    lifecycle: &Lifecycle,
) {
    for poll in polls {
        let (jetstream, publisher) = (jetstream.clone(), publisher.clone());
        let run = poll.run(jetstream, publisher, metrics.clone(), lifecycle.stopping());
        lifecycle.spawn("poll", run);
    }
}

/// Starts the exporter, where traces are on. Cancel what it returns once every span is finished.
fn send_traces(exporter: Option<Exporter>, lifecycle: &Lifecycle) -> CancellationToken {
    let finished = CancellationToken::new();
    if let Some(exporter) = exporter {
        lifecycle.spawn("traces", exporter.run(finished.clone()));
    }
    finished
}

async fn opened(config: &IngressConfig, metrics: &poll::Metrics) -> anyhow::Result<Opened> {
    let (settings, metrics) = (config.clone(), metrics.clone());
    let opened = in_time("the configuration", move || Opened::of(&settings, &metrics)).await??;
    warn_about_open(opened.sources.values());
    config.polls.iter().for_each(PollConfig::warn);
    Ok(opened)
}

async fn listener(listen: Listen) -> anyhow::Result<Option<TcpListener>> {
    Ok(match listen {
        Listen::At(address) => Some(admin::bind("listen", address).await?),
        Listen::None => None,
    })
}

/// What the files of the configuration hold.
struct Opened {
    outgoing: Outgoing,
    sources: BTreeMap<Slug, Source>,
    polls: Vec<Poll>,
    tls: Option<Tls>,
    traces: (Tracer, Option<Exporter>),
}

impl Opened {
    fn of(config: &IngressConfig, metrics: &poll::Metrics) -> anyhow::Result<Self> {
        let outgoing = Outgoing::new(&config.outgoing)?;
        let sources = config.open_sources(&outgoing).context("sources")?;
        let traces = tracer(&config.trace, "eso-relay-ingress")?;
        let polls = config.open_polls(metrics, &traces.0).context("polls")?;
        let tls = config.open_tls()?;
        Ok(Self {
            outgoing,
            sources,
            polls,
            tls,
            traces,
        })
    }
}

/// Warns about sources that more senders can use than the operator may expect.
fn warn_about_open<'a>(sources: impl Iterator<Item = &'a Source>) {
    for source in sources {
        if source.scheme.is_open() {
            warn!(source = %source.name, "anyone who reaches the port can send as this source: its `auth` requires no credentials");
            if source.fail_open {
                warn!(source = %source.name, "this source without credentials also has `fail_open`: lost events are answered 204");
            }
        }
        if source.scheme.admits_any_app() {
            warn!(source = %source.name, "any app that gets a token for this `audience` from the directory can send as this source: name the sender in `auth.jwt.claims`, with `azp` or `appid`");
        }
    }
}

/// After the signal keeps serving until load balancers have noticed that this replica is not ready.
async fn drain_delay(
    serving: Condition,
    stop: CancellationToken,
    delay: Duration,
    closing: CancellationToken,
) {
    stop.cancelled().await;
    serving.unmet("stopping");
    tokio::time::sleep(delay).await;
    closing.cancel();
}

/// Reads every secret and certificate that the configuration names, as a start does.
pub fn check(config: &IngressConfig) -> anyhow::Result<()> {
    Opened::of(config, &poll::Metrics::default()).map(drop)
}
