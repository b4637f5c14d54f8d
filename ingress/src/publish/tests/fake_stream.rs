//! Answers of the stream that a test decides on.

use super::*;

/// The subscriber that plays the stream.
pub(super) struct FakeStream {
    client: Client,
    messages: async_nats::Subscriber,
}

impl FakeStream {
    pub(super) async fn new(client: &Client) -> Self {
        let messages = client.subscribe("eso-relay.events.>").await.unwrap();
        client.flush().await.unwrap();
        let client = client.clone();
        Self { client, messages }
    }

    pub(super) async fn next(&mut self) -> async_nats::Message {
        let next = timeout(PATIENCE, self.messages.next()).await;
        next.expect("a message").unwrap()
    }

    pub(super) async fn answer(&self, message: &async_nats::Message, answer: &'static str) {
        let reply = message.reply.clone().unwrap();
        self.client.publish(reply, answer.into()).await.unwrap();
    }

    pub(super) async fn ack(&self, message: &async_nats::Message) {
        let answer = r#"{"stream":"ESO_RELAY","seq":1}"#;
        self.answer(message, answer).await;
    }
}

#[tokio::test]
async fn a_message_says_what_it_is() {
    let setup = Setup::new(&config()).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let publish = setup.publish("1");
    let message = stream.next().await;
    let headers = message.headers.clone().unwrap();
    let header = |name: &str| headers.get(name).unwrap().as_str();
    assert_eq!(message.subject.as_str(), "eso-relay.events.v1.akeyless.s");
    assert_eq!(header("Content-Type"), "application/cloudevents-batch+json");
    assert_eq!(header("Nats-Expected-Stream"), "ESO_RELAY");
    assert_eq!(header("Eso-Relay-Events"), "1");
    stream.ack(&message).await;
    assert_eq!(result(publish).await, Ok(()));
}

#[tokio::test]
async fn full_is_remembered_for_a_moment_and_then_asked_again() {
    let setup = Setup::new(&config()).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let refused = setup.publish("1");
    let message = stream.next().await;
    let before = Instant::now();
    let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#;
    stream.answer(&message, full).await;
    assert_eq!(result(refused).await, Err(PublishError::StreamFull));
    let gate = &setup.publisher.gate;
    assert_eq!(gate.open(before), Err(PublishError::StreamFull));

    while gate.open(Instant::now()).is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let accepted = setup.publish("2");
    let message = stream.next().await;
    stream.ack(&message).await;
    assert_eq!(result(accepted).await, Ok(()));
}

#[tokio::test]
async fn no_ack_of_a_stream_that_cannot_be_used_is_believed() {
    let setup = Setup::new(&config()).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let begun = setup.publish("begun");
    let message = stream.next().await;
    setup.usable.set(false);
    stream.ack(&message).await;
    let unusable = Err(PublishError::StreamUnusable);
    assert_eq!(result(begun).await, unusable);
    assert_eq!(result(setup.publish("refused")).await, unusable);

    setup.usable.set(true);
    let accepted = setup.publish("accepted");
    let message = stream.next().await;
    assert_eq!(ids(&message.payload), ["accepted"]);
    stream.ack(&message).await;
    assert_eq!(result(accepted).await, Ok(()));
}

#[tokio::test]
async fn an_unanswered_message_goes_out_again_the_same_under_the_same_id() {
    let impatient = PublishConfig {
        attempt_timeout: Duration::from_millis(200),
        ..config()
    };
    let setup = Setup::new(&impatient).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let publish = setup.publish("1");
    let (first, second) = (stream.next().await, stream.next().await);
    assert_eq!(first.payload, second.payload);
    assert_eq!(first.headers, second.headers);
    stream.ack(&second).await;
    assert_eq!(result(publish).await, Ok(()));
}

#[tokio::test]
async fn a_slow_ack_keeps_only_its_own_waiters() {
    let setup = Setup::new(&config()).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let slow = setup.publish("slow");
    let unacked = stream.next().await;
    let fast = setup.publish("fast");
    let message = stream.next().await;
    stream.ack(&message).await;
    assert_eq!(result(fast).await, Ok(()));
    assert!(!slow.is_finished());
    stream.ack(&unacked).await;
    assert_eq!(result(slow).await, Ok(()));
}

#[tokio::test]
async fn a_failed_message_fails_all_of_its_waiters_and_no_other() {
    let one = PublishConfig {
        in_flight: std::num::NonZeroUsize::MIN,
        ..config()
    };
    let setup = Setup::new(&one).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let alone = setup.publish("alone");
    let first = stream.next().await;
    let together = [setup.publish("a"), setup.publish("b"), setup.publish("c")];
    // All three wait before the first is answered.
    while setup.publisher.gate.metrics.waiting.get() < 3 {
        tokio::task::yield_now().await;
    }
    stream.ack(&first).await;
    assert_eq!(result(alone).await, Ok(()));
    let second = stream.next().await;
    assert_eq!(ids(&second.payload), ["a", "b", "c"]);
    let refusal =
        r#"{"error":{"code":400,"err_code":10060,"description":"expected stream does not match"}}"#;
    stream.answer(&second, refusal).await;
    for publish in together {
        assert_eq!(result(publish).await, Err(PublishError::NoAck));
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_what_it_holds_is_published() {
    let tiny = PublishConfig {
        queue: std::num::NonZeroU32::new(2).unwrap(),
        in_flight: std::num::NonZeroUsize::MIN,
        ..config()
    };
    let setup = Setup::new(&tiny).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let first = setup.publish("first");
    let message = stream.next().await;
    let pair = [event("s", "a"), event("s", "b")];
    let waiting = setup.publisher.submit(&pair, None).unwrap();
    let refused = setup.publisher.publish(&[event("s", "c")], None).await;
    assert_eq!(refused, Err(PublishError::QueueFull));
    stream.ack(&message).await;
    assert_eq!(result(first).await, Ok(()));
    let message = stream.next().await;
    assert_eq!(ids(&message.payload), ["a", "b"]);
    stream.ack(&message).await;
    for answer in waiting {
        assert!(answer.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn waiters_are_answered_although_the_committer_is_gone() {
    let one = PublishConfig {
        in_flight: std::num::NonZeroUsize::MIN,
        ..config()
    };
    let setup = Setup::new(&one).await;
    let mut stream = FakeStream::new(&setup.client).await;
    let sent = setup.publish("sent");
    let message = stream.next().await;
    let waiting = setup
        .publisher
        .submit(&[event("s", "waiting")], None)
        .unwrap();
    setup.committer.abort();
    for answer in waiting {
        assert!(answer.await.is_err(), "nothing will ever publish it");
    }
    assert_eq!(
        result(setup.publish("late")).await,
        Err(PublishError::NoAck)
    );
    stream.ack(&message).await;
    assert_eq!(result(sent).await, Ok(()));
}
