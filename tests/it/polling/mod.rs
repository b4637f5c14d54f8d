//! Version polling of a real OpenBao, from a `kv put` to the event in the stream.

mod consumed;
mod faults;
mod forgotten;
mod login;
mod tls;
mod watched;

use async_nats::jetstream::Context;
use eso_relay::{
    Event,
    event::{Kind, Operation, decode_batch},
    stream::{Polled, Stream},
};
use eso_relay_lab::{
    daemon::{Daemon, DaemonOptions},
    installation::{Hub, READY},
    openbao::OpenBao,
    wait,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::stored;

/// All that a poller needs, for known paths and for folders.
const POLICY: &str = r#"path "secret/metadata/*" { capabilities = ["read", "list"] }"#;
const NAME: &str = "bao";

/// NATS with the streams on it, a store, and what a poller is configured with.
struct Stage {
    hub: Hub,
    bao: OpenBao,
    jetstream: Context,
    /// More YAML of the poll.
    settings: String,
    /// Where the poller finds the store.
    address: String,
}

impl Stage {
    /// `None` where there is no OpenBao to be had.
    async fn start(settings: &str) -> Option<Self> {
        let bao = OpenBao::if_there_is_one().await.unwrap()?;
        Some(Self::on(bao, settings).await)
    }

    async fn on(bao: OpenBao, settings: &str) -> Self {
        let hub = Hub::start().await.unwrap();
        hub.init(&[]).await.unwrap();
        let token = bao.token(POLICY).await.unwrap();
        std::fs::write(hub.secrets().join("bao-token"), token).unwrap();
        Self {
            jetstream: hub.jetstream().await.unwrap(),
            address: bao.url(),
            settings: settings.to_owned(),
            bao,
            hub,
        }
    }

    fn options(&self) -> DaemonOptions {
        poll(&self.hub, &self.address, &self.settings)
    }

    /// A poller that has seen everything once.
    async fn poller(&self) -> Daemon {
        let mut poller = self.options().start().await.unwrap();
        poller.wait_ready(READY).await.unwrap();
        passes(&poller, 1).await;
        poller
    }

    async fn put(&self, path: &str, value: &str) {
        let body = json!({ "data": { "value": value } });
        self.api(Method::POST, &format!("secret/data/{path}"), body)
            .await;
    }

    async fn api(&self, method: Method, path: &str, body: Value) -> Value {
        self.bao.api(method, path, body).await.unwrap()
    }

    /// Waits until the stream holds so many events.
    async fn events(&self, count: usize) -> Vec<Event> {
        let events = wait::until_ok(format!("{count} events"), READY, || async {
            let events = self.all_events().await;
            if events.len() >= count {
                Ok(events)
            } else {
                Err(events)
            }
        });
        events.await.unwrap()
    }

    async fn all_events(&self) -> Vec<Event> {
        let messages = stored::messages(&self.jetstream, Stream::Events).await;
        let batches = messages
            .iter()
            .map(|message| decode_batch(&message.payload).unwrap());
        batches.flatten().map(Result::unwrap).collect()
    }

    async fn remembered(&self, path: &str) -> Option<Vec<u8>> {
        remembered(&self.jetstream, path).await
    }
}

/// An ingress that polls a store and has no port, not started yet, with more YAML of the poll. Without `auth` it has the token in
/// the file `bao-token`.
fn poll(hub: &Hub, address: &str, settings: &str) -> DaemonOptions {
    let token = hub.secrets().join("bao-token");
    let auth = if settings.contains("auth:") {
        String::new()
    } else {
        format!("auth: {{ token_file: '{}' }},", token.display())
    };
    let yaml = format!(
        "nats: {{ url: '{}' }}\n\
         shutdown: {{ drain_delay: 0s }}\n\
         polls:\n\
         - {{ name: {NAME}, provider: openbao, address: '{address}', interval: 300ms, timeout: 1s, {auth} {settings} }}\n",
        hub.nats.url(),
    );
    let options = Daemon::ingress().config(yaml);
    options.env("ESO_RELAY__LISTEN", "none")
}

/// What is remembered of a secret in `secret/`.
async fn remembered(jetstream: &Context, path: &str) -> Option<Vec<u8>> {
    let subject = subject(path);
    let mut messages = stored::messages(jetstream, Stream::Polls).await.into_iter();
    let found = messages.find(|message| *message.subject == *subject);
    found.map(|message| message.payload.to_vec())
}

/// Whether an entry of the audit log is about a request of the poller: not one of root, or of the server itself.
fn is_by_poller(entry: &Value) -> bool {
    let policies = entry["auth"]["policies"].as_array();
    policies.is_some_and(|policies| !policies.contains(&json!("root")))
}

/// Where the version of a secret in `secret/` is remembered.
fn subject(path: &str) -> String {
    Polled::subject(&NAME.parse().unwrap(), None, &format!("secret/data/{path}"))
}

/// Waits for so many more passes than there were.
async fn passes(poller: &Daemon, more: u64) {
    let count = async || {
        poller
            .count("eso_relay_ingress_poll_passes_total", &[])
            .await
            .unwrap()
    };
    let enough = count().await + more;
    let passed = wait::until("more passes", READY, || async {
        (count().await >= enough).then_some(())
    });
    passed
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", poller.logs()));
}

async fn failures(poller: &Daemon, reason: &str) -> u64 {
    let labels = [("source", NAME), ("reason", reason)];
    poller
        .count("eso_relay_ingress_poll_failures_total", &labels)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_published_once() {
    let Some(stage) = Stage::start("paths: [secret/data/app/db]").await else {
        return;
    };
    stage.put("app/db", "1").await;
    let poller = stage.poller().await;
    // The first sight is no change.
    assert!(stage.all_events().await.is_empty());
    let db = |operation: &str| format!("secret/{operation}/app/db");
    let mut count = 0;
    let (changed, deleted) = (Kind::SecretChanged, Kind::SecretDeleted);
    for (method, path, body, expected) in [
        (
            Method::POST,
            db("data"),
            json!({ "data": { "value": "1" } }),
            Some((changed, Operation::Updated)),
        ),
        (
            Method::POST,
            db("metadata"),
            json!({ "custom_metadata": { "a": "marker" } }),
            None,
        ),
        (
            Method::DELETE,
            db("data"),
            json!({}),
            Some((deleted, Operation::Deleted)),
        ),
        (
            Method::POST,
            db("undelete"),
            json!({ "versions": [2] }),
            Some((changed, Operation::Restored)),
        ),
        (
            Method::POST,
            db("destroy"),
            json!({ "versions": [2] }),
            Some((deleted, Operation::Deleted)),
        ),
        (
            Method::POST,
            db("data"),
            json!({ "data": { "value": "3" } }),
            Some((changed, Operation::Updated)),
        ),
        (
            Method::DELETE,
            db("metadata"),
            json!({}),
            Some((deleted, Operation::Deleted)),
        ),
        (
            Method::POST,
            db("data"),
            json!({ "data": { "value": "4" } }),
            Some((changed, Operation::Created)),
        ),
    ] {
        stage.api(method, &path, body).await;
        count += usize::from(expected.is_some());
        stage.events(count).await;
        passes(&poller, 2).await;
        let events = stage.all_events().await;
        assert_eq!(events.len(), count, "{path}");
        if let Some(expected) = expected {
            let last = events.last().unwrap();
            assert_eq!((last.kind, last.operation), expected, "{path}");
            assert_eq!(last.matches.keys(), ["secret/data/app/db"]);
            assert_eq!(last.provider.as_str(), "openbao");
            assert_eq!(last.scope["mount"], "secret");
            assert_eq!(stage.bao.url(), format!("http://{}", last.scope["host"]));
        }
    }
    assert!(!poller.logs().contains("marker"), "{}", poller.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_while_no_poller_runs() {
    let Some(stage) = Stage::start("paths: [secret/data/db, secret/data/other]").await else {
        return;
    };
    stage.put("db", "1").await;
    stage.put("other", "1").await;
    let mut poller = stage.poller().await;
    poller.terminate().unwrap();
    poller.wait_exit(READY).await.unwrap();
    stage.put("db", "2").await;
    stage.put("db", "3").await;
    poller.start_again().await.unwrap();
    passes(&poller, 2).await;
    let events = stage.events(1).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let version = events[0].version.as_ref().unwrap();
    assert_eq!(version.id.as_deref(), Some("3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_version_is_written() {
    let Some(stage) = Stage::start("paths: [secret/data/db]").await else {
        return;
    };
    stage.put("db", "1").await;
    let mut poller = stage.poller().await;
    let before = stage.remembered("db").await.unwrap();
    stage.put("db", "2").await;
    let first = stage.events(1).await.remove(0);
    passes(&poller, 1).await;
    poller.kill9().unwrap();
    // As if it had been killed between the two.
    let stored = stage.jetstream.publish(subject("db"), before.into()).await;
    stored.unwrap().await.unwrap();
    poller.start_again().await.unwrap();
    let again = stage.events(2).await.remove(1);
    assert_eq!(again.fingerprint(), first.fingerprint());
    assert_eq!((again.kind, again.operation), (first.kind, first.operation));
    passes(&poller, 2).await;
    assert_eq!(stage.all_events().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn made_again_between_two_passes() {
    let Some(stage) = Stage::start("paths: [secret/data/db]").await else {
        return;
    };
    stage.put("db", "1").await;
    let mut poller = stage.poller().await;
    poller.terminate().unwrap();
    poller.wait_exit(READY).await.unwrap();
    stage
        .api(Method::DELETE, "secret/metadata/db", json!({}))
        .await;
    stage.put("db", "2").await;
    poller.start_again().await.unwrap();
    let event = stage.events(1).await.remove(0);
    // Version 1 both times.
    assert_eq!(event.version.as_ref().unwrap().id.as_deref(), Some("1"));
    assert_eq!(event.kind, Kind::SecretChanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_metadata_is_read() {
    let Some(stage) = Stage::start("prefixes: [secret]").await else {
        return;
    };
    stage.put("a/b/c", "marker-value").await;
    let poller = stage.poller().await;
    stage.put("a/b/c", "marker-value").await;
    stage.put("a/new", "marker-value").await;
    stage.events(1).await;
    passes(&poller, 2).await;
    let paths: Vec<String> = stage
        .bao
        .audit_log()
        .unwrap()
        .iter()
        .filter(|entry| is_by_poller(entry))
        .filter_map(|entry| entry["request"]["path"].as_str().map(str::to_owned))
        .collect();
    assert!(
        paths.iter().any(|path| path == "secret/metadata/a/b/c"),
        "{paths:?}"
    );
    for path in paths {
        let metadata = path.starts_with("secret/metadata");
        let mounts = path.starts_with("sys/internal/ui/mounts/secret/metadata");
        assert!(metadata || mounts, "{path}");
    }
    assert!(!poller.logs().contains("marker-value"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_followed() {
    let Some(stage) = Stage::start("prefixes: [secret/app/]").await else {
        return;
    };
    stage.put("app/one", "1").await;
    stage.put("app/deep/er/two", "1").await;
    stage.put("apple", "1").await;
    let poller = stage.poller().await;
    let paths = poller.count("eso_relay_ingress_poll_paths", &[]).await;
    assert_eq!(paths.unwrap(), 2);
    // New, and made after the last pass: nothing tells whether a reader has it yet.
    stage.put("app/deep/three", "1").await;
    let asked = stage.events(1).await.remove(0);
    assert_eq!(asked.kind, Kind::RefreshRequested);
    assert_eq!(asked.matches.keys(), ["secret/data/app/deep/three"]);
    stage.put("apple", "2").await;
    stage.put("app/deep/er/two", "2").await;
    let changed = stage.events(2).await.remove(1);
    assert_eq!(changed.matches.keys(), ["secret/data/app/deep/er/two"]);
    assert_eq!(changed.kind, Kind::SecretChanged);
    // Not listed any more.
    stage
        .api(Method::DELETE, "secret/metadata/app/one", json!({}))
        .await;
    let gone = stage.events(3).await.remove(2);
    assert_eq!(gone.matches.keys(), ["secret/data/app/one"]);
    assert_eq!(gone.kind, Kind::SecretDeleted);
    passes(&poller, 2).await;
    assert_eq!(stage.all_events().await.len(), 3);
}
