use std::collections::HashSet;

use async_nats::jetstream::AckKind;
use eso_relay::{admin::Readiness, stream::Stream};
use tokio::task::JoinHandle;

use super::*;
use crate::{
    stream::Reply,
    tests::{
        NatsServer, PATIENCE, SUBJECT, cluster, condition, connect, create_durable, gap_check,
        pending, provision, publish, until,
    },
};

/// A pull loop whose messages are acked at once, with room for `capacity` of them.
struct Pulling {
    client: Client,
    readiness: Readiness,
    messages: mpsc::Receiver<Pulled>,
    credit: watch::Sender<Credit>,
    capacity: Credit,
    taken: Credit,
    lost: Counter,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Pulling {
    async fn start(server: &NatsServer, capacity: Credit) -> Self {
        let (client, jetstream) = connect(server).await;
        let gap_check = gap_check(&client);
        Self::checked((client, jetstream), gap_check, capacity)
    }

    fn checked(
        (client, jetstream): (Client, Context),
        gap_check: watch::Receiver<GapCheck>,
        capacity: Credit,
    ) -> Self {
        let (credit, granted) = watch::channel(capacity);
        let (sender, messages) = mpsc::channel(BATCH);
        let (pull, readiness) = pull((client.clone(), jetstream), gap_check, granted, sender);
        let (lost, stop) = (pull.lost.clone(), pull.stop.clone());
        let task = tokio::spawn(pull.run());
        Self {
            client,
            readiness,
            messages,
            credit,
            capacity,
            taken: 0,
            lost,
            stop,
            task,
        }
    }

    async fn next(&mut self) -> Message {
        loop {
            if let Pulled::Message(message) = self.pulled().await {
                return message;
            }
        }
    }

    async fn pulled(&mut self) -> Pulled {
        let next = timeout(PATIENCE, self.messages.recv()).await;
        next.expect("the pull loop stalled")
            .expect("the pull loop ended")
    }

    /// Acks it and makes room for one more.
    async fn done(&mut self, message: Message) {
        let ack: bytes::Bytes = AckKind::Ack.into();
        let Reply::Ack(subject) = message.reply else {
            panic!("not from the stream")
        };
        self.client.publish(subject, ack).await.unwrap();
        self.taken += 1;
        self.credit.send_replace(self.taken + self.capacity);
    }

    /// Receives and acks until `count` messages have come.
    async fn take(&mut self, count: usize, seen: &mut HashSet<u64>) {
        while seen.len() < count {
            let message = self.next().await;
            seen.insert(message.sequence);
            self.done(message).await;
        }
    }
}

/// A pull loop that does not run yet.
fn pull(
    (client, jetstream): (Client, Context),
    gap_check: watch::Receiver<GapCheck>,
    credit: watch::Receiver<Credit>,
    messages: mpsc::Sender<Pulled>,
) -> (Pull, Readiness) {
    let (readiness, condition) = condition("stream");
    let pull = Pull {
        client,
        jetstream,
        cluster: cluster(),
        condition,
        credit,
        messages,
        lost: Counter::default(),
        gap_check,
        stop: CancellationToken::new(),
    };
    (pull, readiness)
}

fn bodies(count: usize) -> Vec<bytes::Bytes> {
    vec![bytes::Bytes::from_static(b"x"); count]
}

/// Each comes once, and no request is lost.
async fn twenty_thousand_messages(capacity: Credit) {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    publish(&jetstream, SUBJECT, bodies(20_000)).await;

    let mut pulling = Pulling::start(&server, capacity).await;
    let mut seen = HashSet::new();
    while seen.len() < 20_000 {
        let message = pulling.next().await;
        assert!(
            seen.insert(message.sequence),
            "{} came twice",
            message.sequence
        );
        pulling.done(message).await;
    }
    assert_eq!(pulling.lost.get(), 0);
    until("every ack to arrive", || async {
        pending(&jetstream).await == (0, 0)
    })
    .await;
}

#[tokio::test]
async fn twenty_thousand_messages_come_one_by_one() {
    twenty_thousand_messages(1).await;
}

#[tokio::test]
async fn twenty_thousand_messages_come_in_pairs() {
    twenty_thousand_messages(2).await;
}

#[tokio::test]
async fn twenty_thousand_messages_come_in_tens() {
    twenty_thousand_messages(10).await;
}

#[tokio::test]
async fn twenty_thousand_messages_come_in_full_batches() {
    twenty_thousand_messages(256).await;
}

#[tokio::test]
async fn a_message_that_comes_later_is_pulled_too() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    let mut pulling = Pulling::start(&server, 10).await;
    // Longer than a request lives, so that heartbeats and an expired request lie between.
    sleep(EXPIRES + SILENCE).await;
    publish(&jetstream, SUBJECT, bodies(1)).await;
    assert_eq!(pulling.next().await.attempt, 1);
}

#[test]
fn large_messages_are_asked_for_in_small_numbers() {
    let mut tally = Tally::default();
    let mut batch_after = |size: usize| {
        (0..100).for_each(|_| tally.add(size));
        tally.batch()
    };
    assert_eq!(batch_after(0), BATCH);
    assert_eq!(batch_after(500), BATCH);
    assert_eq!(batch_after(50_000), BATCH_BYTES / 50_000);
    assert_eq!(batch_after(8 * BATCH_BYTES), 1);
    assert_eq!(batch_after(500), BATCH);
}

#[tokio::test]
async fn without_room_nothing_is_pulled() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    publish(&jetstream, SUBJECT, bodies(5)).await;
    let mut pulling = Pulling::start(&server, 0).await;
    until("the durable to be found", || async {
        pulling.readiness.is_ready()
    })
    .await;
    assert_eq!(pending(&jetstream).await, (0, 5));
    pulling.credit.send_replace(2);
    for _ in 0..2 {
        pulling.next().await;
    }
    assert_eq!(pending(&jetstream).await, (2, 3));
}

#[tokio::test]
async fn pulling_goes_on_when_the_server_is_killed_and_comes_back() {
    let mut server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    publish(&jetstream, SUBJECT, bodies(1000)).await;
    let mut pulling = Pulling::start(&server, 10).await;
    let mut seen = HashSet::new();
    pulling.take(300, &mut seen).await;
    server.kill9().unwrap();
    server.start_again().await.unwrap();
    // What was on its way in the moment of death is delivered again, after ack_wait; the rest at
    // once, and new messages as well.
    pulling.take(900, &mut seen).await;
}

#[tokio::test]
async fn pulling_survives_a_recreated_durable() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    let mut pulling = Pulling::start(&server, 10).await;
    publish(&jetstream, SUBJECT, bodies(1)).await;
    let first = pulling.next().await;
    pulling.done(first).await;

    let delete = jetstream.delete_consumer_from_stream("east", Stream::Events.name());
    delete.await.unwrap();
    until("the loss to be noticed", || async {
        !pulling.readiness.is_ready()
    })
    .await;
    create_durable(&jetstream).await;
    until("the durable to be found", || async {
        pulling.readiness.is_ready()
    })
    .await;
    publish(&jetstream, SUBJECT, bodies(1)).await;
    let mut seen = HashSet::new();
    pulling.take(2, &mut seen).await;
}

#[tokio::test]
async fn nothing_is_pulled_on_a_connection_before_the_look() {
    let server = NatsServer::start().await.unwrap();
    let (client, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    let (checks, gap_check) = watch::channel(GapCheck::Done(nats::connection(&client)));
    let mut pulling = Pulling::checked((client.clone(), jetstream.clone()), gap_check, 10);
    publish(&jetstream, SUBJECT, bodies(1)).await;
    let first = pulling.next().await;
    pulling.done(first).await;

    let before = nats::connection(&client);
    client.force_reconnect().await.unwrap();
    until("the next connection", || async {
        nats::connection(&client) > before
    })
    .await;
    until("the loss to be noticed", || async {
        pulling.lost.get() > 0
    })
    .await;
    let (_other, other) = connect(&server).await;
    publish(&other, SUBJECT, bodies(1)).await;
    sleep(VERIFY * 2).await;
    assert_eq!(pending(&other).await, (0, 1));
    checks.send_replace(GapCheck::Done(nats::connection(&client)));
    assert_eq!(pulling.next().await.sequence, 2);
}

/// The client keeps a request that it cannot send, and sends it on the next connection.
#[tokio::test]
async fn what_a_kept_request_gets_waits_for_the_look_of_its_connection() {
    let server = NatsServer::start().await.unwrap();
    let (client, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    let before = nats::connection(&client);
    let (checks, gap_check) = watch::channel(GapCheck::Done(before));
    let (sender, mut messages) = mpsc::channel(BATCH);
    let (_credit, granted) = watch::channel(1);
    let (pull, _readiness) = pull((client.clone(), jetstream), gap_check, granted, sender);
    client.force_reconnect().await.unwrap();
    until("the next connection", || async {
        nats::connection(&client) > before
    })
    .await;
    let (_other, other) = connect(&server).await;
    publish(&other, SUBJECT, bodies(1)).await;

    let durable = verify::durable(&pull.jetstream, &cluster()).await.unwrap();
    let inbox = client.new_inbox();
    let mut subscription = client.subscribe(inbox.clone()).await.unwrap();
    let request = durable.request_batch(request(&durable, 1), inbox.into());
    request.await.unwrap();
    let delivery = timeout(PATIENCE, subscription.next()).await.unwrap();
    let mut tally = Tally::default();
    let mut sent = std::pin::pin!(pull.send(delivery.unwrap(), before, &mut tally));
    assert!(futures::poll!(sent.as_mut()).is_pending());
    assert!(messages.try_recv().is_err());
    checks.send_replace(GapCheck::Done(nats::connection(&client)));
    sent.await.unwrap();
    assert!(matches!(messages.try_recv(), Ok(Pulled::Message(_))));
}

#[tokio::test]
async fn a_backlog_taken_elsewhere_is_noticed() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    publish(&jetstream, SUBJECT, bodies(10)).await;
    // Room for less than there is: the last of them has more behind it.
    let mut pulling = Pulling::start(&server, 5).await;
    for left in (5..10).rev() {
        assert_eq!(pulling.next().await.pending, left);
    }
    let mut other = Pulling::start(&server, 5).await;
    for _ in 0..5 {
        other.next().await;
    }
    pulling.credit.send_replace(10);
    assert!(matches!(pulling.pulled().await, Pulled::CaughtUp));
    // Once.
    publish(&jetstream, SUBJECT, bodies(1)).await;
    assert!(matches!(pulling.pulled().await, Pulled::Message(_)));
}

#[tokio::test]
async fn a_stop_hands_on_everything_that_was_delivered() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    publish(&jetstream, SUBJECT, bodies(1000)).await;
    let mut pulling = Pulling::start(&server, 400).await;
    let first = pulling.next().await;
    pulling.stop.cancel();
    let mut handed_on = HashSet::from([first.sequence]);
    while let Some(pulled) = timeout(PATIENCE, pulling.messages.recv()).await.unwrap() {
        if let Pulled::Message(message) = pulled {
            handed_on.insert(message.sequence);
        }
    }
    pulling.task.await.unwrap().unwrap();
    let (delivered, _) = pending(&jetstream).await;
    assert_eq!(handed_on.len(), delivered);
}
