//! What cannot be read: a dead letter, and the next one goes on.

use std::time::Duration;

use async_nats::jetstream::{message::StreamMessage, stream::RetentionPolicy};
use eso_relay::stream::{Limits, Stream};
use eso_relay_lab::{
    installation::{Cluster, READY},
    wait,
};

use crate::consuming::Consuming;

const SUBJECT: &str = "eso-relay.events.v1.akeyless.prod";

async fn publish_raw(relay: &Consuming, subject: &'static str, body: &'static str) {
    let sent = relay.jetstream.publish(subject, body.into()).await.unwrap();
    sent.await.unwrap();
}

fn header<'a>(letter: &'a StreamMessage, name: &str) -> &'a str {
    letter.headers.get(name).map_or("", |value| value.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_is_dead_lettered() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let no_keys = r#"[{"specversion":"1.0","id":"1","source":"/sources/prod","type":"secret.changed","datacontenttype":"application/json","data":{"provider":"akeyless","match":"exact","keys":[],"receivedAt":"2026-01-31T08:00:00Z"}}]"#;
    publish_raw(&relay, SUBJECT, "hunter2").await;
    publish_raw(&relay, "eso-relay.events.v2.akeyless.prod", "[]").await;
    publish_raw(&relay, SUBJECT, no_keys).await;
    let values = relay.publish(&["/prod/db"]).await;

    let consumer = relay.consumer("").await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    let mut letters = relay.dead_letters().await;
    letters.sort_by_key(|letter| header(letter, "Eso-Relay-Sequence").to_owned());
    let told: Vec<_> = letters
        .iter()
        .map(|letter| {
            (
                letter.subject.as_str(),
                header(letter, "Eso-Relay-Error"),
                &*letter.payload,
            )
        })
        .collect();
    let event = no_keys.trim_matches(['[', ']']).as_bytes();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0].0, "eso-relay.dead.v1.east.prod");
    assert!(told[0].1.starts_with("not a JSON array"), "{}", told[0].1);
    assert_eq!(told[0].2, b"hunter2");
    assert_eq!(
        told[1],
        (
            "eso-relay.dead.v1.east.unknown",
            "unknown major version 2",
            &b"[]"[..]
        )
    );
    assert!(told[2].1.starts_with("data.keys: "), "{}", told[2].1);
    assert_eq!(told[2].2, event);
    for letter in &letters {
        let said = ["Reason", "Cluster", "Attempts"];
        let said = said.map(|name| header(letter, &format!("Eso-Relay-{name}")));
        assert_eq!(said, ["undecodable", "east", "1"]);
    }
    assert!(
        !consumer.logs().contains("hunter2"),
        "a log quotes a payload"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_dead_letter_stream_no_term() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    relay
        .jetstream
        .delete_stream(Stream::Dead.name())
        .await
        .unwrap();
    let consumer = relay.consumer("").await;
    publish_raw(&relay, SUBJECT, "not for us").await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;

    let nacked = || async {
        let name = "eso_relay_consumer_deliveries_total";
        let nacked = consumer
            .count(name, &[("outcome", "nacked")])
            .await
            .unwrap();
        (nacked >= 2).then_some(())
    };
    wait::until("two attempts to store the dead letter", READY, nacked)
        .await
        .unwrap();
    let info = relay.durable().await;
    assert_eq!(
        (info.num_ack_pending, info.ack_floor.stream_sequence),
        (1, 0)
    );
    let log = consumer
        .wait_log("eso-relay init", Duration::from_secs(5))
        .await
        .unwrap();
    assert!(log.contains("ESO_RELAY_DEAD"), "{log}");

    relay.hub.init(&["east"]).await.unwrap();
    relay.drained().await;
    let letters = relay.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(&*letters[0].payload, b"not for us");
    let attempts: u64 = header(&letters[0], "Eso-Relay-Attempts").parse().unwrap();
    assert!(attempts >= 3, "{attempts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_stream_that_keeps_nothing_gets_none() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let mut config = Stream::Dead.config(&Limits::default());
    config.retention = RetentionPolicy::Interest;
    relay.jetstream.update_stream(config).await.unwrap();
    let consumer = relay.consumer("").await;
    publish_raw(&relay, SUBJECT, "not for us").await;
    let said = "stream ESO_RELAY_DEAD: retention Interest";
    consumer.wait_log(said, READY).await.unwrap();
    assert_eq!(relay.durable().await.ack_floor.stream_sequence, 0);

    relay.hub.init(&["east"]).await.unwrap();
    relay.drained().await;
    let letters = relay.dead_letters().await;
    assert_eq!(letters.len(), 1);
}
