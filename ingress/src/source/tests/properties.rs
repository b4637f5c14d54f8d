use proptest::prelude::*;

use eso_relay::event::{decode_batch, encode_batch};
use serde_json::{Value, json};

use super::{
    kit::{content, open_door, source},
    *,
};

/// Each with a target, a pattern that no body holds.
macro_rules! every_format {
    ($($format:ident: $($settings:tt),+;)+) => {
        fn formats() -> Vec<Source> {
            // Does not compile while a format has no line below.
            match FormatName::Akeyless { $(FormatName::$format => {})+ }
            vec![$($(configured(FormatName::$format, json!($settings))),+),+]
        }
    };
}

every_format! {
    Akeyless: {};
    AwsEventBridge: {};
    AwsSns: { "topics": ["scope"] };
    AzureEventGrid: {};
    CloudEvents: {}, { "mapping": { "keys": "/a" } }, {
        "mapping": { "match": "/match", "scope": { "project": "/name" } },
    };
    Doppler: {}, { "scope": { "project": "a" } };
    GcpPubsub: { "projects": { "1": "p" } };
    Generic: { "mapping": { "keys": ["/a", "/b/0"], "id": "/id", "time": "/time" } }, {
        "scope": { "a": "b" },
        "mapping": {
            "each": "/data", "keys": "/name", "match": "/match", "allow_all": true, "scope": { "project": "/name" },
        },
    };
    Github: { "mapping": { "keys": "/a" } };
    Gitlab: { "mapping": { "match": "prefix", "keys": "/a" } };
    IbmSecretsManager: {};
    Infisical: { "projects": { "a": "b" } };
    PulumiEsc: {};
    StandardWebhooks: { "mapping": { "each": "/data" } };
    VaultAudit: {};
    VaultEvents: {};
}

fn configured(format: FormatName, mut settings: Value) -> Source {
    settings["format"] = json!(format);
    settings["target"] = json!({ "namespaces": ["only-here"] });
    source(&settings)
}

/// What the formats want to see besides the body.
fn headers(content_type: &str) -> [(&str, &str); 6] {
    [
        ("content-type", content_type),
        ("pulumi-webhook-kind", "environment_revision"),
        ("webhook-id", "msg_1"),
        ("x-github-event", "repository_dispatch"),
        ("x-gitlab-event", "Pipeline Hook"),
        ("x-amz-sns-message-type", "Notification"),
    ]
}

/// Names and texts of AWS's formats.
const AWS: &[&str] = &[
    "detail-type",
    "account",
    "region",
    "resources",
    "detail",
    "labelUpdated",
    "versionId",
    "exception",
    "eventSource",
    "eventName",
    "requestParameters",
    "secretId",
    "responseElements",
    "arn",
    "additionalEventData",
    "SecretId",
    "Type",
    "TopicArn",
    "MessageId",
    "Message",
    "SubscribeURL",
    "Secret Label Updated",
    "Parameter Store Change",
    "AWS API Call via CloudTrail",
    "secretsmanager.amazonaws.com",
    "PutSecretValue",
    "arn:aws:secretsmanager:us-west-2:012345678901:secret:db-a1b2c3",
    "Notification",
];

/// JSON that often has the names that the formats look for.
fn likely() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "event_type",
        "event_id",
        "item_name",
        "name",
        "Akeyless_Events",
        "static-secret-updated",
        "a",
        "b",
        "id",
        "time",
        "specversion",
        "source",
        "type",
        "subject",
        "data",
        "keys",
        "match",
        "scope",
        "version",
        "added",
        "config",
        "data_path",
        "diff",
        "environment",
        "environmentName",
        "event",
        "metadata",
        "mount_path",
        "mount_point",
        "mount_type",
        "namespace",
        "operation",
        "organization",
        "path",
        "plugin_info",
        "project",
        "request",
        "secret_name",
        "secrets",
        "eventType",
        "Id",
        "ObjectName",
        " VaultName",
        "Version",
        "message",
        "attributes",
        "secretId",
        "versionId",
        "messageId",
    ]);
    let name = prop_oneof![name, prop::sample::select(AWS)];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,9}".prop_map(Value::from),
        prop::sample::select(AWS).prop_map(Value::from),
        prop::sample::select(vec![
            "do-not-leak",
            "static-secret-updated",
            "1.0",
            "secret.changed",
            "scope",
            "prefix",
            "exact",
            "config.secrets.update",
            "secrets.modified",
            "secret_rotated",
            "response",
            "update",
            "kv",
            "kv/metadata/a",
            "kv-v2/delete",
            "Microsoft.KeyVault.CertificateNewVersionCreated",
            "https://kv.vault.azure.net/secrets/a/1",
            "SECRET_VERSION_ADD",
            "projects/1/secrets/s",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| json!(map)),
        ]
    })
}

/// As the fuzz targets of `fuzz/` have it, at greater length.
fn keeps_its_promises(source: &Source, content_type: &str, body: &[u8]) {
    let events = match content(source, &headers(content_type), body) {
        Ok(Content::Events { events, .. }) => events,
        Ok(Content::Handshake(_)) => return,
        Err(error) => return assert!(!error.to_string().contains("do-not-leak"), "{error}"),
    };
    for event in &events {
        assert!((1..=512).contains(&event.id.len()), "{}", event.id);
        assert_eq!(
            (&event.source, &event.target),
            (&source.name, &source.target)
        );
    }
    if !events.is_empty() {
        let read = decode_batch(&encode_batch(&events)).unwrap();
        let read: Vec<Event> = read.into_iter().map(Result::unwrap).collect();
        assert_eq!(read, events);
    }
}

fn each_of_them(mut judge: impl FnMut(&Source, &str)) {
    for source in formats()
        .iter()
        .chain([&Source::akeyless_trigger(open_door())])
    {
        judge(source, CE);
        judge(source, CE_BATCH);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        each_of_them(|source, content_type| keeps_its_promises(source, content_type, &bytes));
    }

    #[test]
    fn whatever_a_decoder_takes_a_consumer_can_read(body in likely()) {
        let body = body.to_string();
        each_of_them(|source, content_type| keeps_its_promises(source, content_type, body.as_bytes()));
    }
}
