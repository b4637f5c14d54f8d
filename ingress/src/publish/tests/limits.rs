//! What the server and the stream take of a message.

use super::{fake_stream::FakeStream, *};
use crate::publish::metrics::{MessageLabels, MessageResult};

const TOO_LARGE: &str = r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}"#;

/// One message at a time, so that what is published meanwhile shares the next one.
fn one_at_a_time() -> PublishConfig {
    PublishConfig {
        in_flight: std::num::NonZeroUsize::MIN,
        ..config()
    }
}

fn id(message: &async_nats::Message) -> String {
    let headers = message.headers.as_ref().unwrap();
    headers.get("Nats-Msg-Id").unwrap().to_string()
}

fn hundred() -> Vec<String> {
    (0..100).map(|n| n.to_string()).collect()
}

/// Publishes a hundred events as one request.
async fn publish_hundred(setup: &Setup) -> Result<(), PublishError> {
    let ids = hundred();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    result(setup.publish_all(&ids)).await
}

#[tokio::test]
async fn a_message_that_is_too_large_goes_out_in_halves_with_ids_that_follow_from_its_own() {
    let setup = Setup::new(&config()).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let publish = setup.publish_all(&["1", "2", "3"]);
    let whole = stream.next().await;
    stream.answer(&whole, TOO_LARGE).await;
    let first = stream.next().await;
    assert_eq!(ids(&first.payload), ["1"]);
    assert_eq!(id(&first), format!("{}.1", id(&whole)));
    stream.ack(&first).await;
    let second = stream.next().await;
    assert_eq!(ids(&second.payload), ["2", "3"]);
    assert_eq!(id(&second), format!("{}.2", id(&whole)));
    assert!(!publish.is_finished(), "half of it is not all");
    stream.answer(&second, TOO_LARGE).await;
    for (event, half) in [("2", "1"), ("3", "2")] {
        let message = stream.next().await;
        assert_eq!(ids(&message.payload), [event]);
        assert_eq!(id(&message), format!("{}.{half}", id(&second)));
        stream.ack(&message).await;
    }
    assert_eq!(result(publish).await, Ok(()));
    let split = MessageLabels {
        result: MessageResult::split,
    };
    let messages = &setup.publisher.gate.metrics.messages;
    assert_eq!(messages.get_or_create(&split).get(), 2);
}

#[tokio::test]
async fn an_event_that_is_too_large_takes_no_other_request_with_it() {
    let setup = Setup::new(&one_at_a_time()).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let alone = setup.publish("alone");
    let blocking = stream.next().await;
    let [a, large, b] = ["a", "large", "b"].map(|id| setup.publish(id));
    while setup.publisher.gate.metrics.waiting.get() < 3 {
        tokio::task::yield_now().await;
    }
    stream.ack(&blocking).await;
    assert_eq!(result(alone).await, Ok(()));
    for (events, fits) in [
        (&["a", "large", "b"][..], false),
        (&["a"], true),
        (&["large", "b"], false),
        (&["large"], false),
        (&["b"], true),
    ] {
        let message = stream.next().await;
        assert_eq!(ids(&message.payload), events);
        if fits {
            stream.ack(&message).await;
        } else {
            stream.answer(&message, TOO_LARGE).await;
        }
    }
    assert_eq!(result(a).await, Ok(()));
    assert_eq!(result(large).await, Err(PublishError::AboveLimits));
    assert_eq!(result(b).await, Ok(()));
}

#[tokio::test]
async fn a_list_larger_than_the_server_takes_is_stored_whole_and_in_order() {
    let server = NatsServer::builder()
        .sync_always()
        .config_text("max_payload: 4096");
    let setup = Setup::on(server, &config()).await;
    setup.create_stream(|_| ()).await;
    assert_eq!(publish_hundred(&setup).await, Ok(()));
    assert_eq!(setup.stored().await.concat(), hundred());
    // Split before it was sent, not by refusals.
    assert!(setup.stored().await.iter().all(|message| message.len() > 1));
}

#[tokio::test]
async fn a_list_larger_than_the_stream_takes_is_stored_whole_and_in_order() {
    let config = config();
    let setup = Setup::with(&config, |stream| stream.max_message_size = 2000);
    let setup = setup.await;
    // Not known yet: by refusals; then known.
    assert_eq!(publish_hundred(&setup).await, Ok(()));
    setup.usable.set_largest(Some(2000));
    assert_eq!(publish_hundred(&setup).await, Ok(()));
    let twice = [hundred(), hundred()].concat();
    assert_eq!(setup.stored().await.concat(), twice);
}

#[tokio::test]
async fn an_event_larger_than_the_stream_takes_is_not_the_senders_fault() {
    let setup = Setup::with_stream(&config(), UNLIMITED).await;
    setup.usable.set_largest(Some(1000));
    let large = "x".repeat(500);
    let refused = result(setup.publish(&large)).await;
    assert_eq!(refused, Err(PublishError::AboveLimits));
    setup.usable.set_largest(None);
    assert_eq!(result(setup.publish(&large)).await, Ok(()));
}
