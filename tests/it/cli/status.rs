use std::{process::Stdio, time::Duration};

use async_nats::jetstream::{consumer::PullConsumer, stream::Compression};
use eso_relay::stream::{DeadLetter, Limits, Position, Reason, Start, Stream, position::Gap};
use futures::StreamExt as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{eso_relay, event, publish, slug};
use crate::nats::NatsServer;

#[tokio::test]
async fn status_shows_what_each_cluster_has_before_it() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east --cluster west -o json")
        .await
        .json();
    let jetstream = server.jetstream().await;
    for id in ["1", "2", "3"] {
        publish(&jetstream, &[event(id, "a", None)]).await;
    }
    let events = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    let east: PullConsumer = events.get_consumer("east").await.unwrap();
    let mut messages = east.fetch().max_messages(2).messages().await.unwrap();
    messages
        .next()
        .await
        .unwrap()
        .unwrap()
        .double_ack()
        .await
        .unwrap();
    messages.next().await.unwrap().unwrap();

    let status = eso_relay(&server, "status -o json").await.json();
    assert_eq!(status["streams"][0]["name"], "ESO_RELAY");
    assert_eq!(status["streams"][0]["messages"], 3);
    assert_eq!(status["streams"][0]["last_sequence"], 3);
    let [east, west] = &status["clusters"].as_array().unwrap()[..] else {
        panic!()
    };
    assert_eq!(
        (&east["backlog"], &east["in_flight"]),
        (&1.into(), &1.into())
    );
    assert!(
        east["last_ack"].is_string() && east["oldest_unacked"].is_string(),
        "{east}"
    );
    assert_eq!(
        (&west["backlog"], &west["in_flight"]),
        (&3.into(), &0.into())
    );
    assert!(west["last_ack"].is_null(), "{west}");
    assert_eq!((&east["missed"], &west["missed"]), (&0.into(), &0.into()));
}

#[tokio::test]
async fn messages_that_expired_before_a_cluster_saw_them_are_missed() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east --max-age 1s -o json")
        .await
        .json();
    let jetstream = server.jetstream().await;
    for id in ["1", "2", "3"] {
        publish(&jetstream, &[event(id, "a", None)]).await;
    }
    let expired = async {
        loop {
            let run = eso_relay(&server, "status -o json").await;
            if run.json()["streams"][0]["messages"] == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), expired)
        .await
        .unwrap();
    // A cluster that joins now has missed nothing.
    eso_relay(&server, "init --cluster west -o json")
        .await
        .json();
    let status = eso_relay(&server, "status -o json").await.json();
    let missed = [0, 1].map(|at| status["clusters"][at]["missed"].as_u64());
    assert_eq!(missed, [Some(3), Some(0)]);
    let run = eso_relay(&server, "status").await;
    let advice =
        "east missed up to 3 messages: its consumers refresh everything when they come back";
    assert!(run.stdout.contains(advice), "{}", run.stdout);
}

/// A purge moves the ack floor past what no consumer has seen; the position does not move.
#[tokio::test]
async fn missed_is_what_the_consumers_know_and_not_what_the_ack_floor_says() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east -o json")
        .await
        .json();
    let jetstream = server.jetstream().await;
    let stream = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    let durable = stream.consumer_info("east").await.unwrap();
    let write = async |floor, gap| {
        let position = Position {
            stream: eso_relay::nats::timestamp(stream.cached_info().created),
            durable: Some(eso_relay::nats::timestamp(durable.created)),
            floor,
            gap,
            ..Position::default()
        };
        let body = serde_json::to_vec(&position).unwrap();
        let subject = Position::subject(&slug("east"));
        let ack = jetstream.publish(subject, body.into()).await.unwrap();
        ack.await.unwrap();
    };
    let status = async || eso_relay(&server, "status -o json").await.json()["clusters"][0].clone();

    write(0, None).await;
    for id in ["1", "2", "3"] {
        publish(&jetstream, &[event(id, "a", None)]).await;
    }
    stream.purge().await.unwrap();
    assert_eq!(status().await["missed"], 3);

    // Found by a consumer, which refreshes everything now.
    let gap = |missed| Gap {
        found_at: "2026-01-31T08:00:00Z".parse().unwrap(),
        missed,
    };
    write(3, Some(gap(Some(7)))).await;
    let found = status().await;
    assert_eq!(found["missed"], 7);
    assert_eq!(found["gap"]["foundAt"], "2026-01-31T08:00:00Z");
    // With the stream, all of it.
    write(3, Some(gap(None))).await;
    assert!(status().await["missed"].is_null());
    let run = eso_relay(&server, "status").await;
    let told = "east missed an unknown number of messages";
    assert!(run.stdout.contains(told), "{}", run.stdout);
    // And done with.
    write(3, None).await;
    let closed = status().await;
    assert_eq!(
        (&closed["missed"], &closed["gap"]),
        (&0.into(), &Value::Null)
    );
}

#[tokio::test]
async fn what_init_is_to_bring_up_to_date_is_a_failed_check() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east -o json")
        .await
        .json();
    let jetstream = server.jetstream().await;
    let mut config = Stream::Receipts.config(&Limits::default());
    config.compression = Some(Compression::S2);
    jetstream.update_stream(config).await.unwrap();
    let events = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    let mut durable = eso_relay::stream::durable(&slug("east"), Start::default());
    durable.ack_wait = Duration::from_secs(60);
    events.update_consumer(durable).await.unwrap();

    let run = eso_relay(&server, "status").await;
    assert_eq!(run.code, 3);
    for said in [
        "stream ESO_RELAY_RECEIPTS: compression S2",
        "durable `east`: ack_wait 1m",
        "run `eso-relay init --cluster east`",
    ] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    let run = eso_relay(&server, "init --cluster east").await;
    for said in [
        "compression: S2 → None",
        "ack_wait: 1m → 15s",
        "note: each nats-server goes on compressing until it is restarted",
    ] {
        assert!(run.stdout.contains(said), "{}", run.stdout);
    }
    assert_eq!(eso_relay(&server, "status").await.code, 0);
}

#[tokio::test]
async fn a_missing_stream_is_a_failed_check() {
    let server = NatsServer::start().await;
    let run = eso_relay(&server, "status").await;
    assert_eq!(run.code, 3);
    assert!(
        run.stderr
            .contains("stream ESO_RELAY does not exist: run `eso-relay init`"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn dead_letters_are_counted_listed_and_shown() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east -o json")
        .await
        .json();
    let jetstream = server.jetstream().await;
    let letter = DeadLetter {
        reason: Reason::Refused,
        error: "403 Forbidden".to_owned(),
        cluster: slug("east"),
        source: slug("prod"),
        attempts: 10,
        stream_sequence: 7,
        gap: None,
        index: Some(0),
        subject: "eso-relay.events.v1.akeyless.prod".to_owned(),
        body: eso_relay::event::encode_batch([&event("1", "a", None)]),
    };
    let (subject, headers) = (letter.subject(), letter.headers());
    let publish = jetstream.publish_with_headers(subject, headers, letter.body);
    publish.await.unwrap().await.unwrap();

    let status = eso_relay(&server, "status -o json").await.json();
    assert_eq!(status["dead_letters"]["east"], 1);
    let list = eso_relay(&server, "dead list --cluster east -o json")
        .await
        .json();
    let found = &list["dead_letters"][0];
    assert_eq!(
        (&found["sequence"], &found["reason"]),
        (&1.into(), &"refused".into())
    );
    assert_eq!(
        (&found["error"], &found["event_sequence"]),
        (&"403 Forbidden".into(), &"7".into())
    );
    let shown = eso_relay(&server, "dead show 1 -o json").await.json();
    assert_eq!(shown["body"][0]["id"], "1");
    let shown = eso_relay(&server, "dead show 1").await.stdout;
    let receipt = event("1", "a", None).fingerprint();
    for next in [
        "redrive     eso-relay dead redrive 1\n",
        &format!("receipt     eso-relay trace {receipt}\n"),
        "matches     eso-relay dead show 1 --output json | eso-relay matches --event -\n",
    ] {
        assert!(shown.contains(next), "{shown}");
    }
    let none = eso_relay(&server, "dead list --cluster west").await;
    assert_eq!(none.stdout, "no dead letters\n");
    let run = eso_relay(&server, "dead show 2").await;
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("no dead letter 2"), "{}", run.stderr);
}

#[tokio::test]
async fn a_watch_into_a_pipe_clears_no_screen() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east").await;
    let mut watch = tokio::process::Command::new(env!("CARGO_BIN_EXE_eso-relay"))
        .args(["--nats", &server.url(), "status", "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut tables = 0;
    while tables < 2 {
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(!line.contains('\u{1b}'), "{line:?}");
        tables += usize::from(line.starts_with("STREAM"));
    }
    watch.kill().await.unwrap();
    let said = watch.wait_with_output().await.unwrap().stderr;
    assert!(!said.contains(&0x1b), "{said:?}");
}
