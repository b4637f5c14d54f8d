//! What each cluster says of the event.

use anyhow::Context as _;
use async_nats::jetstream::{
    Context,
    consumer::{self, DeliverPolicy},
    stream::LastRawMessageErrorKind,
};
use eso_relay::{
    Slug,
    stream::{Receipt, Stream, receipt},
};

use super::{
    find::Found,
    report::{Answer, Cluster, Report},
};
use crate::cli::{
    clusters::durables,
    scan::{Scan, scan},
};

pub(super) async fn follow(
    jetstream: &Context,
    found: &Found,
    only: Option<&Slug>,
) -> anyhow::Result<Report> {
    let stream = jetstream.get_stream_no_info(Stream::Events.name()).await;
    let stream = stream.context("cannot look at the events stream")?;
    let mut clusters = Vec::new();
    for durable in durables(&stream).await? {
        let name = durable.config.durable_name.as_deref();
        let Some(cluster) = name.and_then(|name| name.parse::<Slug>().ok()) else {
            continue;
        };
        if only.is_none_or(|only| *only == cluster) {
            let answer = answer(jetstream, found, &cluster, &durable).await?;
            clusters.push(Cluster { cluster, answer });
        }
    }
    if let (Some(only), true) = (only, clusters.is_empty()) {
        anyhow::bail!("no cluster {only}: `eso-relay init --cluster {only}` declares it");
    }
    clusters.sort_by(|a, b| a.cluster.cmp(&b.cluster));
    Ok(Report::new(found, clusters))
}

async fn answer(
    jetstream: &Context,
    found: &Found,
    cluster: &Slug,
    durable: &consumer::Info,
) -> anyhow::Result<Answer> {
    let stored = found.stored.as_ref();
    if stored.is_some_and(|stored| !stored.event.reaches_cluster(cluster)) {
        return Ok(Answer::Elsewhere);
    }
    let dead = dead(jetstream, found, cluster).await?;
    let receipt = receipt(jetstream, found, cluster).await?;
    if let Some(reason) = dead {
        return Ok(Answer::DeadLettered { reason, receipt });
    }
    if let Some(receipt) = receipt {
        return Ok(Answer::Receipt(receipt));
    }
    let sequence = found.sequence;
    Ok(if sequence == 0 {
        Answer::Elsewhere
    } else if sequence <= durable.ack_floor.stream_sequence {
        Answer::Unknown
    } else if sequence <= durable.delivered.stream_sequence {
        Answer::InFlight
    } else {
        Answer::Waiting {
            backlog: durable.num_pending,
        }
    })
}

async fn receipt(
    jetstream: &Context,
    found: &Found,
    cluster: &Slug,
) -> anyhow::Result<Option<Receipt>> {
    let stream = jetstream.get_stream_no_info(Stream::Receipts.name()).await;
    let stream = stream.context("cannot look at the receipts")?;
    let subject = receipt::subject(cluster, &found.source, found.fingerprint);
    match stream.get_last_raw_message_by_subject(&subject).await {
        // A receipt that a later version wrote otherwise counts as none.
        Ok(message) => Ok(serde_json::from_slice(&message.payload).ok()),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error).context("cannot read the receipt"),
    }
}

/// Why the message, or an event of it, was given up there.
async fn dead(
    jetstream: &Context,
    found: &Found,
    cluster: &Slug,
) -> anyhow::Result<Option<String>> {
    let mut reason = None;
    let letters = Scan {
        stream: Stream::Dead,
        filter: format!("eso-relay.dead.*.{cluster}.{}", found.source),
        start: DeliverPolicy::All,
        headers_only: false,
    };
    scan(jetstream, letters, |message, _| {
        let header = |name| {
            let headers = message.headers.as_ref()?;
            Some(headers.get(name)?.to_string())
        };
        let is_ours = header("Eso-Relay-Sequence") == Some(found.sequence.to_string());
        // The body is the event, or the whole message if that could not be read.
        let event = serde_json::from_slice::<serde_json::Value>(&message.payload);
        let other = event.is_ok_and(|event| match (event["id"].as_str(), &found.stored) {
            (Some(id), Some(stored)) => id != stored.event.id,
            (None, _) => true,
            (_, None) => false,
        });
        if is_ours && !other {
            reason = header("Eso-Relay-Reason");
        }
    })
    .await?;
    Ok(reason)
}
