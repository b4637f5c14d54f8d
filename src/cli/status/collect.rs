//! Asks the server.

use std::collections::BTreeMap;

use anyhow::Context as _;
use async_nats::jetstream::{
    Context, ErrorCode, consumer, context::GetStreamErrorKind, stream::Stream as Found,
};
use eso_relay::stream::{Position, Stream, verify};
use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::{
    receipts::receipts,
    report::{ClusterStatus, Report, StreamStatus},
};
use crate::cli::output::{first_and_last, timestamp};

pub(super) async fn collect(jetstream: &Context, now: Timestamp) -> anyhow::Result<Report> {
    let mut report = Report {
        now,
        streams: Vec::new(),
        clusters: Vec::new(),
        dead_letters: BTreeMap::new(),
        receipts: BTreeMap::new(),
        problems: Vec::new(),
    };
    for stream in Stream::ALL {
        let Some(found) = look(jetstream, stream).await? else {
            report
                .problems
                .push(verify::Problem::NoStream(stream).to_string());
            continue;
        };
        report.streams.push(status(&found));
        match stream {
            Stream::Events => {
                if let Err(problem) = verify::events(jetstream).await {
                    report.problems.push(problem.to_string());
                }
                report.clusters = clusters(&found).await?;
            }
            Stream::Dead => report.dead_letters = dead_letters(&found).await?,
            Stream::Receipts => report.receipts = receipts(jetstream, now).await?,
            Stream::Positions => positions(&found, &mut report.clusters).await,
        }
    }
    Ok(report)
}

async fn look(jetstream: &Context, stream: Stream) -> anyhow::Result<Option<Found>> {
    match jetstream.get_stream(stream.name()).await {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(error).with_context(|| format!("cannot look at stream {}", stream.name())),
        },
    }
}

fn status(found: &Found) -> StreamStatus {
    let info = found.cached_info();
    let times = first_and_last(&info.state);
    StreamStatus {
        name: info.config.name.clone(),
        messages: info.state.messages,
        bytes: info.state.bytes,
        max_bytes: u64::try_from(info.config.max_bytes)
            .ok()
            .filter(|max| *max > 0),
        max_age_seconds: Some(info.config.max_age.as_secs()).filter(|age| *age > 0),
        replicas: info.config.num_replicas,
        first_sequence: info.state.first_sequence,
        first_time: times.map(|(first, _)| first),
        last_sequence: info.state.last_sequence,
        last_time: times.map(|(_, last)| last),
    }
}

async fn clusters(events: &Found) -> anyhow::Result<Vec<ClusterStatus>> {
    let consumers: Vec<consumer::Info> = events
        .consumers()
        .try_collect()
        .await
        .context("cannot list the durables")?;
    let mut clusters = Vec::new();
    for durable in consumers {
        if let Some(name) = durable.config.durable_name.clone() {
            clusters.push(cluster(events, name, &durable).await);
        }
    }
    clusters.sort_by(|a, b| a.cluster.cmp(&b.cluster));
    Ok(clusters)
}

async fn cluster(events: &Found, cluster: String, durable: &consumer::Info) -> ClusterStatus {
    let first = events.cached_info().state.first_sequence;
    let next = durable.ack_floor.stream_sequence + 1;
    // What a filter leaves out never moves the floor, and is not missed.
    let filtered =
        !durable.config.filter_subject.is_empty() || !durable.config.filter_subjects.is_empty();
    let unacked = durable.num_pending > 0 || durable.num_ack_pending > 0;
    // Gone in the meantime, or not allowed to this user: then its age is not shown.
    let oldest = if unacked {
        events.get_raw_message(next.max(first)).await.ok()
    } else {
        None
    };
    ClusterStatus {
        cluster,
        backlog: durable.num_pending,
        in_flight: durable.num_ack_pending,
        redelivered: durable.num_redelivered,
        waiting_pulls: durable.num_waiting,
        last_ack: durable.ack_floor.last_active.map(timestamp),
        oldest_unacked: oldest.map(|message| timestamp(message.time)),
        stuck: 0,
        missed: if filtered {
            0
        } else {
            first.saturating_sub(next)
        },
        paused: durable.paused,
    }
}

/// What the consumers wrote down. A cluster whose consumers have never run has no position.
async fn positions(stored: &Found, clusters: &mut [ClusterStatus]) {
    for cluster in clusters {
        let Ok(name) = cluster.cluster.parse() else {
            continue;
        };
        let subject = Position::subject(&name);
        let Ok(message) = stored.direct_get_last_for_subject(subject).await else {
            continue;
        };
        if let Ok(position) = serde_json::from_slice::<Position>(&message.payload) {
            cluster.stuck = position.stuck.map_or(0, |stuck| stuck.count);
        }
    }
}

/// By the cluster's name in `eso-relay.dead.v<major>.<cluster>.<source>`.
async fn dead_letters(dead: &Found) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut subjects = dead
        .info_with_subjects(Stream::Dead.subjects())
        .await
        .context("cannot count the dead letters")?;
    let mut counts = BTreeMap::new();
    while let Some((subject, count)) = subjects.try_next().await? {
        if let Some(cluster) = subject.split('.').nth(3) {
            *counts.entry(cluster.to_owned()).or_default() += count as u64;
        }
    }
    Ok(counts)
}
