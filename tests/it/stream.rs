//! What the daemons say about streams that are not as they must be.

use async_nats::jetstream::consumer::AckPolicy;
use eso_relay::{
    Slug,
    stream::{self, Stream, provision, verify},
};
use jiff::Timestamp;

use crate::nats::NatsServer;

fn east() -> Slug {
    "east".parse().unwrap()
}

#[tokio::test]
async fn what_is_missing_is_named_with_the_command_that_makes_it() {
    let server = NatsServer::start().await;
    let jetstream = server.jetstream().await;
    let problem = verify::events(&jetstream).await.unwrap_err();
    assert_eq!(
        problem.to_string(),
        "stream ESO_RELAY does not exist: run `eso-relay init`"
    );
    let problem = verify::durable(&jetstream, &east()).await.unwrap_err();
    assert!(
        problem.to_string().contains("run `eso-relay init`"),
        "{problem}"
    );

    let wanted = provision::Wanted::default();
    provision::streams(&jetstream, &wanted, Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    verify::events(&jetstream).await.unwrap();
    let problem = verify::durable(&jetstream, &east()).await.unwrap_err();
    assert_eq!(
        problem.to_string(),
        "no durable for cluster `east`: run `eso-relay init --cluster east`"
    );

    provision::durable(&jetstream, &east(), stream::Start::default())
        .await
        .unwrap();
    verify::durable(&jetstream, &east()).await.unwrap();
}

#[tokio::test]
async fn what_would_lose_events_is_found() {
    let server = NatsServer::start().await;
    let jetstream = server.jetstream().await;
    let mut config = Stream::Events.config(&stream::Limits::default());
    config.deny_delete = false;
    config.retention = async_nats::jetstream::stream::RetentionPolicy::Interest;
    let events = jetstream.create_stream(config).await.unwrap();
    let problem = verify::events(&jetstream).await.unwrap_err().to_string();
    let expected = "stream ESO_RELAY: retention Interest (what no durable waits for is acknowledged and not stored), deny_delete false";
    assert!(problem.starts_with(expected), "{problem}");
    assert!(problem.ends_with(": run `eso-relay init`"), "{problem}");

    let mut durable = stream::durable(&east(), stream::Start::default());
    durable.max_deliver = 3;
    events.create_consumer(durable).await.unwrap();
    let problem = verify::durable(&jetstream, &east()).await.unwrap_err();
    assert!(
        problem
            .to_string()
            .contains("eso-relay init --cluster east"),
        "{problem}"
    );

    let mut durable = stream::durable(&"west".parse().unwrap(), stream::Start::default());
    durable.ack_policy = AckPolicy::None;
    durable.max_ack_pending = 0;
    events.create_consumer(durable).await.unwrap();
    let problem = verify::durable(&jetstream, &"west".parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        problem.to_string().contains("does not ask for an ack"),
        "{problem}"
    );

    // Init repairs what can be repaired.
    let wanted = provision::Wanted::default();
    provision::streams(&jetstream, &wanted, Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    provision::durable(&jetstream, &east(), stream::Start::default())
        .await
        .unwrap();
    verify::events(&jetstream).await.unwrap();
    verify::durable(&jetstream, &east()).await.unwrap();
}

/// The stream and the durable as the version before declared them.
#[tokio::test]
async fn an_outdated_durable_works_until_init() {
    use async_nats::jetstream::stream::{Compression, DiscardPolicy};
    let server = NatsServer::start().await;
    let jetstream = server.jetstream().await;
    let mut config = Stream::Events.config(&stream::Limits::default());
    config.compression = Some(Compression::S2);
    config.discard = DiscardPolicy::New;
    let events = jetstream.create_stream(config).await.unwrap();
    let mut durable = stream::durable(&east(), stream::Start::default());
    durable.ack_wait = std::time::Duration::from_secs(60);
    events.create_consumer(durable).await.unwrap();

    let said = async || {
        let events = verify::events(&jetstream).await.unwrap().outdated;
        let durable = verify::durable(&jetstream, &east()).await.unwrap();
        let config = &durable.cached_info().config;
        let durable = verify::durable_config(&east(), config).unwrap();
        [events, durable].map(|said| said.map(|problem| problem.to_string()))
    };
    assert_eq!(
        said().await.map(Option::unwrap_or_default),
        [
            "stream ESO_RELAY: discard New (a full stream refuses new messages), compression S2 (a server that is killed may leave messages that cannot be read): run `eso-relay init`",
            "durable `east`: ack_wait 1m (messages of a crashed consumer wait that long): run `eso-relay init --cluster east`",
        ]
    );

    let wanted = provision::Wanted::default();
    provision::streams(&jetstream, &wanted, Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    provision::durable(&jetstream, &east(), stream::Start::default())
        .await
        .unwrap();
    assert_eq!(said().await, [None, None]);
}
