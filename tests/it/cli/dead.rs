//! `eso-relay dead` and `eso-relay audit`.

use async_nats::jetstream::Context;
use bytes::Bytes;
use eso_relay::{
    Event,
    event::encode,
    stream::{DeadLetter, Reason, Stream},
};

use super::{eso_relay, event, events_from, slug};
use crate::nats::NatsServer;

/// A server with the clusters `east` and `west`.
async fn started() -> (NatsServer, Context) {
    let server = NatsServer::start().await;
    let init = eso_relay(&server, "init --cluster east --cluster west -o json").await;
    init.json();
    let jetstream = server.jetstream().await;
    (server, jetstream)
}

async fn store(jetstream: &Context, cluster: &str, reason: Reason, error: &str, body: Bytes) {
    let letter = DeadLetter {
        reason,
        error: error.to_owned(),
        cluster: slug(cluster),
        source: slug("prod"),
        attempts: 3,
        stream_sequence: 7,
        gap: None,
        index: Some(0),
        subject: "eso-relay.events.v1.akeyless.prod".to_owned(),
        body,
    };
    let stored = jetstream.publish_with_headers(letter.subject(), letter.headers(), letter.body);
    stored.await.unwrap().await.unwrap();
}

async fn refused(jetstream: &Context, cluster: &str, key: &str) {
    let body = encode(&event(key, key, None));
    store(jetstream, cluster, Reason::Refused, "422: denied", body).await;
}

async fn left(jetstream: &Context) -> u64 {
    let dead = jetstream.get_stream(Stream::Dead.name()).await.unwrap();
    dead.cached_info().state.messages
}

fn count(report: &serde_json::Value) -> usize {
    report["dead_letters"].as_array().unwrap().len()
}

#[tokio::test]
async fn letters_are_filtered_and_grouped() {
    let (server, jetstream) = started().await;
    for key in ["a", "b"] {
        refused(&jetstream, "east", key).await;
    }
    refused(&jetstream, "west", "a").await;
    store(
        &jetstream,
        "east",
        Reason::Undecodable,
        "not JSON",
        "x".into(),
    )
    .await;
    for (filter, expected) in [
        ("", 4),
        ("--cluster east", 3),
        ("--reason refused", 3),
        ("--cluster east --reason refused --key a", 1),
        ("--error DENIED", 3),
        ("--source other", 0),
        ("--since 1h", 4),
        ("--until 1h", 0),
        ("--limit 2", 2),
    ] {
        let list = eso_relay(&server, &format!("dead list {filter} -o json")).await;
        assert_eq!(count(&list.json()), expected, "{filter}");
    }
    let groups = eso_relay(&server, "dead list --group -o json").await.json();
    let groups = groups["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 3);
    assert_eq!(groups[0]["count"], 2);
    assert_eq!(groups[0]["cluster"], "east");
    let wrong = eso_relay(&server, "dead list --reason refsued").await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("refused"), "{}", wrong.stderr);
}

#[tokio::test]
async fn a_redrive_is_for_its_cluster_alone() {
    let (server, jetstream) = started().await;
    refused(&jetstream, "east", "a").await;
    store(
        &jetstream,
        "west",
        Reason::GaveUp,
        "away",
        encode(&event("b", "b", None)),
    )
    .await;

    let look = "dead redrive --reason refused --dry-run -o json";
    assert_eq!(count(&eso_relay(&server, look).await.json()), 1);
    assert_eq!(
        (
            left(&jetstream).await,
            events_from(&jetstream, 1).await.len()
        ),
        (2, 0)
    );

    let run = "dead redrive --reason refused --yes -o json";
    assert_eq!(eso_relay(&server, run).await.json()["redriven"], 1);
    assert_eq!(left(&jetstream).await, 1);
    let events = events_from(&jetstream, 1).await;
    let [event] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert!(event.reaches_cluster(&slug("east")) && !event.reaches_cluster(&slug("west")));
    assert_eq!(
        (event.origin.event_id.as_deref(), event.origin.redriven),
        (Some("a"), 1)
    );
    let again = eso_relay(&server, run).await;
    assert_eq!(again.json()["redriven"], 0);
    let said = eso_relay(&server, "dead redrive --reason refused --yes").await;
    assert!(
        said.stdout.contains("to redrive  nothing"),
        "{}",
        said.stdout
    );
}

/// As if the command had been killed between the PubAck and the removal.
#[tokio::test]
async fn a_redrive_that_was_cut_off_is_stored_once() {
    let (server, jetstream) = started().await;
    refused(&jetstream, "east", "a").await;
    let created = jetstream.get_stream(Stream::Dead.name()).await.unwrap();
    let created = created.cached_info().created.unix_timestamp();
    let id = format!("redrive-1-{created}-0");
    let published = Event {
        id: id.clone(),
        ..event("a", "a", None)
    };
    let message = eso_relay::stream::message(&id, 1, eso_relay::event::encode_batch([&published]));
    let subject = eso_relay::stream::Subject::of(&published).to_string();
    let stored = jetstream.send_publish(subject, message).await.unwrap();
    stored.await.unwrap();

    let run = eso_relay(&server, "dead redrive 1 --yes -o json").await;
    assert_eq!(run.json()["redriven"], 1);
    assert_eq!(
        (
            left(&jetstream).await,
            events_from(&jetstream, 1).await.len()
        ),
        (0, 1)
    );
}

#[tokio::test]
async fn what_should_not_go_again_stays() {
    let (server, jetstream) = started().await;
    let mut often = event("often", "a", None);
    often.origin.redriven = 3;
    store(&jetstream, "east", Reason::Refused, "422", encode(&often)).await;
    refused(&jetstream, "gone", "a").await;
    let report = eso_relay(&server, "dead redrive --all --yes -o json")
        .await
        .json();
    assert_eq!(report["redriven"], 0);
    assert_eq!(report["left_out"]["too_often"], 1);
    assert_eq!(report["left_out"]["no_cluster"], 1);
    let forced = eso_relay(&server, "dead redrive 1 --force --yes -o json").await;
    assert_eq!(forced.json()["redriven"], 1);

    store(
        &jetstream,
        "east",
        Reason::Undecodable,
        "not JSON",
        "[{}]".into(),
    )
    .await;
    let refused = eso_relay(&server, "dead redrive --all --yes").await;
    assert_eq!(refused.code, 3);
    assert!(
        refused.stderr.contains("upgrade eso-relay"),
        "{}",
        refused.stderr
    );
    assert_eq!(left(&jetstream).await, 2);
}

#[tokio::test]
async fn a_message_that_a_newer_version_reads_is_redriven() {
    let (server, jetstream) = started().await;
    let batch = eso_relay::event::encode_batch(&[event("1", "a", None), event("2", "b", None)]);
    store(&jetstream, "east", Reason::Undecodable, "unknown", batch).await;
    let run = eso_relay(&server, "dead redrive --all --yes -o json").await;
    assert_eq!(run.json()["redriven"], 1);
    assert_eq!(events_from(&jetstream, 1).await.len(), 2);
}

#[tokio::test]
async fn more_than_max_is_left_for_another_run() {
    let (server, jetstream) = started().await;
    for key in ["a", "b", "c"] {
        refused(&jetstream, "east", key).await;
    }
    let run = "dead redrive --all --max 2 --yes -o json";
    let first = eso_relay(&server, run).await.json();
    assert_eq!((&first["redriven"], &first["more"]), (&2.into(), &1.into()));
    let second = eso_relay(&server, run).await.json();
    assert_eq!(
        (&second["redriven"], &second["more"]),
        (&1.into(), &0.into())
    );
}

/// A stream that takes nothing: what could not be published keeps its letter.
#[tokio::test]
async fn a_full_stream_loses_no_letter() {
    let (server, jetstream) = started().await;
    for key in ["a", "b"] {
        refused(&jetstream, "east", key).await;
    }
    jetstream
        .delete_stream(Stream::Events.name())
        .await
        .unwrap();
    let mut full = Stream::Events.config(&eso_relay::stream::Limits::default());
    full.max_bytes = 1;
    full.discard = async_nats::jetstream::stream::DiscardPolicy::New;
    jetstream.create_stream(full).await.unwrap();
    let east = eso_relay::stream::durable(&slug("east"), eso_relay::stream::Start::Now);
    let events = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    events.create_consumer(east).await.unwrap();
    let run = eso_relay(&server, "dead redrive --all --yes").await;
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(run.stderr.contains("0 of 2 dead letters"), "{}", run.stderr);
    assert_eq!(left(&jetstream).await, 2);
}

#[tokio::test]
async fn a_command_says_what_it_would_act_on() {
    let (server, jetstream) = started().await;
    refused(&jetstream, "east", "a").await;
    for (line, said) in [
        ("dead redrive --yes", "say which"),
        ("dead redrive --all", "add --yes"),
        ("dead discard --all --yes", "--because"),
        ("dead discard --yes --because x", "say which"),
    ] {
        let run = eso_relay(&server, line).await;
        assert_eq!(run.code, 2, "{line}");
        assert!(run.stderr.contains(said), "{line}: {}", run.stderr);
    }
    let missing = eso_relay(&server, "dead redrive 99 --yes").await;
    assert_eq!(missing.code, 1);
    assert!(
        missing.stderr.contains("no dead letter 99"),
        "{}",
        missing.stderr
    );
    assert_eq!(left(&jetstream).await, 1);
}

#[tokio::test]
async fn what_people_do_is_recorded() {
    let (server, jetstream) = started().await;
    for key in ["a", "b"] {
        refused(&jetstream, "east", key).await;
    }
    eso_relay(&server, "dead discard 1 --because gone --yes -o json")
        .await
        .json();
    eso_relay(&server, "dead redrive 2 --yes -o json")
        .await
        .json();
    let url = server.url().replace("nats://", "nats://me:hunter2@");
    let send = format!("send --nats {url} --key a -o json");
    eso_relay(&server, &send).await.json();
    eso_relay(&server, "resync --cluster east -o json")
        .await
        .json();
    let audit = eso_relay(&server, "audit -o json").await.json();
    assert!(!audit.to_string().contains("hunter2"), "{audit}");
    let entries = audit["audit"].as_array().unwrap();
    let verbs: Vec<_> = entries
        .iter()
        .map(|it| it["verb"].as_str().unwrap())
        .collect();
    assert_eq!(verbs, ["init", "discard", "redrive", "send", "resync"]);
    assert_eq!(entries[1]["because"], "gone");
    assert_eq!(entries[1]["count"], 1);
    let discards = eso_relay(&server, "audit --verb discard").await;
    assert_eq!(discards.stdout.lines().count(), 2, "{}", discards.stdout);

    // Streams of an earlier version have none: that is no error.
    jetstream.delete_stream(Stream::Audit.name()).await.unwrap();
    let send = eso_relay(&server, "send --key a").await;
    assert_eq!((send.code, send.stderr.as_str()), (0, ""));
}
