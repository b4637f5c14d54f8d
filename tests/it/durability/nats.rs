//! The nats-server dies, hangs, is away.

use std::time::Duration;

use eso_relay_lab::{
    installation::{Hub, READY, akeyless, send},
    wait,
};
use reqwest::StatusCode;
use serde_json::json;

use super::{SENDERS, jetstream, nothing_is_missing, start, wait_accepted};
use crate::{
    senders::{Senders, says_come_again},
    stored,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_202_survives_kill_9_of_nats() {
    let mut hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (_ingress, webhooks) = start(hub.ingress()).await;

    for _ in 0..3 {
        let accepted = wait_accepted(&webhooks, &json!([akeyless(1, "prod/db")])).await;
        hub.nats.kill9().unwrap();
        hub.nats.start_again().await.unwrap();
        let stored = stored::ids(&jetstream(&hub).await).await;
        assert_eq!(stored.get(&accepted[0]), Some(&1), "{accepted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_survives_kill_9_of_nats_under_load() {
    let mut hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (_ingress, webhooks) = start(hub.ingress()).await;

    let senders = Senders::start(&webhooks, SENDERS);
    // Each time amid other messages: some of them unacked, some written and not yet answered.
    for more in [1, 20, 40, 60, 80] {
        senders.wait_accepted(more).await;
        hub.nats.kill9().unwrap();
        hub.nats.start_again().await.unwrap();
    }
    senders.wait_accepted(20).await;
    let answers = senders.stop().await;
    hub.nats.kill9().unwrap();
    hub.nats.start_again().await.unwrap();

    answers.are_yes_or_later();
    nothing_is_missing(&jetstream(&hub).await, &answers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_outage_answers_503() {
    let mut hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (mut ingress, webhooks) = start(hub.ingress()).await;
    wait_accepted(&webhooks, &json!([akeyless(1, "before")])).await;

    hub.nats.stop().await.unwrap();
    let refused = webhooks
        .akeyless(&json!([akeyless(2, "meanwhile")]))
        .await
        .unwrap();
    says_come_again(&refused);
    let not_ready = wait::until("readiness to go", READY, || async {
        let (status, text) = ingress.readyz().await.ok()?;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(text)
    });
    let why = not_ready.await.unwrap();
    assert!(why.contains("nats"), "{why}");

    hub.nats.start_again().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let accepted = wait_accepted(&webhooks, &json!([akeyless(3, "after")])).await;
    let stored = stored::ids(&jetstream(&hub).await).await;
    assert_eq!(stored.get(&accepted[0]), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_nats_answers_503() {
    let mut hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let impatient = "publish: { attempt_timeout: 200ms, deadline: 600ms }";
    let (_ingress, webhooks) = start(hub.ingress_with(impatient)).await;
    let senders = Senders::start(&webhooks, SENDERS);
    senders.wait_accepted(10).await;

    hub.nats.pause().unwrap();
    let refused = wait::until("a refusal", READY, || async {
        let webhook = json!([akeyless(2, "meanwhile")]);
        let answer = webhooks.akeyless(&webhook).await.ok()?;
        (answer.status != StatusCode::ACCEPTED).then_some(answer)
    });
    says_come_again(&refused.await.unwrap());

    hub.nats.resume().unwrap();
    senders.wait_accepted(10).await;
    let answers = senders.stop().await;
    answers.are_yes_or_later();
    nothing_is_missing(&jetstream(&hub).await, &answers).await;
}

/// An API destination waits for 5 s (`EventBridge` User Guide, "API destinations").
#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_nats_answers_eventbridge_in_time() {
    let mut hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let aws = "- { name: aws, format: aws-eventbridge, auth: none }";
    let (_ingress, webhooks) = start(hub.ingress_with(aws)).await;
    let event = include_str!("../../../ingress/src/source/fixtures/aws-eventbridge-label.json");
    let post = || {
        let post = webhooks.post("/v1/hooks/aws").body(event);
        send(post.timeout(Duration::from_secs(5)))
    };
    assert_eq!(post().await.unwrap().status, StatusCode::ACCEPTED);
    hub.nats.pause().unwrap();
    says_come_again(&post().await.unwrap());
    hub.nats.resume().unwrap();
}
