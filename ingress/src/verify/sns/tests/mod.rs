mod fetching;

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    certificates::{INTERVAL, MOST_FETCHES, MOST_KNOWN, REST},
    fixtures::{HOST, TOPIC, certificate, confirmation, lasting_certificate, notification, signed},
    *,
};
use crate::{
    outgoing::stand_in::{Answer, StandIn},
    verify::Scheme,
};

/// Of the messages below.
const SENT: &str = "2026-08-08T11:59:59.123Z";
const NOTIFICATION_SHA1: &[u8] = include_bytes!("../fixtures/notification-sha1.json");
const CONFIRMATION_SHA1: &[u8] = include_bytes!("../fixtures/confirmation-sha1.json");

const WRONG: Result<(), Refused> = Err(Refused::Unauthorized(Unauthorized));
const UNAVAILABLE: Result<(), Refused> = Err(Refused::Unavailable);

/// A scheme, and who serves its certificates.
struct Tested {
    scheme: Scheme,
    server: StandIn,
}

impl Tested {
    async fn new(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let server = StandIn::start(&[HOST], answer).await;
        let config: SnsConfig = serde_json::from_value(json!({})).unwrap();
        Self {
            scheme: Scheme::Sns(config.open(&server.outgoing(), &[TOPIC.to_owned()])),
            server,
        }
    }

    async fn with_certificate() -> Self {
        Self::new(|target| {
            assert_eq!(target, "/SimpleNotificationService-test.pem");
            Answer::ok(lasting_certificate())
        })
        .await
    }

    async fn check(&self, body: &[u8]) -> Result<(), Refused> {
        self.check_at("2026-08-08T12:00:00Z", body).await
    }

    async fn check_at(&self, now: &str, body: &[u8]) -> Result<(), Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-amz-sns-message-type",
            HeaderValue::from_static("Notification"),
        );
        let request = Request {
            headers: &headers,
            query: None,
            certificate: None,
            now: now.parse().unwrap(),
        };
        let admitted = self.scheme.admit(&request).await?;
        admitted.verify(body.to_vec().into()).await.map(drop)
    }
}

/// The signed message with one field replaced.
fn with(body: &[u8], field: &str, value: Value) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(body).unwrap();
    body[field] = value;
    body.to_string().into_bytes()
}

fn without(body: &[u8], field: &str) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(body).unwrap();
    body.as_object_mut().unwrap().remove(field).unwrap();
    body.to_string().into_bytes()
}

/// As from a certificate's file of this name.
fn at_file(name: &str) -> Vec<u8> {
    let url = format!("https://{HOST}/{name}.pem");
    with(&signed(notification(SENT)), "SigningCertURL", json!(url))
}

/// Lets time pass while nothing waits for the network.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn both_kinds_of_messages_are_believed_with_both_hashes() {
    let tested = Tested::with_certificate().await;
    for body in [
        signed(notification(SENT)),
        signed(confirmation(SENT)),
        NOTIFICATION_SHA1.to_vec(),
        CONFIRMATION_SHA1.to_vec(),
    ] {
        assert_eq!(tested.check(&body).await, Ok(()));
    }
    let farewell = json!("UnsubscribeConfirmation");
    let mut ended = confirmation(SENT);
    ended["Type"] = farewell;
    assert_eq!(tested.check(&signed(ended)).await, Ok(()));
    let mut plain = notification(SENT);
    plain.as_object_mut().unwrap().remove("Subject").unwrap();
    assert_eq!(tested.check(&signed(plain)).await, Ok(()));
    assert_eq!(tested.server.requests(), 1);
}

#[tokio::test]
async fn a_message_that_lacks_a_field_is_refused_and_nothing_is_fetched_for_it() {
    let tested = Tested::with_certificate().await;
    for field in [
        "Type",
        "Message",
        "MessageId",
        "Timestamp",
        "TopicArn",
        "Signature",
        "SignatureVersion",
        "SigningCertURL",
    ] {
        let body = without(&signed(notification(SENT)), field);
        assert_eq!(tested.check(&body).await, WRONG, "{field}");
    }
    for field in ["SubscribeURL", "Token"] {
        let body = without(&signed(confirmation(SENT)), field);
        assert_eq!(tested.check(&body).await, WRONG, "{field}");
    }
    for body in [&b""[..], b"[]", b"{}", b"{\"Type\":1}", b"\xff"] {
        assert_eq!(tested.check(body).await, WRONG);
    }
    assert_eq!(tested.server.requests(), 0);
}

#[tokio::test]
async fn a_field_that_is_taken_away_added_or_repeated_breaks_the_signature() {
    let tested = Tested::with_certificate().await;
    let whole = signed(notification(SENT));
    assert_eq!(tested.check(&without(&whole, "Subject")).await, WRONG);
    let mut plain = notification(SENT);
    plain.as_object_mut().unwrap().remove("Subject").unwrap();
    let added = with(&signed(plain), "Subject", json!("new"));
    assert_eq!(tested.check(&added).await, WRONG);
    let text = String::from_utf8(whole).unwrap();
    let repeated = text.replacen('{', r#"{"TopicArn":"arn:aws:sns:us-west-2:6:mine","#, 1);
    assert_eq!(tested.check(repeated.as_bytes()).await, WRONG);
    for version in ["1", "3", ""] {
        let body = with(text.as_bytes(), "SignatureVersion", json!(version));
        assert_eq!(tested.check(&body).await, WRONG, "{version}");
    }
}

#[test]
fn one_signed_text_is_one_message() {
    let mut message = notification(SENT);
    message["SignatureVersion"] = json!("2");
    message["Signature"] = json!("");
    let text = |message: &Value| {
        let body = message.to_string();
        Envelope::parse(body.as_bytes()).unwrap().signed()
    };
    assert!(text(&message).is_some());
    // The signed text of another topic's message, if values might have several lines.
    message["Subject"] = json!("x\nTimestamp\nnow");
    assert_eq!(text(&message), None);
}

#[tokio::test]
async fn an_old_message_and_one_of_the_future_are_refused() {
    let tested = Tested::with_certificate().await;
    let body = signed(notification("2026-08-08T12:00:00Z"));
    for (now, expected) in [
        ("2026-08-08T13:30:00Z", Ok(())),
        ("2026-08-08T13:30:01Z", WRONG),
        ("2026-08-08T11:55:00Z", Ok(())),
        ("2026-08-08T11:54:59Z", WRONG),
    ] {
        assert_eq!(tested.check_at(now, &body).await, expected, "{now}");
    }
    let timeless = signed(notification("do-not-leak"));
    assert_eq!(tested.check(&timeless).await, WRONG);
}

#[tokio::test]
async fn without_the_header_the_body_is_not_even_read() {
    let tested = Tested::with_certificate().await;
    let request = Request {
        headers: &HeaderMap::new(),
        query: None,
        certificate: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let admitted = tested.scheme.admit(&request).await.map(drop);
    assert_eq!(admitted, WRONG);
}

#[tokio::test]
async fn a_certificate_counts_while_it_is_valid() {
    let fetched = AtomicUsize::new(0);
    let tested = Tested::new(move |_| match fetched.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::ok(certificate((8, 9))),
        _ => Answer::ok(certificate((8, 10))),
    })
    .await;
    let early = signed(notification("2026-08-08T23:59:00Z"));
    let late = signed(notification("2026-08-09T00:01:00Z"));
    let (day, next) = ("2026-08-08T23:59:30Z", "2026-08-09T00:01:30Z");
    assert_eq!(tested.check_at(day, &early).await, Ok(()));
    // No longer valid, and not yet fetched again.
    assert_eq!(tested.check_at(next, &late).await, WRONG);
    pass(REST).await;
    assert_eq!(tested.check_at(next, &late).await, Ok(()));
    assert_eq!(tested.server.requests(), 2);
}

#[tokio::test]
async fn a_certificate_that_is_known_is_not_fetched() {
    let server = StandIn::start(&[HOST], |_| Answer::with_status("404 Not Found", "")).await;
    let url = format!("https://{HOST}/SimpleNotificationService-test.pem");
    let url = Https::parse(&url).unwrap();
    let open =
        |pem: &str| SnsConfig::default().open_knowing(&server.outgoing(), &url, pem.as_bytes());
    let scheme = Scheme::Sns(open(&lasting_certificate()).unwrap());
    assert!(open("no certificate").is_none());
    let tested = Tested { scheme, server };
    assert_eq!(tested.check(&signed(notification(SENT))).await, Ok(()));
    assert_eq!(tested.server.requests(), 0);
}

#[test]
fn the_configuration_may_be_empty() {
    let config: SnsConfig = serde_json::from_value(json!({})).unwrap();
    assert_eq!(config.max_age, Duration::from_secs(5400));
    let config: SnsConfig = serde_json::from_value(json!({ "max_age": "10m" })).unwrap();
    assert_eq!(config.max_age, Duration::from_secs(600));
    assert!(serde_json::from_value::<SnsConfig>(json!({ "maxage": "10m" })).is_err());
}

/// Whether the signature fits, with the certificate at hand.
fn fits(body: &[u8], certificate: &Certificate) -> bool {
    Envelope::parse(body).is_some_and(|message| {
        let signed = message.signed().zip(message.signature());
        signed.is_some_and(|(text, signature)| {
            certificate.verify(text.as_bytes(), &signature).is_ok()
        })
    })
}

proptest! {
    #[test]
    fn a_flipped_bit_of_any_signed_field_is_refused(
        field in 0..7_usize, at in any::<prop::sample::Index>(), bit in 0..7, kind in 0..4_usize,
    ) {
        let certificate = Certificate::parse(lasting_certificate().as_bytes()).unwrap();
        let body = match kind {
            0 => signed(notification(SENT)),
            1 => signed(confirmation(SENT)),
            2 => NOTIFICATION_SHA1.to_vec(),
            _ => CONFIRMATION_SHA1.to_vec(),
        };
        prop_assert!(fits(&body, &certificate));
        let fields = if kind % 2 == 0 {
            ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "Signature"]
        } else {
            ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        };
        let field = fields[field];
        let mut value: Value = serde_json::from_slice(&body).unwrap();
        // Seven bits: the text stays ASCII.
        let mut text = value[field].as_str().unwrap().as_bytes().to_vec();
        let at = at.index(text.len());
        text[at] ^= 1_u8 << bit;
        value[field] = json!(String::from_utf8(text).unwrap());
        prop_assert!(!fits(value.to_string().as_bytes(), &certificate), "{}", field);
    }

    #[test]
    fn no_bytes_make_a_certificate_or_a_message_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Certificate::parse(&bytes).is_none());
        prop_assert!(Envelope::parse(&bytes).is_none());
    }
}
