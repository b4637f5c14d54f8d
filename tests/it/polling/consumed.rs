//! What a consumer does with the events of a poller, and with those of the audit log beside it.

use eso_relay::{Event, event::decode_batch, stream::Stream};
use eso_relay_lab::{
    cluster::{Kind, external_secret, get, store},
    daemon::{Daemon, DaemonOptions},
    installation::{BEARER_TOKEN, Cluster, READY, Webhooks, send},
    openbao::OpenBao,
    wait,
    workloads::{Controllers, RESTARTED_FOR, RESTARTS, marks},
};
use kube::ResourceExt as _;
use reqwest::Method;
use serde_json::json;

use super::{POLICY, passes, poll, remembered, subject};
use crate::{
    consuming::{Consuming, TEAM, fingerprint},
    restart::{SETTINGS, count, deploy, generation, reader, restarted},
    stored,
};

/// The ExternalSecret, the Secret, the Deployment that reads it, and the secret in the store.
const DB: &str = "db";

/// A store that is polled, and a cluster that reads it.
struct Site {
    relay: Consuming,
    bao: OpenBao,
    _controllers: Controllers,
}

impl Site {
    /// `None` where there is no OpenBao to be had.
    async fn start() -> Option<Self> {
        let bao = OpenBao::if_there_is_one().await.unwrap()?;
        let relay = Consuming::on(Cluster::start("east").await.unwrap(), &[]).await;
        let client = relay.cluster.client();
        let vault = store("vault").in_namespace(TEAM).vault();
        vault.create(client).await.unwrap();
        let db = external_secret(DB).in_namespace(TEAM);
        let db = db.from_store("vault").key(DB);
        let controllers = Controllers::builder().start(client);
        let site = Self {
            bao,
            _controllers: controllers,
            relay,
        };
        site.put("1").await;
        let client = site.relay.cluster.client();
        db.create(client).await.unwrap();
        site.relay.synced(DB).await;
        deploy(&site.relay, Kind::Deployment, DB, reader(DB)).await;
        let token = site.bao.token(POLICY).await.unwrap();
        let file = site.relay.hub.secrets().join("bao-token");
        std::fs::write(file, token).unwrap();
        Some(site)
    }

    /// A new version, also for the stand-in of ESO.
    async fn put(&self, value: &str) {
        let body = json!({ "data": { "value": value } });
        let path = format!("secret/data/{DB}");
        self.bao.api(Method::POST, &path, body).await.unwrap();
        self.relay.cluster.values.set(DB, value);
    }

    fn poll(&self) -> DaemonOptions {
        let settings = "paths: [secret/data/db], host: vault.example.com";
        poll(&self.relay.hub, &self.bao.url(), settings)
    }

    /// One that has seen everything once.
    async fn poller(&self) -> Daemon {
        let mut poller = self.poll().start().await.unwrap();
        poller.wait_ready(READY).await.unwrap();
        passes(&poller, 1).await;
        poller
    }

    /// Sends the newest entry about the secret, as a shipper of the audit log does.
    async fn ship(&self, ingress: &Daemon) {
        let entries = self.bao.audit_log().unwrap().into_iter();
        let mut written = entries.filter(|entry| {
            let request = &entry["request"];
            let writes = request["operation"] == "create" || request["operation"] == "update";
            entry["type"] == "response" && writes && request["path"] == "secret/data/db"
        });
        let entry = written.next_back().unwrap().to_string();
        let post = Webhooks::to(&ingress.url()).post("/v1/hooks/audit");
        let post = post.bearer_auth(BEARER_TOKEN).body(entry);
        assert_eq!(send(post).await.unwrap().status, 202);
    }

    /// Waits until the stream holds so many events; their fingerprints.
    async fn published(&self, count: usize) -> Vec<String> {
        let published = wait::until(format!("{count} events"), READY, async || {
            let messages = stored::messages(&self.relay.jetstream, Stream::Events).await;
            let batches = messages.iter().map(|it| decode_batch(&it.payload).unwrap());
            let events: Vec<Event> = batches.flatten().map(Result::unwrap).collect();
            (events.len() >= count).then(|| events.iter().map(fingerprint).collect::<Vec<_>>())
        });
        let published = published.await.unwrap();
        assert_eq!(published.len(), count);
        published
    }

    /// The events that the Deployment was restarted for, oldest first.
    async fn restarted_for(&self) -> Vec<String> {
        let client = self.relay.cluster.client();
        let marks = marks(client, Kind::Deployment, TEAM, DB).await.unwrap();
        let mut events: Vec<_> = marks[RESTARTED_FOR].split(',').map(str::to_owned).collect();
        events.sort();
        events
    }

    async fn version_of_external_secret(&self) -> String {
        let object = get(self.relay.cluster.client(), TEAM, DB).await.unwrap();
        object.unwrap().resource_version().unwrap()
    }
}

fn sorted(events: &[String]) -> Vec<String> {
    let mut events = events.to_vec();
    events.sort();
    events
}

/// A poller that is killed after the event is stored, and before the version is.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_published_twice_is_one_refresh_and_one_restart() {
    let Some(site) = Site::start().await else {
        return;
    };
    let relay = &site.relay;
    let mut poller = site.poller().await;
    let before = remembered(&relay.jetstream, DB).await.unwrap();
    let _consumer = relay.consumer(SETTINGS).await;
    site.put("2").await;
    restarted(relay, DB, "1").await;
    relay.drained().await;
    passes(&poller, 1).await;
    poller.kill9().unwrap();
    let refreshed = site.version_of_external_secret().await;
    let stored = relay.jetstream.publish(subject(DB), before.into()).await;
    stored.unwrap().await.unwrap();
    poller.start_again().await.unwrap();
    let events = site.published(2).await;
    assert_eq!(events[0], events[1]);
    relay.drained().await;
    assert_eq!(site.version_of_external_secret().await, refreshed);
    assert_eq!(site.restarted_for().await, events[..1]);
    assert_eq!(count(relay, DB, RESTARTS).await.unwrap(), "1");
    assert_eq!(generation(relay, DB).await, 2);
}

/// Two sources, so two events. Nothing tells that they are about the same version.
#[tokio::test(flavor = "multi_thread")]
async fn one_change_by_audit_log_and_poll() {
    let Some(site) = Site::start().await else {
        return;
    };
    let relay = &site.relay;
    let token = relay.hub.secrets().join("token").display().to_string();
    let source = format!(
        "- {{ name: audit, format: vault-audit, auth: {{ bearer: {{ token_file: '{token}' }} }} }}"
    );
    let mut ingress = relay.hub.ingress_with(&source).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let mut poller = site.poller().await;

    // Both before the workload is restarted: one rollout.
    site.put("2").await;
    site.ship(&ingress).await;
    let events = site.published(2).await;
    assert_ne!(events[0], events[1]);
    let _consumer = relay.consumer(SETTINGS).await;
    restarted(relay, DB, "1").await;
    relay.drained().await;
    assert_eq!(site.restarted_for().await, sorted(&events));
    assert_eq!(generation(relay, DB).await, 2);

    // The poll finds the next change when the workload is restarted already: once more.
    poller.terminate().unwrap();
    poller.wait_exit(READY).await.unwrap();
    site.put("3").await;
    site.ship(&ingress).await;
    restarted(relay, DB, "2").await;
    relay.drained().await;
    poller.start_again().await.unwrap();
    let events = site.published(4).await;
    relay.carries(DB, &events[3]).await;
    restarted(relay, DB, "3").await;
    relay.drained().await;
    assert_eq!(site.restarted_for().await, sorted(&events));
    assert_eq!(generation(relay, DB).await, 4);
}
