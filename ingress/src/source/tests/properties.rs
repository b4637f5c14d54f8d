use proptest::prelude::*;

use eso_relay::event::{decode_batch, encode_batch};
use serde_json::{Value, json};

use super::{
    kit::{decode_with, open_door, source},
    *,
};

fn formats() -> Vec<Source> {
    vec![
        source(&json!({ "format": "akeyless" })),
        source(
            &json!({ "format": "generic", "mapping": { "keys": ["/a", "/b/0"], "id": "/id", "time": "/time" } }),
        ),
        source(&json!({ "format": "cloudevents", "mapping": { "keys": "/a" } })),
        source(&json!({ "format": "cloudevents" })),
        source(&json!({ "format": "aws-eventbridge" })),
        source(&json!({ "format": "aws-sns", "topics": ["scope"] })),
        source(&json!({ "format": "azure-event-grid" })),
        source(&json!({ "format": "gcp-pubsub", "projects": { "1": "p" } })),
        source(
            &json!({ "format": "generic", "scope": { "a": "b" }, "mapping": {
                "each": "/data", "keys": "/name", "match": "/match", "allow_all": true, "scope": { "project": "/name" },
            } }),
        ),
        source(
            &json!({ "format": "cloudevents", "mapping": { "match": "/match", "scope": { "project": "/name" } } }),
        ),
        source(&json!({ "format": "github", "mapping": { "keys": "/a" } })),
        source(&json!({ "format": "gitlab", "mapping": { "match": "prefix", "keys": "/a" } })),
        source(&json!({ "format": "standard-webhooks", "mapping": { "each": "/data" } })),
        Source::seed(open_door()),
        source(&json!({ "format": "doppler" })),
        source(&json!({ "format": "doppler", "scope": { "project": "a" } })),
        source(&json!({ "format": "ibm-secrets-manager" })),
        source(&json!({ "format": "infisical", "projects": { "a": "b" } })),
        source(&json!({ "format": "pulumi-esc" })),
        source(&json!({ "format": "vault-audit" })),
        source(&json!({ "format": "vault-events" })),
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

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for source in formats() {
            decode_with(&source, &[("content-type", CE), ("pulumi-webhook-kind", "environment_revision")], &bytes).ok();
        }
    }

    #[test]
    fn whatever_a_decoder_takes_a_consumer_can_read(body in likely()) {
        let body = body.to_string();
        for (source, content_type) in formats().iter().flat_map(|source| [(source, CE), (source, CE_BATCH)]) {
            if let Ok(events) = decode_with(source, &[("content-type", content_type), ("pulumi-webhook-kind", "environment_revision")], body.as_bytes()) && !events.is_empty() {
                let read = decode_batch(&encode_batch(&events)).unwrap();
                let read: Vec<Event> = read.into_iter().map(Result::unwrap).collect();
                prop_assert_eq!(read, events);
            }
        }
    }
}
