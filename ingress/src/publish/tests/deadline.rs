//! A request is answered at its deadline, wherever it is then.

use super::{fake_stream::FakeStream, *};

/// Far below `publish.deadline` and the time of an attempt.
const SOON: Duration = Duration::from_millis(300);

fn publish_by(setup: &Setup, id: &str) -> JoinHandle<Published> {
    let (publisher, event) = (setup.publisher.clone(), event("s", id));
    tokio::spawn(async move {
        let by = Some(Instant::now() + SOON);
        publisher.publish(&[event], by).await
    })
}

/// No attempt of these ends by itself during a test.
fn patient() -> PublishConfig {
    PublishConfig {
        in_flight: std::num::NonZeroUsize::MIN,
        attempt_timeout: PATIENCE * 2,
        deadline: PATIENCE * 2,
        ..config()
    }
}

#[tokio::test]
async fn while_its_message_is_not_acked_and_the_message_goes_on_for_the_others() {
    let setup = Setup::new(&patient()).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let blocking = setup.publish("blocking");
    let first = stream.next().await;
    let hurried = publish_by(&setup, "hurried");
    let patient = setup.publish("patient");
    while setup.publisher.gate.metrics.waiting.get() < 2 {
        tokio::task::yield_now().await;
    }
    stream.ack(&first).await;
    assert_eq!(result(blocking).await, Ok(()));
    let message = stream.next().await;
    assert_eq!(result(hurried).await, Err(PublishError::NoAck));
    assert!(!patient.is_finished());
    stream.ack(&message).await;
    assert_eq!(result(patient).await, Ok(()));
}

#[tokio::test]
async fn while_it_waits_in_the_queue_and_its_place_is_free_again() {
    let setup = Setup::new(&patient()).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let blocking = setup.publish("blocking");
    let unacked = stream.next().await;
    let hurried = publish_by(&setup, "hurried");
    assert_eq!(result(hurried).await, Err(PublishError::NoAck));
    assert_eq!(setup.publisher.gate.metrics.waiting.get(), 0);
    stream.ack(&unacked).await;
    assert_eq!(result(blocking).await, Ok(()));
    let next = setup.publish("next");
    let message = stream.next().await;
    assert_eq!(ids(&message.payload), ["next"]);
    stream.ack(&message).await;
    assert_eq!(result(next).await, Ok(()));
}
