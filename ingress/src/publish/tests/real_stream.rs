//! What stands in a stream of a real server.

use super::*;

#[tokio::test]
async fn ten_thousand_publishes_at_once_all_stand_in_the_stream_in_far_fewer_messages() {
    let setup = Setup::with_stream(&config(), UNLIMITED).await;
    let ids: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let results = join_all(ids.iter().map(|id| setup.publish(id))).await;
    assert!(results.into_iter().all(|result| result.unwrap().is_ok()));

    let messages = setup.stored().await;
    let stored: Vec<&String> = messages.iter().flatten().collect();
    assert_eq!(stored.len(), ids.len(), "an event stands there twice");
    assert_eq!(HashSet::<&String>::from_iter(stored), ids.iter().collect());
    assert!(messages.len() < 1000, "{} messages", messages.len());
}

#[tokio::test]
async fn a_request_larger_than_the_queue_and_than_a_message_is_stored_whole_and_in_order() {
    let small = PublishConfig {
        queue: std::num::NonZeroU32::new(10).unwrap(),
        in_flight: std::num::NonZeroUsize::MIN,
        max_message_bytes: 1000,
        ..config()
    };
    let setup = Setup::with_stream(&small, UNLIMITED).await;
    let ids: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let events: Vec<Event> = ids.iter().map(|id| event("s", id)).collect();
    for _ in 0..2 {
        assert!(setup.publisher.publish(&events, None).await.is_ok());
    }
    let messages = setup.stored().await;
    assert!(messages.len() > 2);
    assert_eq!(messages.concat(), [ids.clone(), ids].concat());
}

#[tokio::test]
async fn the_publisher_says_where_the_events_are_stored() {
    let setup = Setup::with_stream(&config(), UNLIMITED).await;
    for sequence in 1..=2 {
        let event = [event("s", &sequence.to_string())];
        let stored = setup.publisher.publish(&event, None).await;
        let stored = stored.unwrap().unwrap();
        assert_eq!(stored.sequence, sequence);
        assert!(!stored.message_id.is_empty());
    }
}

#[tokio::test]
async fn a_stream_full_of_history_takes_what_is_new() {
    let setup = Setup::with_stream(&config(), 3).await;
    for id in ["1", "2", "3", "4", "5"] {
        assert_eq!(result(setup.publish(id)).await, Ok(()));
    }
    let stream = setup.jetstream.get_stream(Stream::Events.name()).await;
    let state = stream.unwrap().get_info().await.unwrap().state;
    assert_eq!((state.first_sequence, state.last_sequence), (3, 5));
}

/// As an older version declared it.
#[tokio::test]
async fn a_stream_that_refuses_when_it_is_full_is_said_and_every_ok_stands_in_it() {
    let config = config();
    let setup = Setup::with(&config, |stream| {
        stream.discard = async_nats::jetstream::stream::DiscardPolicy::New;
        stream.max_messages = 3;
    });
    let setup = setup.await;
    let mut stored = Vec::new();
    let refused = loop {
        let id = stored.len().to_string();
        match setup.publisher.publish(&[event("s", &id)], None).await {
            Ok(_) => stored.push(vec![id]),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, PublishError::StreamFull);
    assert_eq!(setup.stored().await, stored);
}

#[tokio::test]
async fn an_event_larger_than_a_message_is_refused_for_good_and_takes_the_request_with_it() {
    let tight = PublishConfig {
        max_message_bytes: 1000,
        ..config()
    };
    let setup = Setup::with_stream(&tight, UNLIMITED).await;
    let events = [event("s", "small"), event("s", &"x".repeat(500))];
    let refused = setup.publisher.publish(&events, None).await;
    assert_eq!(refused, Err(PublishError::TooLarge));
    assert_eq!(setup.publisher.publish(&[], None).await, Ok(None));
    assert_eq!(setup.stored().await, Vec::<Vec<String>>::new());
}

#[tokio::test]
async fn what_was_accepted_is_published_although_its_sender_went_away() {
    let setup = Setup::with_stream(&config(), UNLIMITED).await;
    drop(setup.publisher.submit(&[event("s", "1")], None).unwrap());
    assert_eq!(result(setup.publish("2")).await, Ok(()));
    assert_eq!(setup.stored().await.concat(), ["1", "2"]);
}

#[tokio::test]
async fn the_committer_ends_once_everything_accepted_is_answered() {
    let setup = Setup::with_stream(&config(), UNLIMITED).await;
    let answers = setup
        .publisher
        .submit(&[event("s", "1"), event("t", "2")], None);
    drop(setup.publisher);
    let ended = timeout(PATIENCE, setup.committer).await;
    ended.expect("the end").unwrap().unwrap();
    for mut answer in answers.unwrap() {
        assert!(answer.try_recv().unwrap().is_ok());
    }
}
