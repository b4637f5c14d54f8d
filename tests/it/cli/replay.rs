use std::collections::BTreeSet;

use eso_relay::event::{Pattern, Reach};

use super::{eso_relay, event, events_from, publish, slug};
use crate::nats::NatsServer;

async fn filled() -> NatsServer {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east --cluster west -o json")
        .await
        .json();
    let jetstream = server.jetstream().await;
    let west = Reach {
        clusters: vec![Pattern::new("west")],
        ..Reach::default()
    };
    let team = Reach {
        namespaces: vec![Pattern::new("team-a")],
        ..Reach::default()
    };
    publish(
        &jetstream,
        &[event("1", "a", None), event("2", "b", Some(team.clone()))],
    )
    .await;
    publish(&jetstream, &[event("3", "a", None)]).await;
    publish(&jetstream, &[event("4", "c", Some(west))]).await;
    publish(&jetstream, &[event("5", "b", Some(team))]).await;
    server
}

#[tokio::test]
async fn a_replay_publishes_the_newest_of_each_key_for_one_cluster_under_new_ids() {
    let server = filled().await;
    let report = eso_relay(&server, "replay --cluster east --since 1h --yes -o json")
        .await
        .json();
    assert_eq!(report["read"]["events"], 5);
    assert_eq!(
        (&report["kept"], &report["published"]),
        (&2.into(), &2.into())
    );

    let events = events_from(&server.jetstream().await, 5).await;
    let originals: Vec<_> = events
        .iter()
        .map(|event| event.origin.event_id.as_deref())
        .collect();
    assert_eq!(originals, [Some("3"), Some("5")]);
    for event in &events {
        // When it happened and came in stays; since when it is waited for does not.
        let event_was = super::event("1", "a", None);
        assert_eq!(
            (event.received_at, event.time),
            (event_was.received_at, event_was.time)
        );
        assert!(event.asked_at() > event.received_at);
        assert!(event.reaches_cluster(&slug("east")) && !event.reaches_cluster(&slug("west")));
    }
    let target = events[1].target.as_ref().unwrap();
    assert_eq!(target.namespaces, [Pattern::new("team-a")]);
}

#[tokio::test]
async fn a_second_replay_refreshes_the_same_once_more() {
    let server = filled().await;
    for _ in 0..2 {
        let report = eso_relay(&server, "replay --cluster east --since 1h --yes -o json")
            .await
            .json();
        assert_eq!(report["published"], 2);
    }
    let events = events_from(&server.jetstream().await, 5).await;
    let fingerprints: BTreeSet<_> = events.iter().map(eso_relay::Event::fingerprint).collect();
    assert_eq!(fingerprints.len(), 4);
}

#[tokio::test]
async fn a_dry_run_and_a_missing_yes_publish_nothing() {
    let server = filled().await;
    let run = eso_relay(
        &server,
        "replay --cluster east --since 1h --dry-run --key a",
    )
    .await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("to publish 1 for cluster east alone"),
        "{}",
        run.stdout
    );
    let run = eso_relay(&server, "replay --cluster east --since 1h").await;
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("add --yes"), "{}", run.stderr);
    let run = eso_relay(&server, "replay --cluster esat --since 1h --yes").await;
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.contains("no durable for cluster `esat`"),
        "{}",
        run.stderr
    );
    assert_eq!(events_from(&server.jetstream().await, 5).await, []);
}

#[tokio::test]
async fn a_replay_reads_only_the_source_and_the_time_that_it_was_told() {
    let server = filled().await;
    let run = "replay --cluster east --since 1h --source other --yes -o json";
    assert_eq!(eso_relay(&server, run).await.json()["read"]["messages"], 0);
    let run = "replay --cluster east --since 1h --source prod --dry-run -o json";
    let report = eso_relay(&server, run).await.json();
    assert_eq!(report["read"]["messages"], 4);
    let after = report["last"].as_str().unwrap().to_owned();
    let run = format!("replay --cluster east --since {after} --dry-run -o json");
    let report = eso_relay(&server, &run).await.json();
    assert_eq!(
        (&report["read"]["messages"], &report["kept"]),
        (&1.into(), &1.into())
    );
}

#[tokio::test]
async fn more_messages_than_one_pull_brings_are_read_to_the_last() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east -o json")
        .await
        .json();
    let jetstream = server.jetstream().await;
    for at in 0..1203 {
        publish(
            &jetstream,
            &[event(&at.to_string(), &format!("key-{}", at % 40), None)],
        )
        .await;
    }
    let report = eso_relay(&server, "replay --cluster east --since 1h --yes -o json")
        .await
        .json();
    assert_eq!(report["read"]["messages"], 1203);
    assert_eq!(report["published"], 40);
    let ids: BTreeSet<_> = events_from(&jetstream, 1204)
        .await
        .into_iter()
        .map(|e| e.id)
        .collect();
    assert_eq!(ids.len(), 40);
}

#[tokio::test]
async fn a_resync_is_replayed_only_by_its_name() {
    let server = filled().await;
    eso_relay(&server, "resync --cluster east").await;
    eso_relay(&server, "send --all").await;
    let report = eso_relay(
        &server,
        "replay --cluster east --since 1h --dry-run -o json",
    )
    .await
    .json();
    assert_eq!(
        (&report["kept"], &report["read"]["resyncs"]),
        (&2.into(), &2.into())
    );
    let named = "replay --cluster east --since 1h --source resync --dry-run -o json";
    let report = eso_relay(&server, named).await.json();
    assert_eq!(report["kept"], 1);
}
