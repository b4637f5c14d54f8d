//! The way of a message of SNS, from its signature to the stream.

use serde_json::json;

use super::*;
use crate::{
    SourceConfig,
    outgoing::stand_in::{Answer, StandIn},
    verify::sns::fixtures::{HOST, TOPIC, confirmation, lasting_certificate, notification, signed},
};

async fn sns(confirmed: &'static str) -> (Tested, StandIn) {
    let server = StandIn::start(&[HOST], move |target| {
        if target.starts_with("/?Action=ConfirmSubscription") {
            Answer::with_status(confirmed, "")
        } else {
            Answer::ok(lasting_certificate())
        }
    })
    .await;
    let config: SourceConfig = serde_json::from_value(
        json!({ "name": "aws", "format": "aws-sns", "topics": [TOPIC], "auth": { "sns": {} } }),
    )
    .unwrap();
    let outgoing = server.outgoing();
    let source = config.open(&outgoing).unwrap();
    let sources = BTreeMap::from([("prod".parse().unwrap(), source)]);
    (calling(sources, outgoing, None, 8000), server)
}

fn delivery(body: Vec<u8>) -> Request<Body> {
    let mut request = request(Method::POST, "/v1/hooks/prod", None, body);
    let headers = request.headers_mut();
    headers.insert("x-amz-sns-message-type", "any".parse().unwrap());
    request
}

#[tokio::test]
async fn a_signed_notification_stands_in_the_stream() {
    let (tested, _server) = sns("200 OK").await;
    let (status, _, _) = send(&tested, delivery(signed(notification(&now().to_string())))).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let events = tested.recorder.events.lock().unwrap();
    assert_eq!(events[0].id, "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324");
    assert_eq!(events[0].provider.as_str(), "aws-sm");
}

#[tokio::test]
async fn a_signed_confirmation_is_confirmed_and_counted_as_a_handshake() {
    let (tested, server) = sns("200 OK").await;
    let body = signed(confirmation(&now().to_string()));
    assert_eq!(send(&tested, delivery(body)).await.0, StatusCode::OK);
    assert_eq!(server.requests(), 2);
    assert!(tested.recorder.events.lock().unwrap().is_empty());
    let text = eso_relay::metrics::text(&tested.registry).unwrap();
    let counted = r#"webhooks_total{source="aws",result="handshake"} 1"#;
    assert!(text.contains(counted), "{text}");
}

#[tokio::test]
async fn a_confirmation_that_cannot_be_fetched_is_503() {
    let (tested, _server) = sns("500 Oh").await;
    let body = signed(confirmation(&now().to_string()));
    let (status, headers, body) = send(&tested, delivery(body)).await;
    assert_eq!(
        (status.as_u16(), body["code"].as_str()),
        (503, Some("unconfirmed"))
    );
    assert!(headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn another_topics_messages_are_refused_although_they_are_signed() {
    let (tested, server) = sns("200 OK").await;
    // Of a stranger nothing is fetched; so first a message of the right topic.
    let right = signed(notification(&now().to_string()));
    assert_eq!(send(&tested, delivery(right)).await.0, StatusCode::ACCEPTED);
    for mut message in [
        notification(&now().to_string()),
        confirmation(&now().to_string()),
    ] {
        message["TopicArn"] = json!("arn:aws:sns:us-west-2:666666666666:secrets");
        let (status, _, body) = send(&tested, delivery(signed(message))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(body["message"].as_str().unwrap().contains("TopicArn"));
    }
    assert_eq!(server.requests(), 1);
    assert_eq!(tested.recorder.events.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_signature_publishes_nothing() {
    let (tested, _server) = sns("200 OK").await;
    let body = signed(notification(&now().to_string()));
    let body = String::from_utf8(body)
        .unwrap()
        .replace("A secret", "No secret");
    let (status, _, _) = send(&tested, delivery(body.into_bytes())).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(tested.recorder.events.lock().unwrap().is_empty());
}
