use serde_json::{Value, json};

use super::{
    CE, CE_BATCH,
    kit::{assert_events, content, decode, decode_with, ignored, left_out, source},
};
use crate::source::*;

const SECRET: &str = "Microsoft.KeyVault.SecretNewVersionCreated";

fn config() -> Value {
    json!({ "format": "azure-event-grid" })
}

/// An event in Event Grid's schema, with these fields besides or instead of its own.
fn event(kind: &str, data: &Value) -> Value {
    json!({ "id": "1", "subject": "sub-ject", "eventType": kind, "data": data })
}

fn read(events: &Value) -> Result<Vec<Event>, DecodeError> {
    decode(&config(), events.to_string().as_bytes())
}

#[test]
fn an_array_in_event_grids_schema_is_read_with_the_blanks_of_the_documentation() {
    let body = include_bytes!("../fixtures/azure-event-grid-documented.json");
    assert_events!("azure-event-grid-documented", decode(&config(), body));
}

#[test]
fn a_certificate_is_a_key_and_a_secret_too_and_names_have_no_case() {
    let body = include_bytes!("../fixtures/azure-event-grid-batch.json");
    assert_events!("azure-event-grid-batch", decode(&config(), body));
}

#[test]
fn cloudevents_are_read_single_and_in_a_batch() {
    let source = source(&config());
    let single = include_str!("../fixtures/azure-event-grid-cloudevent.json");
    let read = |content_type, body: &str| {
        decode_with(&source, &[("content-type", content_type)], body.as_bytes())
    };
    assert_events!("azure-event-grid-cloudevent", read(CE, single));
    let batch = read(CE_BATCH, &format!("[{single},{single}]")).unwrap();
    let ids: Vec<&str> = batch.iter().map(|event| event.id.as_str()).collect();
    let id = "00eccf70-95a7-4e7c-8299-2eb17ee9ad64";
    assert_eq!(ids, [format!("{id}/0"), format!("{id}/1")]);
    assert_eq!(batch[0].matches.keys(), ["secret/newsecret"]);
}

#[test]
fn events_that_change_no_value_are_irrelevant_whatever_their_data() {
    for kind in [
        "Microsoft.KeyVault.SecretNearExpiry",
        "Microsoft.KeyVault.SecretExpired",
        "Microsoft.KeyVault.KeyNearExpiry",
        "Microsoft.KeyVault.KeyExpired",
        "Microsoft.KeyVault.CertificateNearExpiry",
        "Microsoft.KeyVault.CertificateExpired",
        "Microsoft.KeyVault.VaultAccessPolicyChanged",
        "Microsoft.EventGrid.SubscriptionDeletedEvent",
        "Microsoft.Storage.BlobCreated",
    ] {
        for data in [json!(null), json!("text"), json!({ "ObjectName": [1] })] {
            let body = event(kind, &data).to_string();
            assert_eq!(ignored(&config(), &[], body.as_bytes()), ["type"], "{body}");
        }
    }
    assert_eq!(ignored(&config(), &[], b"[]"), ["empty"]);
}

#[test]
fn what_one_field_lacks_another_one_tells() {
    let url = "https://Eu-Kv.vault.azure.cn/secrets/From-Url/abc123";
    for (data, key, vault, version) in [
        (
            json!({ "Id": url }),
            "from-url",
            Some("eu-kv.vault.azure.cn"),
            Some("abc123"),
        ),
        (
            json!({ "Id ": url, " ObjectName": " Own " }),
            "own",
            Some("eu-kv.vault.azure.cn"),
            Some("abc123"),
        ),
        (
            json!({ "id": url, "objectName": "own" }),
            "own",
            Some("eu-kv.vault.azure.cn"),
            Some("abc123"),
        ),
        (
            json!({ "Id": "https://eu-kv.vault.azure.cn" }),
            "sub-ject",
            Some("eu-kv.vault.azure.cn"),
            None,
        ),
        (
            json!({ "VaultName": "Eu-Kv", "Version": "v2" }),
            "sub-ject",
            Some("eu-kv.vault.azure.net"),
            Some("v2"),
        ),
        (
            json!({ "Id": "https://user@host/secrets/a", "VaultName": "a.b@c" }),
            "a",
            None,
            None,
        ),
        (
            json!({ "Id": "", "ObjectName": "a", "Version": "a b@c" }),
            "a",
            None,
            None,
        ),
        (json!({}), "sub-ject", None, None),
        (json!(null), "sub-ject", None, None),
    ] {
        let events = read(&event(SECRET, &data)).unwrap();
        assert_eq!(
            events[0].matches.keys(),
            [format!("secret/{key}")],
            "{data}"
        );
        let found = events[0].scope.get("vault").map(String::as_str);
        assert_eq!(found, vault, "{data}");
        let found = events[0]
            .version
            .as_ref()
            .and_then(|version| version.id.as_deref());
        assert_eq!(found, version, "{data}");
    }
}

#[test]
fn a_malformed_event_is_left_out_and_named() {
    let good = event(SECRET, &json!({ "ObjectName": "a" }));
    let long = "do-not-leak".repeat(12);
    for (bad, expected) in [
        (json!("do-not-leak"), "element 1 is not an object"),
        (json!({}), "element 1: eventType is missing"),
        (
            json!({ "eventType": [] }),
            "element 1: eventType is neither a string nor a number",
        ),
        (
            json!({ "eventType": SECRET }),
            "element 1: data.ObjectName is missing",
        ),
        (
            event(SECRET, &json!("do-not-leak")),
            "element 1: data is not an object",
        ),
        (
            event(SECRET, &json!({ "ObjectName": {} })),
            "element 1: data.ObjectName is neither a string nor a number",
        ),
        (
            event(SECRET, &json!({ "Id": ["do-not-leak"] })),
            "element 1: data.Id is neither a string nor a number",
        ),
        (
            event(SECRET, &json!({ "ObjectName": "a/b" })),
            "element 1: data.ObjectName is not a name of 1 to 127 letters, digits and -",
        ),
        (
            event(SECRET, &json!({ "ObjectName": long })),
            "element 1: data.ObjectName is not a name of 1 to 127 letters, digits and -",
        ),
    ] {
        let batch = json!([good, bad]).to_string();
        assert_eq!(
            left_out(&config(), &[], batch.as_bytes()),
            [expected],
            "{bad}"
        );
    }
}

#[test]
fn the_validation_is_a_handshake_by_its_header_and_by_its_type() {
    let body = include_str!("../fixtures/azure-event-grid-validation.json");
    let source = source(&config());
    let header = [("aeg-event-type", "SubscriptionValidation")];
    let untyped = r#"[{"data":{"validationCode":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}}]"#;
    for (headers, body) in [(&header[..], body), (&[], body), (&header, untyped)] {
        let code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6".to_owned();
        assert_eq!(
            content(&source, headers, body.as_bytes()),
            Ok(Content::Handshake(Handshake::Validation { code }))
        );
    }
    for body in ["[]", "[{}]", r#"{"data":{"validationCode":null}}"#] {
        assert_eq!(
            content(&source, &header, body.as_bytes()),
            Err(malformed("element 0: data.validationCode is missing")),
            "{body}"
        );
    }
    let events = [("aeg-event-type", "Notification")];
    assert!(content(&source, &events, untyped.as_bytes()).is_err());
}

#[test]
fn an_event_that_is_sent_again_has_the_same_id() {
    let body = include_bytes!("../fixtures/azure-event-grid-documented.json");
    let id = || decode(&config(), body).unwrap()[0].id.clone();
    assert_eq!(
        (id(), id().as_str()),
        (id(), "00eccf70-95a7-4e7c-8299-2eb17ee9ad64")
    );
}

#[test]
fn the_largest_batch_of_event_grid_fits() {
    let one = event(SECRET, &json!({ "ObjectName": "a" })).to_string();
    let body = format!("[{}]", vec![one; 5000].join(","));
    assert_eq!(decode(&config(), body.as_bytes()).unwrap().len(), 5000);
}
