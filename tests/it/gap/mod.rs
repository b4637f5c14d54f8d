//! Events that a cluster never saw: then everything is refreshed once.

mod lost;
mod replicas;
mod stuck;

use std::time::Duration;

use eso_relay::stream::{Position, Stream, position::Gap};
use eso_relay_lab::{
    daemon::Daemon,
    installation::{Cluster, READY, Webhooks, akeyless},
    wait,
};

use crate::{
    consuming::{Consuming, TEAM},
    metrics::reaches,
};

/// Gaps that this consumer has begun to close.
async fn gaps(consumer: &Daemon) -> u64 {
    let metric = "eso_relay_consumer_gaps_total";
    consumer.count(metric, &[]).await.unwrap()
}

async fn position(relay: &Consuming) -> Option<Position> {
    let stream = relay
        .jetstream
        .get_stream(Stream::Positions.name())
        .await
        .unwrap();
    let subject = Position::subject(&relay.cluster.name().parse().unwrap());
    let message = stream.direct_get_last_for_subject(subject).await.ok()?;
    serde_json::from_slice(&message.payload).ok()
}

/// Waits until no gap is open any more.
async fn closed(relay: &Consuming) {
    wait::until_ok("the gap to be closed", READY, || async {
        match position(relay).await {
            Some(Position { gap: None, .. }) => Ok(()),
            other => Err(other),
        }
    })
    .await
    .unwrap();
}

async fn purge(relay: &Consuming) {
    let stream = relay
        .jetstream
        .get_stream(Stream::Events.name())
        .await
        .unwrap();
    stream.purge().await.unwrap();
}

/// Waits until the position is at the ack floor.
pub(crate) async fn noted(relay: &Consuming, floor: u64) {
    let what = format!("the position to be {floor}");
    wait::until_ok(what, READY, || async {
        let position = position(relay).await;
        let at = position.as_ref().map(|position| position.floor);
        (at == Some(floor)).then_some(()).ok_or(position)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn purged_events_are_a_gap() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    // As left by a consumer that has seen nothing yet.
    let mut first = relay.consumer("").await;
    noted(&relay, 0).await;
    first.terminate().unwrap();
    first.wait_exit(READY).await.unwrap();

    relay.cluster.values.set("/prod/db", "new");
    relay.publish(&["/prod/db"]).await;
    purge(&relay).await;
    assert_eq!(relay.durable().await.num_pending, 0);
    let consumer = relay.consumer("").await;
    for name in ["db", "mail"] {
        relay.cluster.refreshed(TEAM, name, None).await.unwrap();
    }
    closed(&relay).await;
    assert_eq!(gaps(&consumer).await, 1);
    let missed = "eso_relay_consumer_missed_messages_total";
    assert_eq!(consumer.count(missed, &[]).await.unwrap(), 1);
    reaches(&consumer, "eso_relay_consumer_gap_open", &[], 0).await;
    let said = "refreshing everything once";
    consumer.wait_log(said, READY).await.unwrap();

    // Closed: another start finds nothing to do.
    let before = relay.cluster.refresh_of(TEAM, "db").await;
    let again = relay.consumer("").await;
    assert_eq!(gaps(&again).await, 0);
    assert_eq!(relay.cluster.refresh_of(TEAM, "db").await, before);
    // A trace knows it, though it never stood in the stream.
    let value = before.unwrap();
    let trace = wait::until_ok("the trace to know it", READY, async || {
        let trace = relay.hub.cli(&["trace", &value, "--wait"]).await.unwrap();
        if trace.code == 0 {
            Ok(trace)
        } else {
            Err(trace)
        }
    });
    let trace = trace.await.unwrap();
    assert!(trace.stdout.contains("synced by ESO 2"), "{trace:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_events_are_a_gap() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    relay.publish(&["/prod/db"]).await;
    // No consumer has stored a position yet: the ack floor decides.
    expire(&relay, Stream::Events).await;
    let values = relay.publish(&["/prod/mail"]).await;
    let consumer = relay.consumer("").await;
    relay.cluster.refreshed(TEAM, "db", None).await.unwrap();
    relay.carries("mail", &values[0]).await;
    closed(&relay).await;
    assert_eq!(gaps(&consumer).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_drops_the_oldest() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    let smallest = ["--max-bytes", "1MiB"];
    relay.hub.init_with(&smallest, &[]).await.unwrap();
    let mut ingress = relay.hub.ingress().start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    let accept = async |key: &str| {
        let body = (0..50).map(|at| akeyless(at, key)).collect();
        let answer = webhooks.akeyless(&body).await.unwrap();
        assert_eq!(answer.status, reqwest::StatusCode::ACCEPTED, "{answer:?}");
    };

    accept("/prod/db").await;
    let stream = || relay.jetstream.get_stream(Stream::Events.name());
    while stream().await.unwrap().cached_info().state.first_sequence == 1 {
        accept(&"k".repeat(2000)).await;
    }
    let log = ingress.wait_log("give it more room", READY).await.unwrap();
    assert!(log.contains("% full and reaches back"), "{log}");
    let (_, ready) = ingress.readyz().await.unwrap();
    assert!(ready.contains("[+]stream ok, but"), "{ready}");
    let fill = "eso_relay_ingress_stream_fill_ratio";
    assert!(ingress.metric(fill, &[]).await.unwrap() > 0.8);
    let status = relay.hub.cli(&["status"]).await.unwrap();
    assert_eq!(status.code, 0, "{status:?}");
    for warning in [
        "warning: stream ESO_RELAY is",
        "warning: east is about to miss",
        "east missed up to",
    ] {
        assert!(status.stdout.contains(warning), "{status:?}");
    }

    let consumer = relay.consumer("").await;
    for name in ["db", "mail"] {
        relay.cluster.refreshed(TEAM, name, None).await.unwrap();
    }
    closed(&relay).await;
    assert_eq!(gaps(&consumer).await, 1);
}

/// As `--max-age` does it, and sooner.
async fn expire(relay: &Consuming, stream: Stream) {
    let name = stream.name();
    let stream = || async { relay.jetstream.get_stream(name).await.unwrap() };
    let long = stream().await.cached_info().config.clone();
    let mut short = long.clone();
    short.max_age = Duration::from_secs(1);
    short.duplicate_window = Duration::from_millis(500);
    relay.jetstream.update_stream(short).await.unwrap();
    wait::until("the events to expire", READY, || async {
        let messages = stream().await.cached_info().state.messages;
        (messages == 0).then_some(())
    })
    .await
    .unwrap();
    relay.jetstream.update_stream(long).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_cannot_be_read_is_written_anew() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let subject = Position::subject(&"east".parse().unwrap());
    let ack = relay.jetstream.publish(subject, "{}".into()).await.unwrap();
    ack.await.unwrap();
    let consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    noted(&relay, 1).await;
    assert_eq!(gaps(&consumer).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_gap_is_resumed() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    open_gap(&relay).await;
    let consumer = relay.consumer("").await;
    for name in ["db", "mail"] {
        relay.cluster.refreshed(TEAM, name, None).await.unwrap();
    }
    closed(&relay).await;
    assert_eq!(gaps(&consumer).await, 1);
}

/// Found by a consumer that ended before it had refreshed anything.
async fn open_gap(relay: &Consuming) {
    let stream = relay.jetstream.get_stream(Stream::Events.name()).await;
    let created = stream.unwrap().cached_info().created;
    let open = Position {
        stream: eso_relay::nats::timestamp(created),
        floor: 0,
        gap: Some(Gap {
            found_at: "2026-01-31T08:00:00Z".parse().unwrap(),
            missed: Some(3),
        }),
        ..Position::default()
    };
    let subject = Position::subject(&"east".parse().unwrap());
    let body = serde_json::to_vec(&open).unwrap();
    let ack = relay.jetstream.publish(subject, body.into()).await.unwrap();
    ack.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_starts_now_or_as_configured() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    relay.publish(&["/prod/db", "/prod/mail"]).await;
    for (cluster, start, pending) in [
        ("west", "now", 0),
        ("north", "oldest", 1),
        ("south", "1h", 1),
    ] {
        let args = ["init", "--cluster", cluster, "--start", start];
        let init = relay.hub.cli(&args).await.unwrap();
        assert_eq!(init.code, 0, "{init:?}");
        let info = crate::consuming::info(&relay.jetstream, cluster).await;
        assert_eq!(info.num_pending, pending, "{cluster}");
    }
    let wrong = relay
        .hub
        .cli(&["init", "--cluster", "x", "--start", "soon"]);
    let wrong = wrong.await.unwrap();
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("write now, oldest, or"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resync_reaches_its_targets_only() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    let west = relay.hub.cli(&["init", "--cluster", "west"]).await.unwrap();
    assert_eq!(west.code, 0, "{west:?}");
    let _consumer = relay.consumer("").await;
    let resync = async |options: &[&str]| {
        let args = [&["resync", "-o", "json"], options].concat();
        let run = relay.hub.cli(&args).await.unwrap();
        assert_eq!(run.code, 0, "{run:?}");
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        json["annotation"].as_str().unwrap().to_owned()
    };
    let value = resync(&["--cluster", "east"]).await;
    relay.carries("db", &value).await;
    relay.carries("mail", &value).await;
    for elsewhere in [
        ["--cluster", "west", "--namespace", TEAM],
        ["--cluster", "east", "--namespace", "team-b"],
        ["--cluster", "east", "--store", "ClusterSecretStore/*"],
    ] {
        resync(&elsewhere).await;
    }
    relay.drained().await;
    relay.carries("db", &value).await;
    let named = [
        "--cluster",
        "east",
        "--store",
        "SecretStore/akey*",
        "-n",
        TEAM,
    ];
    let value = resync(&named).await;
    relay.carries("db", &value).await;
}
