//! Bodies that their senders may send and that say nothing which can be believed.

use eso_relay_lab::installation::{BASIC_PASSWORD, BASIC_USER, BEARER_TOKEN, Webhooks, send, sign};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::json;

use super::{Tested, refuses};

const DEEP: usize = 200_000;

/// A sender with the right credentials.
#[derive(Clone, Copy)]
enum To {
    Akeyless,
    Generic,
    Seed,
    /// With this content type.
    CloudEvents(&'static str),
}

const STRUCTURED: To = To::CloudEvents("application/cloudevents+json");
const BATCH: To = To::CloudEvents("application/cloudevents-batch+json");

impl To {
    fn request(self, webhooks: &Webhooks, body: &[u8]) -> reqwest::RequestBuilder {
        match self {
            Self::Akeyless => webhooks
                .post("/v1/hooks/akeyless")
                .basic_auth(BASIC_USER, Some(BASIC_PASSWORD)),
            Self::Seed => webhooks
                .post("/webhook")
                .basic_auth(BASIC_USER, Some(BASIC_PASSWORD)),
            Self::Generic => webhooks
                .post("/v1/hooks/generic")
                .header("x-signature", sign(body)),
            Self::CloudEvents(kind) => {
                let request = webhooks.post("/v1/hooks/cloudevents");
                // `header` would add a second one.
                let kind = HeaderValue::from_static(kind);
                let kind = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
                request.bearer_auth(BEARER_TOKEN).headers(kind)
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_400_for_every_format() {
    let tested = Tested::start("").await;
    let mut bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".into()),
        ("white space", b" \r\n\t ".into()),
        ("half an object", b"[{\"item_name\": \"a\"".into()),
        ("NUL bytes", b"\0\0\0\0".into()),
        ("a NUL in a string", b"[{\"item_name\": \"a\0b\"}]".into()),
        ("invalid UTF-8", b"[{\"item_name\": \"\xff\xfe\"}]".into()),
        ("UTF-16", b"\xff\xfe[\0]\0".into()),
        ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf[]".into()),
        ("more after the end", b"[] []".into()),
        ("a comment", b"[] // no".into()),
        ("a trailing comma", b"[{},]".into()),
        ("a bare number too odd", b"01".into()),
        ("not a number", b"[NaN]".into()),
        ("a form", b"item_name=prod%2Fdb".into()),
        (
            "XML",
            b"<?xml version='1.0'?><!DOCTYPE a SYSTEM 'file:///etc/passwd'>".into(),
        ),
        ("open brackets without end", b"[".repeat(DEEP)),
        ("open objects without end", b"{\"a\":".repeat(DEEP)),
    ];
    bodies.push(("binary", (0..=255).collect()));
    for to in [To::Akeyless, To::Generic, To::Seed, STRUCTURED, BATCH] {
        for (what, body) in &bodies {
            let request = to.request(&tested.webhooks, body).body(body.clone());
            refuses(what, &send(request).await.unwrap(), 400, "not_json");
        }
    }
    tested.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_no_event_is_422_for_every_format() {
    let nested = nested();
    let mut cases = Vec::new();
    for to in [To::Akeyless, To::Generic, To::Seed, STRUCTURED] {
        for body in [
            "1", "null", "true", "\"text\"", "[[[]]]", "[{}]", "[1, 2]", "-1e400", "[null]",
            &nested,
        ] {
            cases.push((to, body.to_owned()));
        }
    }
    for to in [To::Generic, To::Seed, STRUCTURED, BATCH] {
        cases.push((to, "{}".to_owned()));
    }
    are_malformed(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_an_odd_name_is_422() {
    let (nested, long) = (nested(), format!("\"{}\"", "k".repeat(2049)));
    let many = json!(vec!["k"; 17]).to_string();
    let mut cases = Vec::new();
    for to in [To::Akeyless, To::Seed] {
        let mut add = |fields: &str| {
            cases.push((
                to,
                format!(r#"[{{"event_type": "static-secret-updated", {fields}}}]"#),
            ));
        };
        for name in [
            "null",
            "\"\"",
            "{}",
            "[\"a\"]",
            "true",
            r#""\ud800""#,
            &long,
            &nested,
        ] {
            add(&format!(r#""item_name": {name}"#));
        }
    }
    cases.push((To::Akeyless, r#"{"Akeyless_Events": 1}"#.into()));
    cases.push((To::Akeyless, r#"{"static-secret-updated": {}}"#.into()));
    for name in [
        "null", "\"\"", "{}", "true", "[]", "[{}]", &long, &many, &nested,
    ] {
        cases.push((To::Generic, format!(r#"{{"secret": {{"name": {name}}}}}"#)));
    }
    cases.push((To::Generic, r#"{"secret": ["name"]}"#.into()));
    are_malformed(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_id_refuses_nothing() {
    let tested = Tested::start("").await;
    let long = format!("\"{}\"", "k".repeat(2049));
    for id in [
        r#""a\r\nNats-Msg-Id: b""#,
        r#""\u0000""#,
        "[]",
        "1e999",
        &long,
    ] {
        for to in [To::Akeyless, To::Seed] {
            let body = format!(
                r#"[{{"event_type": "static-secret-updated", "item_name": "a", "event_id": {id}}}]"#
            );
            let request = to.request(&tested.webhooks, body.as_bytes());
            let answer = send(request.body(body)).await.unwrap();
            assert_eq!(answer.status.as_u16(), 202, "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloudevent_that_is_not_one_is_422() {
    let event = |more: &str| {
        format!(
            r#"{{"specversion": "1.0", "id": "1", "source": "s", "type": "secret.changed", {more}}}"#
        )
    };
    let mut cases = Vec::new();
    for more in [
        r#""data": {"match": "all"}"#,
        r#""data": {"match": "everything", "keys": ["a"]}"#,
        r#""data": {"match": "prefix", "keys": ["a", "b"]}"#,
        r#""data": {"match": "scope"}"#,
        r#""data": {"keys": [""]}"#,
        r#""data": {"keys": [1]}"#,
        r#""data": {"keys": ["a"], "provider": "../../x"}"#,
        r#""data": [1]"#,
        r#""subject": {}"#,
        r#""data": null"#,
    ] {
        cases.push((STRUCTURED, event(more)));
        cases.push((BATCH, format!("[{}]", event(more))));
    }
    for attributes in [
        r#""specversion": "2.0", "id": "1", "source": "s", "type": "t""#,
        r#""id": "1", "source": "s", "type": "t""#,
        r#""specversion": "1.0", "id": "1", "source": "s""#,
        r#""specversion": "1.0", "id": "1", "source": "s", "type": "\n""#,
    ] {
        cases.push((STRUCTURED, format!(r#"{{{attributes}, "subject": "a"}}"#)));
    }
    for kind in [
        "text/plain",
        "application/json",
        "multipart/form-data",
        "",
        "a;b;c",
        "*/*",
    ] {
        cases.push((To::CloudEvents(kind), event(r#""subject": "a""#)));
    }
    are_malformed(cases).await;
}

async fn are_malformed(cases: Vec<(To, String)>) {
    let tested = Tested::start("").await;
    for (to, body) in cases {
        let request = to.request(&tested.webhooks, body.as_bytes());
        let what: String = body.chars().take(120).collect();
        let answer = send(request.body(body)).await.unwrap();
        refuses(&what, &answer, 422, "malformed");
    }
    tested.ends_unharmed().await;
}

/// Deeper than any stack.
fn nested() -> String {
    format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_cloudevent_with_odd_headers_is_422() {
    let tested = Tested::start("").await;
    let good = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "s"),
        ("ce-type", "t"),
        ("ce-subject", "prod/db"),
    ];
    let odd = [
        ("ce-subject", "%zz"),
        ("ce-subject", "%"),
        ("ce-subject", "%ff"),
        ("ce-subject", ""),
        ("ce-type", "%0a"),
        ("ce-specversion", "0.3"),
        ("ce-specversion", "%31%2"),
    ];
    for (name, value) in odd {
        let request = tested.webhooks.post("/v1/hooks/cloudevents");
        let request = good
            .iter()
            .map(|(it, usual)| (it, if *it == name { value } else { usual }))
            .fold(
                request.bearer_auth(BEARER_TOKEN),
                |request, (name, value)| request.header(*name, value),
            );
        let answer = send(request).await.unwrap();
        refuses(&format!("{name}: {value}"), &answer, 422, "malformed");
    }
    tested.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_413_and_nothing_of_interest_is_204() {
    let tested = Tested::start("body_limit: 200000").await;
    let too_many = json!(vec![json!({ "event_type": "a", "item_name": "b" }); 10_001]).to_string();
    let refused = To::Akeyless.request(&tested.webhooks, too_many.as_bytes());
    let answer = send(refused.body(too_many)).await.unwrap();
    refuses("a long body", &answer, 413, "too_large");
    let too_many = format!("[{}1]", "1,".repeat(10_000));
    let refused = To::Akeyless.request(&tested.webhooks, too_many.as_bytes());
    let answer = send(refused.body(too_many)).await.unwrap();
    refuses("many elements", &answer, 413, "too_many");

    for body in ["[]", r#"[{"event_type": "login", "item_name": "a"}]"#] {
        let request = To::Akeyless.request(&tested.webhooks, body.as_bytes());
        let answer = send(request.body(body)).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    }
    tested.ends_unharmed().await;
}
