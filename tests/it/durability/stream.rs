//! The stream is not one that keeps what it acknowledges, or has no room.

use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, RetentionPolicy, StorageType,
};
use eso_relay::stream::{Limits, Stream};
use eso_relay_lab::installation::{Hub, READY, Webhooks, akeyless};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{SENDERS, jetstream, start, wait_accepted};
use crate::{
    senders::{Senders, says_come_again},
    stored,
};

type Change = fn(&mut Config);

#[tokio::test(flavor = "multi_thread")]
async fn init_upgrades_the_stream_limits() {
    let hub = Hub::start().await.unwrap();
    hub.init_with(&["--max-bytes", "1MiB"], &[]).await.unwrap();
    let jetstream = jetstream(&hub).await;
    let stream = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.discard = DiscardPolicy::New;
    config.compression = Some(Compression::S2);
    jetstream.update_stream(config).await.unwrap();
    let (ingress, webhooks) = start(hub.ingress()).await;

    let mut accepted = Vec::new();
    let refused = loop {
        let answer = webhooks.akeyless(&large()).await.unwrap();
        if answer.status != StatusCode::ACCEPTED {
            break answer;
        }
        accepted.extend(answer.accepted());
        assert!(accepted.len() < 100_000, "the stream does not fill");
    };
    says_come_again(&refused);
    assert!(refused.body.contains("stream_full"), "{refused:?}");
    let said = "not as this version declares it";
    ingress.wait_log(said, READY).await.unwrap();
    let log = ingress.logs();
    assert_eq!(log.matches(said).count(), 1, "{log}");
    let (_, ready) = ingress.readyz().await.unwrap();
    assert!(
        ready.contains("[+]stream ok, but stream ESO_RELAY: discard New"),
        "{ready}"
    );
    assert!(ready.contains("compression S2"), "{ready}");

    let stored = stored::ids(&jetstream).await;
    for id in &accepted {
        assert_eq!(stored.get(id), Some(&1), "{id} is missing");
    }
    hub.init(&[]).await.unwrap();
    wait_accepted(&webhooks, &large()).await;
}

/// A tenth of the smallest stream.
fn large() -> Value {
    // Of letters that hardly repeat: what is compressed takes its room too.
    let key = |at: usize| {
        (0..2000)
            .map(|_| fastrand::alphanumeric())
            .chain(at.to_string().chars())
            .collect::<String>()
    };
    (0..50).map(|at| akeyless(at, &key(at))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_stream_gets_no_202() {
    let wrong: [(&str, Change); 4] = [
        ("retention Interest", |stream| {
            stream.retention = RetentionPolicy::Interest;
        }),
        ("is stored in memory", |stream| {
            stream.storage = StorageType::Memory;
        }),
        ("max_msgs_per_subject 1", |stream| {
            stream.max_messages_per_subject = 1;
        }),
        ("is sealed", |stream| stream.sealed = true),
    ];
    for (what, change) in wrong {
        let hub = Hub::start().await.unwrap();
        let jetstream = jetstream(&hub).await;
        let mut config = Stream::Events.config(&Limits::default());
        change(&mut config);
        // A stream is sealed once it is there.
        let sealed = std::mem::take(&mut config.sealed);
        jetstream.create_stream(&config).await.unwrap();
        if sealed {
            config.sealed = true;
            jetstream.update_stream(&config).await.unwrap();
        }
        let ingress = hub.ingress().start().await.unwrap();
        let webhooks = Webhooks::to(&ingress.url());
        ingress.wait_log("answering 503", READY).await.unwrap();
        let refused = webhooks
            .akeyless(&json!([akeyless(1, "prod/db")]))
            .await
            .unwrap();
        says_come_again(&refused);
        assert!(
            refused.body.contains("stream_unusable"),
            "{what}: {refused:?}"
        );
        let (status, why) = ingress.readyz().await.unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(why.contains(what), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn init_repairs_an_unsafe_stream() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (ingress, webhooks) = start(hub.ingress()).await;
    wait_accepted(&webhooks, &json!([akeyless(1, "before")])).await;
    let senders = Senders::start(&webhooks, SENDERS);
    senders.wait_accepted(20).await;

    // No durable is there, so nothing is stored from here on, and all of it is acknowledged.
    let jetstream = jetstream(&hub).await;
    let mut config = Stream::Events.config(&Limits::default());
    config.retention = RetentionPolicy::Interest;
    jetstream.update_stream(&config).await.unwrap();
    ingress.wait_log("answering 503", READY).await.unwrap();
    for at in 0..20 {
        let refused = webhooks
            .akeyless(&json!([akeyless(at, "meanwhile")]))
            .await
            .unwrap();
        says_come_again(&refused);
    }
    senders.stop().await.are_yes_or_later();

    hub.init(&[]).await.unwrap();
    let accepted = wait_accepted(&webhooks, &json!([akeyless(1, "after")])).await;
    let stored = stored::ids(&jetstream).await;
    assert_eq!(stored.get(&accepted[0]), Some(&1));
}
