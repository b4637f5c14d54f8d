//! Every format from the webhook to the ExternalSecret: a store as ESO has it, a reference as people
//! write it, the sender's own sample. Within the source's target, and with nothing of it in sight.

mod cases;

use eso_relay::{event::decode_batch, stream::Stream};
use eso_relay_lab::{
    cluster::{create_namespace, external_secret, store},
    daemon::Daemon,
    installation::{Answer, BASIC_PASSWORD, BASIC_USER, Cluster, Hub, READY, Webhooks, send},
};
use serde_json::{Value, json};

use self::cases::{Case, cases};
use crate::{consuming::drained, docs, stored};

/// The tenant that the sources may reach, and one that they may not.
const OURS: &str = "ours";
const THEIRS: &str = "theirs";
const EVERYTHING: &str = "info,eso_relay=trace,eso_relay_ingress=trace,eso_relay_consumer=trace";

/// What must be seen nowhere: the samples hold it where values, credentials and addresses stand.
const MARKERS: [&str; 2] = ["do-not-leak", "@example.com"];

impl Case {
    /// Of the source, the store and the ExternalSecrets.
    fn name(&self) -> &'static str {
        self.sample
    }

    fn source(&self, password: &str) -> String {
        let (name, format, settings) = (self.name(), self.format, self.settings);
        let settings = if settings.is_empty() {
            String::new()
        } else {
            format!(", {settings}")
        };
        format!(
            "- {{ name: {name}, format: {format}, auth: {{ basic: {{ username: {BASIC_USER}, password_file: '{password}' }} }}, \
             target: {{ stores: [{{ name: {name} }}], namespaces: [{OURS}] }}{settings} }}\n"
        )
    }

    fn body(&self) -> String {
        docs::read(&format!("ingress/src/source/fixtures/{}.json", self.sample))
    }

    async fn send(&self, webhooks: &Webhooks, body: String) -> Answer {
        let mut post = webhooks.post(&format!("/v1/hooks/{}", self.name()));
        for (name, value) in self.headers {
            post = post.header(*name, *value);
        }
        let post = post.basic_auth(BASIC_USER, Some(BASIC_PASSWORD));
        send(post.body(body)).await.unwrap()
    }
}

/// The hub, and an ingress with a source for each case.
async fn ingress(cases: &[Case]) -> (Hub, Daemon) {
    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let password = hub.secrets().join("password").display().to_string();
    let sources: String = cases.iter().map(|case| case.source(&password)).collect();
    let options = hub.ingress_with(&sources).env("RUST_LOG", EVERYTHING);
    let mut ingress = options.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    (hub, ingress)
}

/// Adds to every object what a sender that wants more than it may reach would write.
fn greedy(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(greedy),
        Value::Object(object) => {
            object.values_mut().for_each(greedy);
            for (name, wish) in [
                (
                    "target",
                    json!({ "namespaces": [THEIRS], "stores": [], "clusters": ["*"] }),
                ),
                ("namespaces", json!([THEIRS])),
                ("stores", json!([{ "name": "*" }])),
                ("clusters", json!(["*"])),
            ] {
                object.entry(name).or_insert(wish);
            }
        }
        _ => {}
    }
}

fn unseen(place: &str, text: &str) {
    for marker in MARKERS {
        assert!(!text.contains(marker), "{marker} in {place}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_reaches_its_tenant_only() {
    let cases = cases();
    let cluster = Cluster::start("east").await.unwrap();
    let client = cluster.client();
    for namespace in [OURS, THEIRS] {
        create_namespace(client, namespace).await.unwrap();
        for case in &cases {
            let name = case.name();
            for store_name in [name.to_owned(), format!("{name}-elsewhere")] {
                let store = store(&store_name).in_namespace(namespace);
                store
                    .provider(case.provider.clone())
                    .create(client)
                    .await
                    .unwrap();
                let object = external_secret(&store_name).in_namespace(namespace);
                let object = object.from_store(&store_name).key(case.key);
                object.create(client).await.unwrap();
            }
        }
    }
    let (hub, ingress) = ingress(&cases).await;
    let mut consumer = cluster
        .consumer(&hub, "")
        .env("RUST_LOG", EVERYTHING)
        .start()
        .await
        .unwrap();
    consumer.wait_ready(READY).await.unwrap();

    let webhooks = Webhooks::to(&ingress.url());
    for case in &cases {
        let answer = case.send(&webhooks, case.body()).await;
        assert_eq!(answer.status, 202, "{}: {answer:?}", case.name());
        unseen("an answer", &format!("{answer:?}"));
    }
    for case in &cases {
        cluster.refreshed(OURS, case.name(), None).await.unwrap();
    }
    let jetstream = hub.jetstream().await.unwrap();
    drained(&jetstream, "east", READY).await;
    for case in &cases {
        let elsewhere = format!("{}-elsewhere", case.name());
        for (namespace, name) in [
            (OURS, &*elsewhere),
            (THEIRS, case.name()),
            (THEIRS, &*elsewhere),
        ] {
            let refreshed = cluster.refresh_of(namespace, name).await;
            assert_eq!(refreshed, None, "{namespace}/{name}");
        }
    }
    for message in stored::messages(&jetstream, Stream::Events).await {
        unseen("the stream", &String::from_utf8_lossy(&message.payload));
        unseen(
            "the stream",
            &format!("{} {:?}", message.subject, message.headers),
        );
    }
    unseen("the ingress's log", &ingress.logs());
    unseen("the consumer's log", &consumer.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_payload_widens_the_target_of_its_source() {
    let cases = cases();
    let (hub, ingress) = ingress(&cases).await;
    let webhooks = Webhooks::to(&ingress.url());
    for case in &cases {
        let mut body: Value = serde_json::from_str(&case.body()).unwrap();
        greedy(&mut body);
        let answer = case.send(&webhooks, body.to_string()).await;
        assert_eq!(answer.status, 202, "{}: {answer:?}", case.name());
    }
    let jetstream = hub.jetstream().await.unwrap();
    let mut seen = 0;
    for message in stored::messages(&jetstream, Stream::Events).await {
        for event in decode_batch(&message.payload).unwrap() {
            let event = event.unwrap();
            let target = serde_json::to_value(event.target.unwrap()).unwrap();
            let own = json!({ "stores": [{ "name": event.source }], "namespaces": [OURS] });
            assert_eq!(target, own, "{}", event.source);
            seen += 1;
        }
    }
    assert!(seen >= cases.len(), "{seen} events");
}
