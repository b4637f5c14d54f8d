//! The operator's command line, as a process, on a real nats-server.

mod dead;
mod ingress;
mod init;
mod matches;
mod replay;
mod send;
mod status;
mod trace;

use std::process::Output;

use async_nats::jetstream::{Context, message::PublishMessage};
use eso_relay::{
    Event, Slug,
    event::{Kind, Match, Operation, Origin, Reach, decode_batch, encode_batch},
    stream::{Stream, Subject},
};
use serde_json::Value;

use crate::nats::NatsServer;

/// The end of one run.
pub(crate) struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

pub(crate) async fn eso_relay(server: &NatsServer, arguments: &str) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::process::Command::new(env!("CARGO_BIN_EXE_eso-relay"))
        .args(arguments.split_whitespace())
        .env("ESO_RELAY__NATS__URL", server.url())
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    Run {
        code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

pub(crate) fn event(id: &str, key: &str, target: Option<Reach>) -> Event {
    Event {
        id: id.to_owned(),
        source: "prod".parse().unwrap(),
        kind: Kind::SecretChanged,
        time: None,
        traceparent: None,
        tracestate: None,
        provider: "akeyless".parse().unwrap(),
        operation: Operation::Updated,
        matches: Match::Exact(eso_relay::event::Keys::one(key).unwrap()),
        version: None,
        scope: std::collections::BTreeMap::new(),
        target,
        settle: None,
        restart: false,
        received_at: "2026-01-31T08:00:00Z".parse().unwrap(),
        origin: Origin::default(),
    }
}

/// One message out of events, as the ingress writes it.
pub(crate) async fn publish(jetstream: &Context, events: &[Event]) {
    let message = PublishMessage::build().payload(encode_batch(events));
    let subject = Subject::of(&events[0]).to_string();
    jetstream
        .send_publish(subject, message)
        .await
        .unwrap()
        .await
        .unwrap();
}

/// All events in the stream from `sequence` on.
async fn events_from(jetstream: &Context, sequence: u64) -> Vec<Event> {
    let stream = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut events = Vec::new();
    for sequence in sequence..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        events.extend(
            decode_batch(&message.payload)
                .unwrap()
                .into_iter()
                .map(Result::unwrap),
        );
    }
    events
}

pub(crate) fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_wrong_option_is_answered_with_help_and_exit_code_2() {
    let server = NatsServer::start().await;
    let run = eso_relay(&server, "init --max-byte 1GiB").await;
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("--max-bytes"), "{}", run.stderr);
    let run = eso_relay(&server, "init --max-age 72").await;
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("such as 90m, 72h"), "{}", run.stderr);
    let run = eso_relay(
        &server,
        "replay --cluster east --since 2999-01-01T00:00:00Z --yes",
    )
    .await;
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("--since lies in the future"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn without_a_server_the_message_names_the_address_and_the_option() {
    let server = NatsServer::start().await;
    let run = eso_relay(&server, "status --nats nats://127.0.0.1:1").await;
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.contains("nats://127.0.0.1:1 (--nats)"),
        "{}",
        run.stderr
    );
}
