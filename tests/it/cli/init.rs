use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{eso_relay, event, publish};
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
    assert_eq!(actions(&first), ["created"; 5]);
    assert_eq!(
        first["changes"][4],
        json!({ "kind": "durable", "name": "east", "action": "created" })
    );
    let second = eso_relay(&server, "init --cluster east -o json")
        .await
        .json();
    assert_eq!(actions(&second), ["unchanged"; 5]);
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
        json!([{ "setting": "max_age", "old": "3days", "new": "4days" }])
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
