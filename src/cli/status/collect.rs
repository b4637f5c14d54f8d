//! Asks the server.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream::{Context, consumer, stream::Stream as Found};
use eso_relay::{
    Slug,
    stream::{
        History, Position, Stream, Watched,
        position::Seen,
        stored,
        verify::{self, Problem},
    },
};
use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::{
    receipts::receipts,
    report::{ClusterStatus, Report, StreamStatus},
};
use crate::cli::{
    clusters::durables,
    output::{first_and_last, timestamp},
};

pub(super) async fn collect(jetstream: &Context, now: Timestamp) -> anyhow::Result<Report> {
    let mut report = Report {
        now,
        streams: Vec::new(),
        clusters: Vec::new(),
        dead_letters: BTreeMap::new(),
        receipts: BTreeMap::new(),
        watched: BTreeMap::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    for stream in Stream::ALL {
        let Some(found) = look(jetstream, stream).await? else {
            report.problem(Err(Problem::NoStream(stream)));
            continue;
        };
        let info = found.cached_info();
        report.problem(verify::stream(stream, &info.config));
        let history = History::of(stream, info, now);
        report.streams.push(status(&found, &history));
        match stream {
            Stream::Events => {
                report.filling(&history);
                clusters(&mut report, jetstream, &found, &history).await?;
            }
            Stream::Dead => {
                report.filling(&history);
                report.dead_letters = dead_letters(&found).await?;
            }
            Stream::Receipts => report.receipts = receipts(jetstream, now).await?,
            // What stands in the positions is told of each cluster.
            Stream::Positions | Stream::Audit => {}
            Stream::Polls => report.watched = watched(&found).await?,
        }
    }
    Ok(report)
}

async fn look(jetstream: &Context, stream: Stream) -> anyhow::Result<Option<Found>> {
    let found = stored::find(jetstream, stream).await;
    found.with_context(|| format!("cannot look at stream {}", stream.name()))
}

fn status(found: &Found, history: &History) -> StreamStatus {
    let info = found.cached_info();
    let times = first_and_last(&info.state);
    StreamStatus {
        name: info.config.name.clone(),
        messages: info.state.messages,
        bytes: info.state.bytes,
        max_bytes: u64::try_from(info.config.max_bytes)
            .ok()
            .filter(|max| *max > 0),
        fill: history.share(),
        max_age_seconds: Some(info.config.max_age.as_secs()).filter(|age| *age > 0),
        replicas: info.config.num_replicas,
        first_sequence: info.state.first_sequence,
        first_time: times.map(|(first, _)| first),
        last_sequence: info.state.last_sequence,
        last_time: times.map(|(_, last)| last),
    }
}

async fn clusters(
    report: &mut Report,
    jetstream: &Context,
    events: &Found,
    history: &History,
) -> anyhow::Result<()> {
    for durable in durables(events).await? {
        let Some(name) = &durable.config.durable_name else {
            continue;
        };
        // Another name is none of ours.
        if let Ok(cluster) = name.parse() {
            report.problem(verify::durable_config(&cluster, &durable.config));
        }
        let status = cluster(jetstream, events, name, &durable, history, report.now).await;
        report.near_removal(&status);
        report.clusters.push(status);
    }
    report.clusters.sort_by(|a, b| a.cluster.cmp(&b.cluster));
    Ok(())
}

async fn cluster(
    jetstream: &Context,
    events: &Found,
    name: &str,
    durable: &consumer::Info,
    history: &History,
    now: Timestamp,
) -> ClusterStatus {
    let next = durable.ack_floor.stream_sequence + 1;
    let unacked = durable.num_pending > 0 || durable.num_ack_pending > 0;
    // Gone in the meantime, or not allowed to this user: then its age is not shown.
    let oldest = if unacked {
        let first = events.cached_info().state.first_sequence;
        events.get_raw_message(next.max(first)).await.ok()
    } else {
        None
    };
    let oldest = oldest.map(|message| timestamp(message.time));
    let age = oldest.and_then(|oldest| Duration::try_from(now.duration_since(oldest)).ok());
    let expiry = if unacked {
        history.exposure(durable.ack_floor.stream_sequence, age)
    } else {
        0.0
    };
    let position = position(jetstream, events, name, durable, now).await;
    ClusterStatus {
        cluster: name.to_owned(),
        backlog: durable.num_pending,
        in_flight: durable.num_ack_pending,
        redelivered: durable.num_redelivered,
        waiting_pulls: durable.num_waiting,
        last_ack: durable.ack_floor.last_active.map(timestamp),
        oldest_unacked: oldest,
        expiry,
        missed: position.gap.as_ref().map_or(Some(0), |gap| gap.missed),
        gap: position.gap,
        stuck: position.stuck.map_or(0, |stuck| stuck.count),
        paused: durable.paused,
    }
}

/// What the cluster's consumers know, and what they would find if they looked now.
async fn position(
    jetstream: &Context,
    events: &Found,
    name: &str,
    durable: &consumer::Info,
    now: Timestamp,
) -> Position {
    let cluster = name.parse().ok();
    let last = match &cluster {
        Some(cluster) => last_position(jetstream, cluster).await,
        None => None,
    };
    let seen = Seen::of(events.cached_info(), durable);
    Position::after(last.as_ref(), &seen, now)
}

/// `None`: its consumers have not written one yet, or the stream for it is not there.
async fn last_position(jetstream: &Context, cluster: &Slug) -> Option<Position> {
    let positions = Stream::Positions.name();
    let stream = jetstream.get_stream_no_info(positions).await.ok()?;
    let subject = Position::subject(cluster);
    let last = stream
        .get_last_raw_message_by_subject(&subject)
        .await
        .ok()?;
    serde_json::from_slice(&last.payload).ok()
}

/// By the cluster's name in `eso-relay.dead.v<major>.<cluster>.<source>`.
async fn dead_letters(dead: &Found) -> anyhow::Result<BTreeMap<String, u64>> {
    let counts = count(dead, Stream::Dead.subjects(), 3).await;
    counts.context("cannot count the dead letters")
}

/// By the cluster's name in `eso-relay.polls.v<major>.watched.<cluster>.<hash>`.
async fn watched(polls: &Found) -> anyhow::Result<BTreeMap<String, u64>> {
    let counts = count(polls, &Watched::subjects(), 4).await;
    counts.context("cannot count the watched paths")
}

/// The messages of these subjects, by one of their tokens.
async fn count(
    stream: &Found,
    subjects: &str,
    token: usize,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut subjects = stream.info_with_subjects(subjects).await?;
    let mut counts = BTreeMap::new();
    while let Some((subject, count)) = subjects.try_next().await? {
        if let Some(name) = subject.split('.').nth(token) {
            *counts.entry(name.to_owned()).or_default() += count as u64;
        }
    }
    Ok(counts)
}
