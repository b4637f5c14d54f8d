//! Pulls events from the stream, and patches the objects that read the changed secrets.
//!
//! ```text
//! delivery ─decode─▶ events ─match─▶ targets ─engine─▶ patch ─▶ outcome ─last target done─▶ ack
//! ```
//!
//! Each cluster has one durable, which any number of replicas share. The consumer has no public port and no
//! access to Secrets.

pub mod commands;
pub mod config;
mod engine;
mod kubernetes;
pub mod matching;
pub mod object;
mod report;
mod stream;
mod worker;

use std::{process::ExitCode, sync::Arc, time::Duration};

use eso_relay::{
    admin::{self, Condition, Readiness},
    config::in_time,
    lifecycle::Lifecycle,
    metrics::Component,
    nats,
    telemetry::spans::{self, Exporter, Tracer},
};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    config::ConsumerConfig,
    engine::Engine,
    kubernetes::{Selection, Served, refresh::Refresher},
    matching::StorePolicy,
    report::{
        Reporter, kube_events,
        metrics::{Metrics, ObjectMetrics},
        receipts,
    },
    stream::{
        Pull,
        backlog::Backlog,
        gap::GapWatcher,
        watch_list::{Ask, WatchList},
    },
    worker::{Context, Inputs, Worker},
};

/// Bounds each request to JetStream and each wait for a PubAck.
const JETSTREAM_TIMEOUT: Duration = Duration::from_secs(5);
/// The capacity of the channels to the worker.
const MESSAGES: usize = 256;
const CHANGES: usize = 1024;

/// Runs until a signal, or until a task fails.
///
/// NATS and Kubernetes may start later: it waits for them, and `/readyz` says for which.
pub async fn run(config: ConsumerConfig) -> anyhow::Result<ExitCode> {
    let lifecycle = Lifecycle::new(config.shutdown.grace);
    let (readiness, mut registry) = (Readiness::default(), Registry::default());
    eso_relay::metrics::register(&mut registry, Component::Consumer, &readiness);
    let connection = nats::Metrics::register(&mut registry);
    Metrics::register_info(&mut registry, &config.cluster);
    let metrics = Metrics::register(&mut registry);
    let by_object = config.metrics.objects;
    let objects = by_object.then(|| ObjectMetrics::register(&mut registry));
    spans::register(&mut registry);
    nats::install_crypto();
    let settings = config.clone();
    let (tracer, exporter) = in_time("`trace`", move || tracer(&settings)).await??;
    let listener = admin::bind("admin.listen", config.admin.listen).await?;
    // Registered before `/readyz` answers: it is ready when no registered condition is unmet.
    let connected = readiness.condition("nats");
    let conditions = Conditions {
        stream: readiness.condition("stream"),
        worker: readiness.condition("worker"),
        kubernetes: readiness.condition("kubernetes"),
    };
    let name = format!("eso-relay-consumer {}", config.cluster);
    let client = nats::connect(&config.nats, &name, connected, connection).await?;
    let kube = kubernetes::client(&config.kubernetes).await?;

    // `/readyz` answers until the last ack is out.
    let finished = CancellationToken::new();
    let serve = admin::serve(listener, readiness, registry, finished.clone());
    lifecycle.spawn("admin", serve);
    if let Some(exporter) = exporter {
        lifecycle.spawn("traces", exporter.run(finished.clone()));
    }
    let told = (metrics, objects, tracer);
    let work = work(config, client, kube, told, conditions, lifecycle.clone());
    lifecycle.spawn("worker", async move {
        let _finished = finished.drop_guard();
        work.await
    });
    Ok(lifecycle.run().await)
}

/// Reads the files that the configuration names, as a start does.
pub fn check(config: &ConsumerConfig) -> anyhow::Result<()> {
    tracer(config).map(drop)
}

fn tracer(config: &ConsumerConfig) -> anyhow::Result<(Tracer, Option<Exporter>)> {
    spans::tracer(&config.trace, "eso-relay-consumer")
}

/// The conditions of the tasks in [`work`].
struct Conditions {
    stream: Condition,
    worker: Condition,
    kubernetes: Condition,
}

/// Starts the watch list, where it is on: what it asks the worker. Off: nothing.
fn watch_list(
    config: &ConsumerConfig,
    jetstream: &async_nats::jetstream::Context,
    metrics: &Metrics,
    lifecycle: &Lifecycle,
) -> mpsc::Receiver<Ask> {
    if !config.watch_list.enabled {
        return mpsc::channel(1).1;
    }
    let (watch_list, asks) = WatchList::new(
        jetstream.clone(),
        config.cluster.clone(),
        config.watch_list.keep,
        metrics.watch_list.clone(),
    );
    let run = lifecycle
        .stopping()
        .run_until_cancelled_owned(watch_list.run());
    lifecycle.spawn("watch list", endless(run));
    asks
}

/// Starts the tasks: pull loop ─▶ worker ◀─ watch.
async fn work(
    config: ConsumerConfig,
    client: async_nats::Client,
    kube: kube::Client,
    (metrics, objects, tracer): (Metrics, Option<ObjectMetrics>, Tracer),
    conditions: Conditions,
    lifecycle: Lifecycle,
) -> anyhow::Result<()> {
    let stop = lifecycle.stopping();
    let jetstream = config.nats.jetstream(client.clone(), JETSTREAM_TIMEOUT);
    let (granted, credit) = watch::channel(0);
    let (messages, received) = mpsc::channel(MESSAGES);
    let (changes, cluster_changes) = mpsc::channel(CHANGES);

    let (cluster, counted) = (config.cluster.clone(), metrics.clone());
    let (gap_watcher, gaps) = GapWatcher::new(client.clone(), jetstream.clone(), cluster, counted);
    lifecycle.spawn("gaps", endless(gap_watcher.run()));

    let warned = conditions.stream.clone();
    let pull = Pull {
        client: client.clone(),
        jetstream: jetstream.clone(),
        cluster: config.cluster.clone(),
        condition: conditions.stream,
        credit,
        messages,
        lost: metrics.lost_pulls.clone(),
        gap_check: gaps.checked,
        stop: stop.clone(),
    };
    lifecycle.spawn("pull", pull.run());

    let caches = conditions.kubernetes;
    let discover = Served::discover(kube, &caches);
    let Some(served) = stop.run_until_cancelled(discover).await else {
        return Ok(());
    };
    let selection = Selection::of(
        &config.kubernetes,
        &config.refresh,
        &config.restart,
        &config.kes,
        &config.tenancy,
    );
    let (stopped, watched, namespaces) = (
        stop.clone(),
        served.clone(),
        config.kubernetes.namespaces.clone(),
    );
    let counted = metrics.watches.clone();
    lifecycle.spawn("watch", async move {
        let watch = kubernetes::watch(watched, &namespaces, selection, changes, caches, &counted);
        stopped.run_until_cancelled(watch).await.unwrap_or(Ok(()))
    });

    let asks = watch_list(&config, &jetstream, &metrics, &lifecycle);

    let backlog = Backlog {
        jetstream: jetstream.clone(),
        cluster: config.cluster.clone(),
        metrics: metrics.clone(),
        condition: warned,
    };
    let backlog = stop.clone().run_until_cancelled_owned(backlog.observe());
    lifecycle.spawn("backlog", endless(backlog));

    let (receipts, published) = mpsc::channel(receipts::CAPACITY);
    let publish = receipts::publish(client.clone(), published);
    lifecycle.spawn("receipts", endless(publish));

    // Once the worker has ended, the last Kubernetes Events get little time.
    let over = CancellationToken::new();
    let _over = over.clone().drop_guard();
    let notes = config.kubernetes.events.then(|| {
        let (notes, written) = mpsc::channel(kube_events::CAPACITY);
        let write = kube_events::write(served.clone(), metrics.clone(), written, over);
        lifecycle.spawn("notes", endless(write));
        notes
    });

    let engine = Engine::new(config.settings(), fastrand::u64(..));
    let report = Reporter::new(config.cluster.clone(), metrics, receipts, notes);
    let report = report.with_objects(objects).with_traces(tracer);
    let context = Context {
        cluster: config.cluster,
        client,
        jetstream,
        refresher: Arc::new(
            Refresher::new(served, config.kubernetes.patch_timeout)
                .within(&config.kubernetes.namespaces),
        ),
        gap_outcomes: gaps.outcomes,
        holding: gaps.holding,
        stores: StorePolicy {
            paced: config.refresh.store_rate.is_some(),
            settles: config.refresh.settle,
            restart_by_find: config.restart.find,
        },
    };
    let inputs = Inputs {
        messages: received,
        credit: granted,
        changes: cluster_changes,
        gaps: gaps.found,
        asks,
        stop,
        running: conditions.worker,
    };
    Worker::new(engine, context, report).run(inputs).await
}

/// A task that handles its own errors.
async fn endless<T>(task: impl Future<Output = T>) -> anyhow::Result<()> {
    task.await;
    Ok(())
}

#[cfg(test)]
mod tests;
