//! Restarts of workloads and their rollouts, in the trace of the event that they follow.

use std::collections::HashSet;

use eso_relay_lab::{
    cluster::Kind,
    collector::ReceivedSpan,
    installation::Cluster,
    workloads::{Controllers, Workload},
};

use super::{TRACE, collector, of, spans, traced};
use crate::{
    cli,
    consuming::{Consuming, TEAM, names},
    restart::deploy,
};

/// So many Deployments that read the Secret `db` and follow it.
fn followers(count: usize) -> Vec<(String, Workload)> {
    let reader = |name: String| {
        let web = Workload::deployment(TEAM, &name).reads_secret("db");
        (name, web.restart())
    };
    names("web", count).into_iter().map(reader).collect()
}

/// What arrives of an event that restarts these workloads, once there are as many spans of each name.
async fn spans_of(
    followers: Vec<(String, Workload)>,
    restart: &str,
    counts: &[(&str, usize)],
) -> Vec<ReceivedSpan> {
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    relay.synced("db").await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    for (name, workload) in followers {
        deploy(&relay, Kind::Deployment, &name, workload).await;
    }
    let collector = collector().await;
    let settings = format!("restart: {restart}\n{}", collector.settings());
    let _consumer = relay.consumer(&settings).await;
    cli::publish(&relay.jetstream, &[traced("/prod/db")]).await;
    spans(&collector, counts).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_restarts_of_an_event_and_their_rollouts_have_spans() {
    let counts = [
        ("process ESO_RELAY", 1),
        ("patch", 1),
        ("sync", 1),
        ("restart", 10),
        ("rollout", 10),
    ];
    let settings = "{ enabled: true, gather: 1s }";
    let spans = spans_of(followers(12), settings, &counts).await;
    let process = of(&spans, "process ESO_RELAY");
    assert_eq!(process.attribute("eso_relay.restarted"), "12");
    assert_eq!(process.attribute("eso_relay.not_restarted"), "0");
    let sync = of(&spans, "sync");
    let mut restarted = HashSet::new();
    for restart in spans.iter().filter(|span| span.name == "restart") {
        let workload = restart.attribute("eso_relay.object");
        assert!(workload.starts_with("Deployment/team-a/web-"), "{workload}");
        assert!(restarted.insert(workload), "{workload} has two");
        let is_its = |span: &&ReceivedSpan| {
            span.name == "rollout" && span.attribute("eso_relay.object") == workload
        };
        let rollout = spans.iter().find(is_its).unwrap();
        assert_eq!(rollout.attribute("eso_relay.rollout"), "rolled_out");
        assert!(!rollout.is_error);
        for span in [restart, rollout] {
            let parent = (TRACE, process.span_id.as_str());
            assert_eq!((span.trace_id.as_str(), span.parent_id.as_str()), parent);
            assert_eq!(span.attribute("k8s.namespace.name"), TEAM);
            assert!(sync.start <= span.start && span.start <= span.end);
        }
        assert_eq!((&*restart.kind, &*rollout.kind), ("Client", "Internal"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_rollout_is_an_error_and_what_it_stops_is_counted() {
    let failing = followers(3).into_iter();
    let failing = failing.map(|(name, web)| (name, web.fails_to_restart()));
    let counts = [("process ESO_RELAY", 1), ("restart", 1), ("rollout", 1)];
    let settings = "{ enabled: true, gather: 1s, concurrency: 1 }";
    let spans = spans_of(failing.collect(), settings, &counts).await;
    let process = of(&spans, "process ESO_RELAY");
    assert_eq!(process.attribute("eso_relay.restarted"), "1");
    assert_eq!(process.attribute("eso_relay.not_restarted"), "2");
    let rollout = of(&spans, "rollout");
    assert_eq!(rollout.attribute("eso_relay.rollout"), "rollout_failed");
    assert!(rollout.is_error);
}
