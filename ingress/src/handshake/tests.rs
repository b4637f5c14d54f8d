use http::header;
use http_body_util::BodyExt as _;

use super::*;
use crate::outgoing::{
    Https,
    stand_in::{Answer, StandIn},
};

const SNS: &str = "sns.us-west-2.amazonaws.com";

async fn answered(server: &StandIn, handshake: Handshake) -> (StatusCode, String) {
    let source = "aws".parse().unwrap();
    let answer = match answer(&source, handshake, &server.outgoing()).await {
        Ok(answer) => answer,
        Err(error) => error.into_response(),
    };
    let status = answer.status();
    let again = answer.headers().contains_key(header::RETRY_AFTER);
    assert_eq!(again, status == StatusCode::SERVICE_UNAVAILABLE);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn confirmation() -> Handshake {
    let url = format!("https://{SNS}/?Action=ConfirmSubscription&Token=t");
    Handshake::Confirmation {
        url: Https::of_sns(&url).unwrap(),
    }
}

#[tokio::test]
async fn a_subscription_is_confirmed_by_fetching_its_url() {
    let server = StandIn::start(&[SNS], |target| {
        assert_eq!(target, "/?Action=ConfirmSubscription&Token=t");
        Answer::ok("<ConfirmSubscriptionResponse/>")
    })
    .await;
    let answer = answered(&server, confirmation()).await;
    assert_eq!(answer, (StatusCode::OK, String::new()));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn what_cannot_be_confirmed_now_is_answered_503() {
    let server = StandIn::start(&[SNS], |_| Answer::with_status("500 Oh", "s3cret")).await;
    let (status, body) = answered(&server, confirmation()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        body.contains("unconfirmed") && !body.contains("s3cret"),
        "{body}"
    );
}

#[tokio::test]
async fn a_removed_subscription_is_not_confirmed_again() {
    let server = StandIn::start(&[SNS], |_| Answer::ok("")).await;
    let answer = answered(&server, Handshake::Unsubscribed).await;
    assert_eq!(answer, (StatusCode::OK, String::new()));
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_validation_gets_its_code_back() {
    let server = StandIn::start(&[SNS], |_| Answer::ok("")).await;
    let code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6".to_owned();
    let answer = answered(&server, Handshake::Validation { code }).await;
    let expected = r#"{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}"#;
    assert_eq!(answer, (StatusCode::OK, expected.to_owned()));
}
