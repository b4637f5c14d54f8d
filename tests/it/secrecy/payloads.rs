//! Webhooks of every format, full of what must not be seen.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

const STRUCTURED: &str = "application/cloudevents+json";

pub(super) struct Payload {
    /// For a good one also the name of the ExternalSecret that it refreshes.
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    pub(super) body: String,
}

impl Payload {
    fn new(name: &'static str, path: &'static str, body: &Value) -> Self {
        Self::raw(name, path, &body.to_string())
    }

    fn raw(name: &'static str, path: &'static str, body: &str) -> Self {
        Self {
            name,
            path,
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            let value = HeaderValue::from_static(value);
            (HeaderName::from_static(name), value)
        };
        self.headers.iter().map(header).collect()
    }

    /// Decides on the credentials.
    pub(super) fn source(&self) -> &'static str {
        self.path.trim_start_matches("/v1/hooks/")
    }
}

/// Adds to an event what it may carry besides.
fn telling(mut event: Value) -> Value {
    for field in [
        "value",
        "secret_value",
        "password",
        "message",
        "user",
        "access_id",
        "description",
    ] {
        event[field] = json!(format!("marker-{field}"));
    }
    event["user_email"] = json!("marker@example.com");
    event["payload"] = json!({
        "value": "marker-in-payload", "new": ["marker-in-list", { "deep": "marker-deep" }],
        "marker-name-of-a-field": 1, "caused_by": "marker@example.com",
    });
    event
}

fn akeyless(name: &str) -> Value {
    telling(json!({
        "event_id": format!("id-{name}"), "event_type": "static-secret-updated",
        "item_name": format!("/prod/{name}"), "item_id": 1,
    }))
}

fn cloudevent(name: &str) -> Value {
    json!({
        "specversion": "1.0", "id": format!("id-{name}"), "source": "store",
        "type": "com.example.rotated", "subject": format!("prod/{name}"),
        "useremail": "marker@example.com", "dataschema": "https://example.com/marker",
        "data": telling(json!({})), "data_base64": "marker",
    })
}

/// Each is accepted and refreshes the key `prod/<name>`.
pub(super) fn good() -> Vec<Payload> {
    let (hook, cloudevents) = ("/v1/hooks/akeyless", "/v1/hooks/cloudevents");
    let grouped = json!({ "static-secret-updated": [akeyless("grouped")] });
    let below = json!({ "Akeyless_Events": { "static-secret-updated": [akeyless("below")] } });
    let mut own = cloudevent("own");
    own["type"] = json!("secret.changed");
    own["data"]["keys"] = json!(["prod/own"]);
    own["data"]["origin"] = json!({ "eventId": "marker", "type": "marker" });
    own["data"]["target"] = json!({ "namespaces": ["marker"] });
    let generic = telling(json!({
        "id": "id-generic", "type": "updated",
        "secret": telling(json!({ "name": "prod/generic" })),
    }));
    vec![
        Payload::new("array", hook, &json!([akeyless("array")])),
        Payload::new("grouped", hook, &grouped),
        Payload::new("below", hook, &below),
        Payload::new("generic", "/v1/hooks/generic", &generic),
        Payload::new("structured", cloudevents, &cloudevent("structured"))
            .with(CONTENT_TYPE.as_str(), STRUCTURED),
        Payload::new("batch", cloudevents, &json!([cloudevent("batch")]))
            .with(CONTENT_TYPE.as_str(), "application/cloudevents-batch+json"),
        Payload::new("binary", cloudevents, &telling(json!({})))
            .with("ce-specversion", "1.0")
            .with("ce-id", "id-binary")
            .with("ce-source", "store")
            .with("ce-type", "com.example.rotated")
            .with("ce-subject", "prod/binary")
            .with("ce-useremail", "marker@example.com"),
        Payload::new("own", cloudevents, &own).with(CONTENT_TYPE.as_str(), STRUCTURED),
        Payload::new("seed", "/webhook", &json!([akeyless("seed")])),
    ]
}

/// Each is refused, and what is wrong with it is a marker.
pub(super) fn malformed() -> Vec<Payload> {
    let mut payloads = Vec::new();
    for path in ["/v1/hooks/akeyless", "/v1/hooks/generic", "/webhook"] {
        for body in [
            r#"{"marker": marker"#,
            r#""marker""#,
            r#"["marker"]"#,
            r#"[{"event_type": "static-secret-updated", "item_name": {"marker": "marker"}}]"#,
            r#"[{"event_type": "static-secret-updated", "event_id": ["marker"]}]"#,
            r#"[{"event_type": "marker\n", "item_name": "a", "secret": {"name": ["", "marker"]}}]"#,
            r#"[{"event_type": "marker", "event_type": "static-secret-updated", "item_name": "marker", "item_name": ["marker"]}]"#,
        ] {
            payloads.push(Payload::raw("malformed", path, body));
        }
    }
    for body in [
        r#"{"specversion": "marker", "id": "1", "source": "s", "type": "t"}"#,
        r#"{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "subject": ["marker"]}"#,
        r#"{"specversion": "1.0", "id": "1", "source": "s", "type": "secret.changed", "data": {"match": "marker"}}"#,
        r#"{"specversion": "1.0", "id": "1", "source": "s", "type": "secret.changed", "data": {"keys": ["a", {"marker": "marker"}]}}"#,
        r#"{"specversion": "1.0", "id": "1", "source": "s", "type": "secret.changed", "data": {"keys": ["a"], "provider": "Marker!"}}"#,
    ] {
        let payload = Payload::raw("malformed event", "/v1/hooks/cloudevents", body);
        payloads.push(payload.with(CONTENT_TYPE.as_str(), STRUCTURED));
    }
    let odd = Payload::raw("odd type", "/v1/hooks/cloudevents", "{}");
    payloads.push(odd.with(CONTENT_TYPE.as_str(), "application/marker"));
    payloads.push(Payload::raw(
        "unknown source",
        "/v1/hooks/marker-token",
        "[]",
    ));
    payloads.push(Payload::raw("unknown path", "/marker-token", "[]"));
    payloads
}
