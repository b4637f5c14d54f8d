//! No secret value, credential or e-mail address leaves the ingress, in whatever format it came.
//!
//! All that must not be seen holds the word `marker`, the lab's credentials included.

mod payloads;

use eso_relay::stream::Stream;
use eso_relay_lab::{
    cluster::{Kind, create_namespace, external_secret, objects, store},
    collector::{Collector, Manner},
    daemon::Daemon,
    installation::{
        Answer, BASIC_PASSWORD, BASIC_USER, BEARER_TOKEN, Cluster, Hub, READY, Webhooks, send, sign,
    },
    standin::{Effect, On, Times, Verb},
    wait,
};
use kube::api::ListParams;
use reqwest::{RequestBuilder, StatusCode};

use self::payloads::{Payload, good, malformed};
use crate::stored;

const NAMESPACE: &str = "team-a";
const EVERYTHING: &str = "info,eso_relay=trace,eso_relay_ingress=trace,eso_relay_consumer=trace";

/// How a request proves who sent it.
#[derive(Clone, Copy, PartialEq)]
enum Proof {
    Right,
    Wrong,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_format_lets_a_value_a_credential_or_an_address_through() {
    let cluster = cluster().await;
    let mut hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let collector = Collector::start(Manner::Take).await.unwrap();
    let traces = collector.settings();
    let ingress = hub.ingress_with(&traces).env("RUST_LOG", EVERYTHING);
    let mut ingress = ingress.start().await.unwrap();
    let consumer = cluster.consumer(&hub, &traces).env("RUST_LOG", EVERYTHING);
    let mut consumer = consumer.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    let mut secrets = Secrets::new(&webhooks);

    for payload in good() {
        let answer = secrets.send(&payload, Proof::Right).await;
        assert_eq!(
            answer.status,
            StatusCode::ACCEPTED,
            "{}: {answer:?}",
            payload.name
        );
        let answer = secrets.send(&payload, Proof::Wrong).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", payload.name);
    }
    for payload in malformed() {
        let answer = secrets.send(&payload, Proof::Right).await;
        let refused = [400, 404, 413, 422].contains(&answer.status.as_u16());
        assert!(refused, "{}: {answer:?}", payload.name);
    }
    for payload in good() {
        cluster
            .refreshed(NAMESPACE, payload.name, None)
            .await
            .unwrap();
    }
    let jetstream = hub.jetstream().await.unwrap();
    wait::until_ok("a dead letter of each", READY, || async {
        let letters = stored::messages(&jetstream, Stream::Dead).await.len();
        (letters == good().len()).then_some(()).ok_or(letters)
    })
    .await
    .unwrap();
    for stream in Stream::ALL {
        for message in stored::messages(&jetstream, stream).await {
            secrets.are_not_in(stream.name(), &message.payload);
            let rest = format!("{} {:?}", message.subject, message.headers);
            secrets.are_not_in(stream.name(), rest.as_bytes());
        }
    }
    assert_eq!(stored::ids(&jetstream).await.len(), good().len());
    let events = objects(cluster.client(), Kind::Event, Some(NAMESPACE));
    let events = wait::until("Events on the objects", READY, || async {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        (!events.is_empty()).then_some(events)
    })
    .await
    .unwrap();
    for event in events {
        let event = serde_json::to_vec(&event).unwrap();
        secrets.are_not_in("an Event", &event);
    }

    hub.nats.stop().await.unwrap();
    for payload in good() {
        let answer = secrets.send(&payload, Proof::Right).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    for daemon in [&ingress, &consumer] {
        let details = [r#""level":"DEBUG""#, r#""message":"refused""#];
        let log = wait::until_ok("details to look at", READY, async || {
            let log = daemon.logs();
            let told = details.iter().any(|line| log.contains(line));
            told.then(|| log.clone()).ok_or(log)
        });
        let log = log.await.unwrap();
        secrets.are_not_in("a log", log.as_bytes());
        secrets.are_not_in("metrics", metrics(daemon).await.as_bytes());
    }
    for daemon in [&mut ingress, &mut consumer] {
        daemon.terminate().unwrap();
        daemon.wait_exit(READY).await.unwrap();
    }
    spans_hold_no_secret(&secrets, &collector);
}

/// Every kind of span, as it was sent: without what must not be seen, names of keys, and addresses.
fn spans_hold_no_secret(secrets: &Secrets, collector: &Collector) {
    for body in collector.bodies() {
        secrets.are_not_in("a span", &body);
    }
    let spans = collector.spans().unwrap();
    for name in [
        "POST /v1/hooks/{source}",
        "POST /webhook",
        "send eso-relay.events",
        "process ESO_RELAY",
        "patch",
        "sync",
    ] {
        assert!(spans.iter().any(|span| span.name == name), "no {name}");
    }
    for span in spans {
        let text = format!("{span:?}");
        for payload in good() {
            assert!(!text.contains(&format!("prod/{}", payload.name)), "{text}");
        }
        assert!(!text.contains("127.0.0.1"), "{text}");
    }
}

/// For each good payload an ExternalSecret of its name, and one that the API does not let anybody
/// patch, so that there are dead letters.
async fn cluster() -> Cluster {
    let cluster = Cluster::stand_in("east").await.unwrap();
    create_namespace(cluster.client(), NAMESPACE).await.unwrap();
    let store = store("store").akeyless().in_namespace(NAMESPACE);
    store.create(cluster.client()).await.unwrap();
    for payload in good() {
        let refused = format!("{}-refused", payload.name);
        let key = format!("prod/{}", payload.name);
        cluster.values.set(&key, "marker-value");
        for name in [payload.name, &refused] {
            let secret = external_secret(name).in_namespace(NAMESPACE);
            let secret = secret.from_store("store").key(&key);
            secret.create(cluster.client()).await.unwrap();
        }
        let on = On::verb(Verb::Patch, Kind::ExternalSecret).named(&refused);
        let effect = Effect::status(StatusCode::UNPROCESSABLE_ENTITY);
        let faults = cluster.as_stand_in().unwrap().faults();
        faults.inject(on, effect, Times::All);
    }
    cluster
}

async fn metrics(daemon: &Daemon) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/metrics", daemon.admin_url());
    client.get(url).send().await.unwrap().text().await.unwrap()
}

/// All that must not be seen anywhere, as it was sent.
struct Secrets {
    webhooks: Webhooks,
    needles: Vec<String>,
}

impl Secrets {
    fn new(webhooks: &Webhooks) -> Self {
        Self {
            webhooks: webhooks.clone(),
            needles: vec!["marker".to_owned()],
        }
    }

    /// Sends it with additional secret markers, and checks the response.
    async fn send(&mut self, payload: &Payload, proof: Proof) -> Answer {
        let path = format!("{}?token=marker-query", payload.path);
        let request = self.webhooks.post(&path).headers(payload.headers());
        let request = request
            .header("cookie", "session=marker-cookie")
            .header("x-api-key", "marker-api-key")
            .header("user-agent", "marker-agent")
            .header("traceparent", "00-marker")
            .header("tracestate", "vendor=marker");
        let request = self.proven(request, payload, proof);
        let answer = send(request.body(payload.body.clone())).await.unwrap();
        let text = format!("{:?} {}", answer.headers, answer.body);
        self.are_not_in(&format!("the answer to {}", payload.name), text.as_bytes());
        answer
    }

    fn proven(
        &mut self,
        request: RequestBuilder,
        payload: &Payload,
        proof: Proof,
    ) -> RequestBuilder {
        let right = proof == Proof::Right;
        let request = match payload.source() {
            "generic" if right => request.header("x-signature", sign(payload.body.as_bytes())),
            "generic" => request.header("x-signature", sign(b"another body")),
            "cloudevents" if right => request.bearer_auth(BEARER_TOKEN),
            "cloudevents" => request.bearer_auth("marker-wrong-token"),
            _ if right => request.basic_auth(BASIC_USER, Some(BASIC_PASSWORD)),
            _ => request.basic_auth("marker-user", Some("marker-wrong-password")),
        };
        let sent = request.try_clone().unwrap().build().unwrap();
        for name in ["authorization", "x-signature"] {
            if let Some(value) = sent.headers().get(name) {
                // What follows the scheme: base64 hides the word itself.
                let value = value.to_str().unwrap().rsplit([' ', '=']);
                let longest = value.max_by_key(|part| part.len()).unwrap();
                self.needles.push(longest.to_lowercase());
            }
        }
        request
    }

    fn are_not_in(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        for needle in &self.needles {
            if let Some(at) = text.find(needle.as_str()) {
                let around: String = text[..at].chars().rev().take(200).collect();
                let around: String = around.chars().rev().collect();
                panic!("{needle:?} in {place} after: {around}");
            }
        }
    }
}
