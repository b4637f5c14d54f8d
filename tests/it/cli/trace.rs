use async_nats::jetstream::consumer::PullConsumer;
use eso_relay::stream::{DeadLetter, Reason, Receipt, Stream, receipt::Counts};
use futures::StreamExt as _;
use tokio::process::Command;

use super::{eso_relay, event, publish, slug};
use crate::nats::NatsServer;

/// The dead letter is written first.
#[tokio::test]
async fn waiting_on_a_dead_letter_waits_for_its_receipt() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east").await;
    let jetstream = server.jetstream().await;
    let event = event("1", "a", None);
    publish(&jetstream, std::slice::from_ref(&event)).await;
    let stream = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    let east: PullConsumer = stream.get_consumer("east").await.unwrap();
    let mut messages = east.fetch().max_messages(1).messages().await.unwrap();
    let message = messages.next().await.unwrap().unwrap();
    message.double_ack().await.unwrap();
    let letter = DeadLetter {
        reason: Reason::Refused,
        error: "413".to_owned(),
        cluster: slug("east"),
        source: event.source.clone(),
        attempts: 1,
        stream_sequence: 1,
        gap: None,
        index: Some(0),
        subject: "eso-relay.events.v1.akeyless.prod".to_owned(),
        body: eso_relay::event::encode(&event),
    };
    let (subject, headers) = (letter.subject(), letter.headers());
    let sent = jetstream.publish_with_headers(subject, headers, letter.body);
    sent.await.unwrap().await.unwrap();

    let mut wait = Command::new(env!("CARGO_BIN_EXE_eso-relay"));
    let arguments = [
        "--nats",
        &server.url(),
        "trace",
        "1",
        "--wait",
        "-o",
        "json",
    ];
    let wait = tokio::spawn(wait.args(arguments).output());
    // It has looked at least once by then, and does not end.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let receipt = Receipt {
        fingerprint: event.fingerprint(),
        source: event.source,
        cluster: slug("east"),
        sequence: 1,
        attempt: 1,
        trace_id: None,
        received_at: event.received_at,
        taken_at: event.received_at,
        patched_at: None,
        observed_at: None,
        restarted_at: None,
        last: true,
        matched: 1,
        workloads: 0,
        counts: Counts {
            refused: 1,
            ..Counts::default()
        },
        skipped: std::collections::BTreeMap::new(),
        examples: Vec::new(),
    };
    let body = serde_json::to_vec(&receipt).unwrap();
    let sent = jetstream.publish(receipt.subject(), body.into()).await;
    sent.unwrap().await.unwrap();

    let output = wait.await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let answer = &report["clusters"][0];
    assert_eq!(answer["state"], "dead_lettered", "{report}");
    assert_eq!(answer["detail"]["receipt"]["refused"], 1, "{report}");
}
