//! 202 means that the event is in the stream, whatever dies when.

mod ingress;
mod nats;
mod stream;

use std::collections::HashMap;

use async_nats::jetstream::Context;
use eso_relay_lab::{
    daemon::{Daemon, DaemonOptions},
    installation::{Hub, READY, Webhooks},
    wait,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::{senders::Answers, stored};

/// Enough for messages of many requests, and few enough for a small machine.
const SENDERS: usize = 24;

async fn start(options: DaemonOptions) -> (Daemon, Webhooks) {
    let mut ingress = options.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    (ingress, webhooks)
}

/// A stream that was full or away takes events again.
async fn wait_accepted(webhooks: &Webhooks, body: &Value) -> Vec<String> {
    let accepted = wait::until_ok("a webhook to be accepted", READY, || async {
        let answer = webhooks.akeyless(body).await.map_err(|it| it.to_string())?;
        match answer.status {
            StatusCode::ACCEPTED => Ok(answer.accepted()),
            _ => Err(format!("{answer:?}")),
        }
    });
    accepted.await.unwrap()
}

/// Whatever was answered 202 stands in the stream, once: a message that was sent twice is dropped.
async fn nothing_is_missing(jetstream: &Context, answers: &Answers) {
    let stored = stored::ids(jetstream).await;
    let accepted = answers.accepted();
    assert!(!accepted.is_empty(), "nothing was accepted at all");
    let times: HashMap<&String, Option<&usize>> =
        accepted.iter().map(|id| (id, stored.get(id))).collect();
    assert_eq!(times.len(), accepted.len(), "an id was given twice");
    let wrong: Vec<_> = times
        .iter()
        .filter(|(_, times)| **times != Some(&1))
        .collect();
    assert!(
        wrong.is_empty(),
        "of {} accepted and {} stored, these are not there once: {wrong:?}",
        accepted.len(),
        stored.len()
    );
}

async fn jetstream(hub: &Hub) -> Context {
    wait::until_ok("NATS", READY, || hub.jetstream())
        .await
        .unwrap()
}
