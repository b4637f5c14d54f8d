//! What is remembered of secrets that are not polled any more.

use eso_relay::stream::{Polled, PolledState, PolledVersion};
use jiff::{SignedDuration, Timestamp};

use super::{READY, Stage, passes, subject};

/// So long ago, by the clock that the poller reads.
#[expect(
    clippy::disallowed_methods,
    reason = "marks that are so old when the poller starts"
)]
fn hours_ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

/// As if a poller had seen version 1 of it long ago, and not since it is unwanted.
async fn remember(stage: &Stage, name: &str, unwanted_since: Timestamp) {
    let polled = Polled {
        namespace: None,
        path: format!("secret/data/{name}"),
        version: PolledVersion {
            number: 1.try_into().ok(),
            created_time: Some("2020-01-01T00:00:00Z".to_owned()),
            state: PolledState::Readable,
        },
        unwanted_since: Some(unwanted_since),
    };
    let body = serde_json::to_vec(&polled).unwrap();
    let stored = stage.jetstream.publish(subject(name), body.into()).await;
    stored.unwrap().await.unwrap();
}

async fn mark(stage: &Stage, name: &str) -> Option<Timestamp> {
    let remembered = stage.remembered(name).await?;
    let polled: Polled = serde_json::from_slice(&remembered).unwrap();
    polled.unwanted_since
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_purged_after_a_day() {
    let unknown_folder = "paths: [secret/data/a], prefixes: [nowhere]";
    let Some(mut stage) = Stage::start(unknown_folder).await else {
        return;
    };
    let (lately, long_ago) = (hours_ago(23), hours_ago(25));
    stage.put("a", "1").await;
    stage.put("lately", "1").await;
    remember(&stage, "lately", lately).await;
    remember(&stage, "long-ago", long_ago).await;

    // It may lie in the folder whose mount is not known now.
    let mut poller = stage.poller().await;
    passes(&poller, 1).await;
    assert_eq!(mark(&stage, "long-ago").await, Some(long_ago));
    poller.terminate().unwrap();
    poller.wait_exit(READY).await.unwrap();

    stage.settings = "paths: [secret/data/a]".to_owned();
    let mut poller = stage.poller().await;
    assert!(stage.remembered("long-ago").await.is_none());
    assert_eq!(mark(&stage, "lately").await, Some(lately));
    assert!(stage.remembered("a").await.is_some());
    assert!(stage.all_events().await.is_empty());
    poller.terminate().unwrap();
    poller.wait_exit(READY).await.unwrap();

    // Wanted again within the day: what happened meanwhile is published.
    stage.settings = "paths: [secret/data/a, secret/data/lately]".to_owned();
    let _poller = stage.poller().await;
    let event = stage.events(1).await.remove(0);
    assert_eq!(event.matches.keys(), ["secret/data/lately"]);
    assert_eq!(mark(&stage, "lately").await, None);
    assert_eq!(stage.all_events().await.len(), 1);
}
