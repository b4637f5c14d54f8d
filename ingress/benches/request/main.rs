//! `cargo bench -p eso-relay-ingress`: what the check of a request and its decoding cost, for each scheme and
//! format, in this process and on one thread.

mod keys;

use std::hint::black_box;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use divan::Bencher;
use eso_relay::traceparent::TraceParent;
use eso_relay_ingress::{
    FormatName, Outgoing, OutgoingConfig, SnsConfig, SourceConfig, catalogue,
    outgoing::Https,
    source::{Content, Delivery, Source},
    verify::{
        Request, Scheme, Unsigned, Verified,
        jwt::{self, Keys, Rules},
    },
};
use futures::executor::block_on;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use self::keys::{AUDIENCE, ISSUER, Key, RSA};

/// When all of it was signed and arrives.
const NOW: Timestamp = Timestamp::constant(1_786_190_400, 0);
const CERTIFICATE: &str = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-load.pem";
const BODY: &str = r#"{"id":"bench-1","type":"secret.updated","secret":{"name":"/prod/database","version":7},"actor":{"kind":"service","name":"deployment pipeline of the team"},"account":{"region":"eu-central-1","environment":"production"}}"#;

/// That of the daemon.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    divan::main();
}

fn formats() -> Vec<String> {
    let name = |format: &catalogue::Format| match json!(format.name) {
        Value::String(name) => name,
        other => other.to_string(),
    };
    catalogue::formats().map(name).collect()
}

/// The documented sample of a format, from verified bytes to events.
#[divan::bench(args = formats())]
fn decode(bencher: Bencher<'_, '_>, format: &str) {
    let format = catalogue::formats()
        .find(|it| json!(it.name) == format)
        .expect("one of them");
    let mut config: Value = serde_saphyr::from_str(format.stanza).expect("a documented stanza");
    let mut config = config["sources"][0].take();
    config["auth"] = json!("none");
    let headers = format.sample.headers.iter().map(|(name, value)| {
        let name: HeaderName = name.parse().expect("a header");
        (name, HeaderValue::from_static(value))
    });
    let headers: HeaderMap = headers.collect();
    let source = source(config);
    let body = check(&source.scheme, &headers, &Bytes::from(format.sample.body));
    bencher.bench_local(|| decoded(&source, &headers, &body));
}

/// The largest request of Azure Event Grid, 5,000 events.
#[divan::bench]
fn decode_event_grid_5000(bencher: Bencher<'_, '_>) {
    let source = source(json!({ "name": "bench", "format": "azure-event-grid", "auth": "none" }));
    let headers = HeaderMap::new();
    let body = check(&source.scheme, &headers, &event_grid());
    bencher.bench_local(|| decoded(&source, &headers, &body));
}

/// What its JSON costs alone.
#[divan::bench]
fn parse_event_grid_5000(bencher: Bencher<'_, '_>) {
    let body = event_grid();
    bencher.bench_local(|| serde_json::from_slice::<Value>(black_box(&body)));
}

/// A request that proves itself by a secret which both sides know.
#[divan::bench(args = ["basic", "bearer", "hmac-sha256", "infisical", "standard-webhooks"])]
fn check_secret(bencher: Bencher<'_, '_>, scheme: &str) {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    let text = format!("whsec_{}", STANDARD.encode([7; 32]));
    std::fs::write(secret.path(), text).expect("a secret");
    let path = secret.path();
    let auth = match scheme {
        "basic" => json!({ "basic": { "username": "eso", "password_file": path } }),
        "bearer" => json!({ "bearer": { "token_file": path } }),
        "hmac-sha256" => {
            json!({ "hmac-sha256": { "header": "X-Signature", "prefix": "sha256=", "secret_file": path } })
        }
        "infisical" => json!({ "hmac-sha256": { "preset": "infisical", "secret_file": path } }),
        _ => json!({ "standard-webhooks": { "secret_file": path } }),
    };
    let mapping = json!({ "keys": "/secret/name", "id": "/id", "type": "/type" });
    let config = json!({ "name": "bench", "format": "generic", "auth": auth, "mapping": mapping });
    let scheme = source(config).scheme;
    let mut request = Unsigned {
        headers: HeaderMap::new(),
        query: None,
        body: BODY.into(),
    };
    scheme.sign(&mut request, NOW).expect("it can be signed");
    let body = Bytes::from(request.body);
    bencher.bench_local(|| check(&scheme, &request.headers, &body));
}

fn key(algorithm: &str) -> Key {
    let key = match algorithm {
        "RS256" => Key::rsa(),
        _ => Key::p256(),
    };
    key.expect("a key")
}

/// From the text of a token to whether it is let in, without HTTP.
#[divan::bench(args = ["RS256", "ES256"])]
fn check_token(bencher: Bencher<'_, '_>, algorithm: &str) {
    let key = key(algorithm);
    let token = key.token(NOW.as_second()).expect("a token");
    let keys = Keys::parse(key.jwks().to_string().as_bytes()).expect("its key set");
    let rules = Rules {
        issuers: vec![ISSUER.to_owned()],
        audiences: vec![AUDIENCE.to_owned()],
        claims: [].into(),
        leeway: std::time::Duration::from_secs(60),
    };
    bencher.bench_local(|| {
        let verified = jwt::verify(black_box(&token), &keys, &rules, NOW);
        assert!(verified.is_ok(), "a good token");
    });
}

/// ring's check of the same signatures.
#[divan::bench(args = ["RS256", "ES256"])]
fn check_signature_alone(bencher: Bencher<'_, '_>, algorithm: &str) {
    let key = key(algorithm);
    let (public, signature) = (key.public(), key.sign(BODY.as_bytes()).expect("signed"));
    bencher.bench_local(|| public.check(black_box(BODY.as_bytes()), &signature));
}

/// From the headers and the raw body of a notification of SNS to whether it is believed; its certificate
/// is known, as it is after the first one.
#[divan::bench]
fn check_sns(bencher: Bencher<'_, '_>) {
    let outgoing = Outgoing::new(&OutgoingConfig::default()).expect("the defaults");
    let pair = KeyPair::from_pem(RSA).expect("a key");
    let certificate = CertificateParams::default().self_signed(&pair);
    let certificate = certificate.expect("a certificate").pem();
    let address = Https::parse(CERTIFICATE).expect("an address");
    let sns = SnsConfig::default().open_knowing(&outgoing, &address, certificate.as_bytes());
    let scheme = Scheme::Sns(sns.expect("the certificate is good"));
    let kind = HeaderValue::from_static("Notification");
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-amz-sns-message-type"), kind)]);
    let body = notification(&key("RS256"));
    bencher.bench_local(|| check(&scheme, &headers, &body));
}

/// <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>
fn notification(key: &Key) -> Bytes {
    let message = catalogue::format(FormatName::AwsEventBridge).sample.body;
    let (id, topic) = (
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "arn:aws:sns:us-west-2:012345678901:secrets",
    );
    let text = format!(
        "Message\n{message}\nMessageId\n{id}\nTimestamp\n{NOW}\nTopicArn\n{topic}\nType\nNotification\n"
    );
    let signature = key.sign(text.as_bytes()).expect("signed");
    let body = json!({
        "Type": "Notification",
        "MessageId": id,
        "TopicArn": topic,
        "Message": message,
        "Timestamp": NOW.to_string(),
        "SignatureVersion": "2",
        "Signature": STANDARD.encode(signature),
        "SigningCertURL": CERTIFICATE,
    });
    body.to_string().into()
}

/// As Key Vault sends them.
fn event_grid() -> Bytes {
    let event = |number: usize| {
        let (name, version) = (format!("secret-{number}"), format!("{number:032x}"));
        json!({
            "id": format!("00eccf70-95a7-4e7c-8299-{number:012x}"),
            "topic": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/load/providers/Microsoft.KeyVault/vaults/load-kv",
            "subject": name,
            "eventType": "Microsoft.KeyVault.SecretNewVersionCreated",
            "eventTime": "2026-08-08T12:00:00.1036736Z",
            "data": {
                "Id": format!("https://load-kv.vault.azure.net/secrets/{name}/{version}"),
                "VaultName": "load-kv",
                "ObjectType": "Secret",
                "ObjectName": name,
                "Version": version,
                "NBF": null,
                "EXP": null,
            },
            "dataVersion": "1",
            "metadataVersion": "1",
        })
    };
    let events: Value = (0..5000).map(event).collect();
    events.to_string().into()
}

fn source(config: Value) -> Source {
    let config: SourceConfig = serde_json::from_value(config).expect("a source");
    let outgoing = Outgoing::new(&OutgoingConfig::default()).expect("the defaults");
    config.open(&outgoing).expect("a source that opens")
}

fn check(scheme: &Scheme, headers: &HeaderMap, body: &Bytes) -> Verified {
    let request = Request {
        headers,
        query: None,
        certificate: None,
        now: NOW,
    };
    let body = body.clone();
    let verified = async { scheme.admit(black_box(&request)).await?.verify(body).await };
    block_on(verified).expect("a good request")
}

fn decoded(source: &Source, headers: &HeaderMap, body: &Verified) -> Content {
    let delivery = Delivery {
        headers,
        received_at: NOW,
        traceparent: TraceParent::random(),
        tracestate: None,
    };
    source.decode(body, &delivery).expect("a good body")
}
