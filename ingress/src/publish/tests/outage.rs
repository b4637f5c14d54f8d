//! The stream or its server is away for a while.

use super::*;
use crate::publish::metrics::{MessageLabels, MessageResult};

/// The short deadline may be too short for a busy machine, once.
async fn works_again(setup: &Setup) {
    let again = async { while setup.publish("back").await.unwrap().is_err() {} };
    timeout(PATIENCE, again).await.expect("publishing works");
}

#[tokio::test]
async fn without_a_stream_nothing_is_ok_and_once_it_is_there_publishing_works() {
    let setup = Setup::new(&short()).await;
    assert_eq!(result(setup.publish("1")).await, Err(PublishError::NoAck));
    let stream = Stream::Events.config(&Limits::default());
    setup.jetstream.create_stream(stream).await.unwrap();
    works_again(&setup).await;
}

#[tokio::test]
async fn a_stream_that_comes_within_the_deadline_costs_no_error() {
    let setup = Setup::new(&config()).await;
    let publish = setup.publish("1");
    while setup.publisher.gate.metrics.retries.get() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stream = Stream::Events.config(&Limits::default());
    setup.jetstream.create_stream(stream).await.unwrap();
    assert_eq!(result(publish).await, Ok(()));
    assert_eq!(setup.stored().await, [["1"]]);
}

#[tokio::test]
async fn a_server_that_is_away_is_said_and_when_it_is_back_publishing_works() {
    let mut setup = Setup::with_stream(&short(), UNLIMITED).await;
    setup.server.kill9().unwrap();
    // First the publish that finds the connection lost, then those that find it gone.
    let gone = loop {
        match result(setup.publish("lost")).await {
            Err(PublishError::NoAck) => {}
            other => break other,
        }
    };
    assert_eq!(gone, Err(PublishError::Disconnected));
    setup.server.start_again().await.unwrap();
    timeout(PATIENCE, connected(&setup.client))
        .await
        .expect("a connection")
        .unwrap();
    works_again(&setup).await;
    assert!(setup.stored().await.contains(&vec!["back".to_owned()]));
}

/// `sync_interval: always`, so that what is acked is on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_the_server_under_load_loses_nothing_that_was_answered_ok() {
    let mut setup = Setup::with_stream(&short(), UNLIMITED).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let senders = (0..50).map(|sender| {
        let (publisher, stopped) = (setup.publisher.clone(), stopped.clone());
        tokio::spawn(async move {
            let mut acked = Vec::new();
            for n in 0.. {
                if *stopped.borrow() {
                    break;
                }
                let id = format!("{sender}-{n}");
                match publisher.publish(&[event("s", &id)], None).await {
                    Ok(_) => acked.push(id),
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
            acked
        })
    });
    let senders: Vec<_> = senders.collect();
    let metrics = setup.publisher.gate.metrics.clone();
    let labels = MessageLabels {
        result: MessageResult::stored,
    };
    let messages = || metrics.messages.get_or_create(&labels).get();
    for round in 1..=3 {
        let enough = messages() + 100;
        let progress = async {
            while messages() < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, progress)
            .await
            .unwrap_or_else(|_| panic!("no progress before kill {round}"));
        setup.server.kill9().unwrap();
        setup.server.start_again().await.unwrap();
    }
    stop.send_replace(true);
    let acked = join_all(senders).await.into_iter().map(Result::unwrap);
    let acked: Vec<String> = acked.flatten().collect();
    timeout(PATIENCE, connected(&setup.client))
        .await
        .expect("a connection")
        .unwrap();
    let stored: HashSet<String> = setup.stored().await.into_iter().flatten().collect();
    let lost: Vec<_> = acked.iter().filter(|id| !stored.contains(*id)).collect();
    assert!(lost.is_empty(), "of {} acked, lost {lost:?}", acked.len());
    assert!(acked.len() >= 300, "only {} acked", acked.len());
}
