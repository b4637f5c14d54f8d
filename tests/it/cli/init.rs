use std::time::Duration;

use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, PullConsumer},
};
use eso_relay::stream::{Position, Stream};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{eso_relay, event, publish, slug};
use crate::nats::NatsServer;

/// What `init` says of each stream and durable, in its order.
fn actions(report: &Value) -> Vec<&str> {
    let changes = report["changes"].as_array().unwrap();
    changes
        .iter()
        .map(|change| change["action"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_second_init_changes_nothing() {
    let server = NatsServer::start().await;
    let first = eso_relay(&server, "init --cluster east -o json")
        .await
        .json();
    assert_eq!(actions(&first), ["created"; 7]);
    assert_eq!(
        first["changes"][6],
        json!({ "kind": "durable", "name": "east", "action": "created" })
    );
    let second = eso_relay(&server, "init --cluster east -o json")
        .await
        .json();
    assert_eq!(actions(&second), ["unchanged"; 7]);
}

#[tokio::test]
async fn one_more_cluster_keeps_the_others_and_what_was_set_before() {
    let server = NatsServer::start().await;
    eso_relay(
        &server,
        "init --cluster east --max-bytes 64MiB --max-age 24h -o json",
    )
    .await
    .json();
    let west = eso_relay(&server, "init --cluster west -o json")
        .await
        .json();
    assert_eq!(
        actions(&west),
        [
            "unchanged",
            "unchanged",
            "unchanged",
            "unchanged",
            "unchanged",
            "unchanged",
            "created"
        ]
    );
    let status = eso_relay(&server, "status -o json").await.json();
    assert_eq!(status["clusters"][0]["cluster"], "east");
    assert_eq!(status["clusters"][1]["cluster"], "west");
    assert_eq!(status["streams"][0]["max_bytes"], 64 << 20);
    assert_eq!(status["streams"][2]["max_age_seconds"], 24 * 3600);
}

#[tokio::test]
async fn init_keeps_messages_and_refuses_to_shrink_below_them() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east -o json")
        .await
        .json();
    let jetstream = server.jetstream().await;
    let many: Vec<_> = (0..100)
        .map(|at| event(&at.to_string(), &"k".repeat(2000), None))
        .collect();
    for _ in 0..8 {
        publish(&jetstream, &many).await;
    }

    let run = eso_relay(
        &server,
        "init --cluster west --max-age 96h --max-bytes 1MiB",
    )
    .await;
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(
        run.stderr.contains("stream ESO_RELAY would lose messages"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--max-bytes 1MiB"), "{}", run.stderr);

    wait_until_older(&server, SignedDuration::from_secs(1)).await;
    let run = eso_relay(&server, "init --max-age 1s").await;
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);

    // Nothing of a refused command was done.
    let status = eso_relay(&server, "status -o json").await.json();
    assert_eq!(status["streams"][0]["messages"], 8);
    assert_eq!(status["streams"][0]["max_age_seconds"], 72 * 3600);
    assert_eq!(status["clusters"].as_array().unwrap().len(), 1);

    let larger = eso_relay(&server, "init --max-age 96h -o json")
        .await
        .json();
    assert_eq!(
        larger["changes"][0]["settings"],
        json!([{ "setting": "max_age", "old": "72h", "new": "96h" }])
    );
}

/// Until the oldest event is older than `age`, as `init` counts it.
async fn wait_until_older(server: &NatsServer, age: SignedDuration) {
    let older = async {
        loop {
            let status = eso_relay(server, "status -o json").await.json();
            let [now, first] = [&status["now"], &status["streams"][0]["first_time"]]
                .map(|time| time.as_str().unwrap().parse::<Timestamp>().unwrap());
            if now.duration_since(first) > age {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), older)
        .await
        .unwrap();
}

async fn consumer(jetstream: &Context, cluster: &str) -> PullConsumer {
    let stream = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    stream.get_consumer(cluster).await.unwrap()
}

/// Acks the first `count` messages of a cluster.
async fn ack(jetstream: &Context, cluster: &str, count: usize) {
    let consumer = consumer(jetstream, cluster).await;
    assert_eq!(
        consumer.cached_info().config.ack_policy,
        AckPolicy::Explicit
    );
    let mut messages = consumer
        .fetch()
        .max_messages(count)
        .messages()
        .await
        .unwrap();
    while let Some(message) = messages.next().await {
        message.unwrap().double_ack().await.unwrap();
    }
}

#[tokio::test]
async fn a_shorter_max_age_waits_for_every_cluster_and_for_consent() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east --cluster west").await;
    let jetstream = server.jetstream().await;
    for id in ["1", "2"] {
        publish(&jetstream, &[event(id, "a", None)]).await;
    }
    // Receipts are as old, and keep nothing from being done.
    let receipt = "eso-relay.receipts.v1.east.prod.0123456789abcdef0123";
    let stored = jetstream.publish(receipt, "{}".into()).await.unwrap();
    stored.await.unwrap();
    ack(&jetstream, "east", 2).await;
    ack(&jetstream, "west", 1).await;
    wait_until_older(&server, SignedDuration::from_secs(2)).await;

    let run = eso_relay(&server, "init --max-age 1s --yes").await;
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
    for said in ["not acked by west (for ", "init --remove-cluster west"] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    assert!(!run.stderr.contains("east"), "{}", run.stderr);

    ack(&jetstream, "west", 1).await;
    let run = eso_relay(&server, "init --max-age 1s").await;
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
    for said in ["every cluster has acked", "add --yes"] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    let shorter = eso_relay(&server, "init --max-age 1s --yes -o json")
        .await
        .json();
    assert_eq!(
        actions(&shorter),
        [
            "updated",
            "unchanged",
            "updated",
            "unchanged",
            "unchanged",
            "unchanged"
        ]
    );
    let status = eso_relay(&server, "status -o json").await.json();
    for at in [0, 2] {
        assert_eq!(status["streams"][at]["max_age_seconds"], 1, "{status}");
    }
    let missed = [0, 1].map(|at| &status["clusters"][at]["missed"]);
    assert_eq!(missed, [0, 0]);
}

#[tokio::test]
async fn a_removed_cluster_leaves_its_dead_letters_and_receipts() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east --cluster west").await;
    let jetstream = server.jetstream().await;
    let position = |cluster| Position::subject(&slug(cluster));
    for subject in [
        position("east"),
        position("west"),
        Position::old_subject(&slug("west")),
        "eso-relay.dead.v1.west.prod".to_owned(),
        "eso-relay.receipts.v1.west.prod.0123456789abcdef0123".to_owned(),
        "eso-relay.polls.v1.watched.west.0123456789abcdef0123456789abcdef".to_owned(),
    ] {
        let ack = jetstream.publish(subject, "{}".into()).await.unwrap();
        ack.await.unwrap();
    }

    let run = eso_relay(&server, "init --remove-cluster west").await;
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("add --yes"), "{}", run.stderr);
    let removed = eso_relay(&server, "init --remove-cluster west --yes -o json")
        .await
        .json();
    assert_eq!(
        removed,
        json!({
            "changes": [
                { "kind": "durable", "name": "west", "action": "removed" },
                { "kind": "position", "name": "west", "action": "removed" },
                { "kind": "watch_list", "name": "west", "action": "removed" },
            ],
            "left": [{ "cluster": "west", "dead_letters": 1, "receipts": 1 }],
            "notes": [],
        })
    );
    let status = eso_relay(&server, "status -o json").await.json();
    assert_eq!(status["clusters"].as_array().unwrap().len(), 1);
    assert_eq!(status["clusters"][0]["cluster"], "east");
    let positions = jetstream
        .get_stream(Stream::Positions.name())
        .await
        .unwrap();
    for (cluster, there) in [("east", true), ("west", false)] {
        let found = positions
            .get_last_raw_message_by_subject(&position(cluster))
            .await;
        assert_eq!(found.is_ok(), there, "{cluster}");
    }

    // Once more, and one that never was: nothing to do, and that is said.
    let again = eso_relay(&server, "init --remove-cluster west --yes -o json")
        .await
        .json();
    assert_eq!(actions(&again), ["absent"; 2]);
    let run = eso_relay(&server, "init --remove-cluster esat --yes").await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("there is no cluster esat"),
        "{}",
        run.stdout
    );
    let status = eso_relay(&server, "status -o json").await.json();
    assert_eq!(status["clusters"][0]["cluster"], "east");
}

#[tokio::test]
async fn a_cluster_with_running_consumers_is_not_removed() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east").await;
    let jetstream = server.jetstream().await;
    let consumer = consumer(&jetstream, "east").await;
    let mut messages = consumer.messages().await.unwrap();
    let pull = tokio::spawn(async move { messages.next().await.is_some() });
    let waiting = async {
        while eso_relay(&server, "status -o json").await.json()["clusters"][0]["waiting_pulls"] == 0
        {
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap();
    let run = eso_relay(&server, "init --remove-cluster east --yes").await;
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
    assert!(run.stderr.contains("stop them first"), "{}", run.stderr);
    pull.abort();
    let status = eso_relay(&server, "status -o json").await.json();
    assert_eq!(status["clusters"][0]["cluster"], "east");
}
