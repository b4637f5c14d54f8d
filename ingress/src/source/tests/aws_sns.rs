use super::{kit::content, *};

const NOTIFICATION: &[u8] = include_bytes!("../fixtures/aws-sns-notification.json");
const CONFIRMATION: &[u8] = include_bytes!("../fixtures/aws-sns-confirmation.json");

fn config() -> Value {
    json!({ "format": "aws-sns", "topics": ["arn:aws:sns:us-west-2:012345678901:secrets"] })
}

/// The documented message with one field replaced.
fn with(body: &[u8], field: &str, value: Value) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(body).unwrap();
    body[field] = value;
    body.to_string().into_bytes()
}

#[test]
fn a_notification_brings_the_event_in_its_message_under_snss_id() {
    assert_events!("aws-sns-notification", decode(&config(), NOTIFICATION));
    for _ in 0..2 {
        let events = decode(&config(), NOTIFICATION).unwrap();
        assert_eq!(events[0].id, "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324");
    }
}

#[test]
fn a_message_of_several_events_gives_each_an_id() {
    let inside = json!([
        { "detail-type": "Secret Label Updated", "detail": { "name": "a" } },
        { "detail-type": "Scheduled Event" },
        { "detail-type": "Parameter Store Change", "detail": { "name": "/b" } },
    ]);
    let body = with(NOTIFICATION, "Message", json!(inside.to_string()));
    let events = decode(&config(), &body).unwrap();
    let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
    let id = "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324";
    assert_eq!(ids, [format!("{id}/0"), format!("{id}/2")]);
}

#[test]
fn messages_that_change_no_secret_are_irrelevant() {
    let body = with(
        NOTIFICATION,
        "Message",
        json!(r#"{"detail-type":"Scheduled Event"}"#),
    );
    assert_eq!(ignored(&config(), &[], &body), ["type"]);
    let body = with(NOTIFICATION, "Type", json!("Gossip"));
    assert_eq!(ignored(&config(), &[], &body), ["type"]);
}

#[test]
fn the_start_and_the_end_of_a_subscription_are_handshakes() {
    let source = source(&config());
    let Ok(Content::Handshake(Handshake::Confirmation { url })) =
        content(&source, &[], CONFIRMATION)
    else {
        panic!("no confirmation")
    };
    assert_eq!(url.to_string(), "https://sns.us-west-2.amazonaws.com/");
    let farewell = with(CONFIRMATION, "Type", json!("UnsubscribeConfirmation"));
    assert_eq!(
        content(&source, &[], &farewell),
        Ok(Content::Handshake(Handshake::Unsubscribed))
    );
}

#[test]
fn another_topic_neither_sends_nor_gets_confirmed() {
    let other = json!("arn:aws:sns:us-west-2:666666666666:secrets");
    for body in [NOTIFICATION, CONFIRMATION] {
        let refused = content(
            &source(&config()),
            &[],
            &with(body, "TopicArn", other.clone()),
        );
        let expected = "TopicArn is not one of the source's `topics`: add it there, or remove the subscription";
        assert_eq!(refused, Err(malformed(expected)));
    }
}

#[test]
fn what_is_malformed_is_named() {
    for (body, expected) in [
        (
            br#"{"detail-type":"Secret Label Updated"}"#.to_vec(),
            "Type is missing: switch raw message delivery of the subscription off, it leaves out the envelope with its signature",
        ),
        (b"[]".to_vec(), "the body is not an object"),
        (
            with(NOTIFICATION, "TopicArn", Value::Null),
            "TopicArn is missing",
        ),
        (
            with(NOTIFICATION, "Message", json!({})),
            "Message is neither a string nor a number",
        ),
        (
            with(NOTIFICATION, "Message", json!("do-not-leak")),
            "Message is not JSON: only events of EventBridge can be read",
        ),
        (
            with(NOTIFICATION, "Message", json!("{}")),
            "Message: element 0: detail-type is missing",
        ),
        (
            with(CONFIRMATION, "SubscribeURL", Value::Null),
            "SubscribeURL is missing",
        ),
        (
            with(
                CONFIRMATION,
                "SubscribeURL",
                json!("https://sns.us-west-2.amazonaws.com.evil.example/?do-not-leak"),
            ),
            "SubscribeURL is not a URL of Amazon SNS",
        ),
    ] {
        assert_eq!(
            content(&source(&config()), &[], &body),
            Err(malformed(expected))
        );
    }
}
