//! A first message with a URL to visit.

use serde_json::json;

use super::*;
use crate::{
    SourceConfig,
    outgoing::stand_in::{Answer, StandIn},
};

const HOST: &str = "cell0.notification.example.oraclecloud.com";

/// A source that takes anything, and the service that is to be visited.
async fn serving_oracle(confirm: &[&str], confirmed: &'static str) -> (Tested, StandIn) {
    let server = StandIn::start(&[HOST, "evil.example"], move |target| {
        assert_eq!(
            target,
            "/20181201/subscriptions/s/confirmation?token=t&protocol=CUSTOM_HTTPS"
        );
        Answer::with_status(confirmed, "")
    })
    .await;
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "hunter2").unwrap();
    let config: SourceConfig = serde_json::from_value(json!({
        "name": "prod", "format": "generic", "scope": { "vault": "v" }, "confirm": confirm,
        "auth": { "basic": { "username": "eso", "password_file": password.path() } },
    }))
    .unwrap();
    let outgoing = server.outgoing();
    let source = config.open(&outgoing).unwrap();
    let sources = BTreeMap::from([("prod".parse().unwrap(), source)]);
    (calling(sources, outgoing, None, 1000), server)
}

fn asking(authorization: &str, host: &str) -> Request<Body> {
    let body = r#"{"ConfirmationURL":"x"}"#;
    let mut request = request(Method::POST, "/v1/hooks/prod", Some(authorization), body);
    let url = format!(
        "https://{host}/20181201/subscriptions/s/confirmation?token=t&protocol=CUSTOM_HTTPS"
    );
    for (name, value) in [
        ("X-OCI-NS-MessageType", "SubscriptionConfirmation"),
        ("X-OCI-NS-ConfirmationURL", &url),
    ] {
        let name = header::HeaderName::try_from(name).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_subscription_of_oracle_is_confirmed_where_the_source_allows_it() {
    for confirm in ["oracle", HOST] {
        let (tested, server) = serving_oracle(&[confirm], "200 OK").await;
        assert_eq!(send(&tested, asking(RIGHT, HOST)).await.0, StatusCode::OK);
        assert_eq!(server.requests(), 1);
        assert!(tested.recorder.events.lock().unwrap().is_empty());
        assert!(metrics(&tested).contains(r#"webhooks_total{source="prod",result="handshake"} 1"#));
    }
}

#[tokio::test]
async fn a_stranger_makes_it_visit_nothing() {
    let (tested, server) = serving_oracle(&["oracle"], "200 OK").await;
    let (status, ..) = send(&tested, asking("Basic eDp5", HOST)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn another_host_is_not_visited_and_the_sender_is_told_so() {
    for (confirm, host) in [(&[][..], HOST), (&["oracle"], "evil.example")] {
        let (tested, server) = serving_oracle(confirm, "200 OK").await;
        let (status, _, body) = send(&tested, asking(RIGHT, host)).await;
        assert_eq!(
            (status.as_u16(), body["code"].as_str()),
            (403, Some("unwanted"))
        );
        assert!(body["message"].as_str().unwrap().contains("`confirm`"));
        assert_eq!(server.requests(), 0);
    }
}

#[tokio::test]
async fn a_confirmation_that_fails_now_is_to_be_asked_for_again() {
    for answer in ["500 Oh", "302 Found"] {
        let (tested, _server) = serving_oracle(&["oracle"], answer).await;
        let (status, headers, body) = send(&tested, asking(RIGHT, HOST)).await;
        assert_eq!(
            (status.as_u16(), body["code"].as_str()),
            (503, Some("unconfirmed"))
        );
        assert!(headers.contains_key(header::RETRY_AFTER));
    }
}

#[tokio::test]
async fn its_notifications_are_events() {
    let (tested, _server) = serving_oracle(&["oracle"], "200 OK").await;
    let mut notification = hook(r#"{"eventType":"com.oraclecloud.vaultsng.updatesecret"}"#);
    let kind = "Notification".parse().unwrap();
    notification
        .headers_mut()
        .insert("x-oci-ns-messagetype", kind);
    assert_eq!(send(&tested, notification).await.0, StatusCode::ACCEPTED);
    assert_eq!(tested.recorder.events.lock().unwrap().len(), 1);
}
