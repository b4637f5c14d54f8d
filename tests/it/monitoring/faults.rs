//! The faults of the demo, and more, on running daemons: each fires the alerts that say so, and no others.

use std::iter::once;

use eso_relay_lab::{
    cluster::Kind,
    daemon::Daemon,
    installation::{Cluster, Installation, READY},
    standin::{Effect, FaultId, On, Times, Verb},
    wait,
};
use reqwest::StatusCode;

use super::{
    prometheus::{Prometheus, Samples, scrape},
    promtool,
};
use crate::consuming::{TEAM, drained, fill, info, synced};

/// Minutes that are longer than what any rule looks back on for a rate, or waits; but for one on versions.
const LONG: usize = 90;
/// How many minutes a fault lasts: more than an alert on it looks back on and waits for together, and less
/// than the half hour after which a message counts as held for long.
const FAULT: usize = 28;

/// An installation whose first cluster has two consumers, and the Prometheus that scrapes all of it.
struct Stage {
    installation: Installation,
    prometheus: Prometheus,
}

impl Stage {
    /// All has been well for long; `None` without promtool.
    async fn start(clusters: &[&str]) -> Option<Self> {
        promtool(&["--version"])?;
        let mut all = Vec::new();
        for name in clusters {
            let cluster = Cluster::stand_in(name).await.unwrap();
            fill(&cluster, &["db"]).await;
            synced(cluster.client(), TEAM, "db").await;
            all.push(cluster);
        }
        let mut installation = Installation::start(all).await.unwrap();
        let second = installation.clusters[0].consumer(&installation.hub, "");
        let mut second = second.start().await.unwrap();
        second.wait_ready(READY).await.unwrap();
        installation.consumers.push(second);
        let mut stage = Self {
            installation,
            prometheus: Prometheus::default(),
        };
        stage.webhook().await;
        stage.is_well().await;
        Some(stage)
    }

    async fn scrape(&self) -> Samples {
        let consumers = &self.installation.consumers;
        scrape(once(&self.installation.ingress).chain(consumers)).await
    }

    /// Everything that was sent has arrived everywhere, and after a long time no alert fires.
    async fn is_well(&mut self) {
        let jetstream = self.installation.hub.jetstream().await.unwrap();
        for cluster in &self.installation.clusters {
            drained(&jetstream, cluster.name(), READY).await;
        }
        for gauge in [BACKLOG, AWAY] {
            self.counts(gauge, &[], |value| value == 0).await;
        }
        let now = self.scrape().await;
        self.prometheus.stays(LONG, &now);
        self.prometheus.fires(&[]);
    }

    async fn recovers(mut self) {
        self.is_well().await;
        self.prometheus.check();
    }

    /// A webhook that every cluster has an object for.
    async fn webhook(&self) {
        let webhooks = self.installation.webhooks();
        let answer = webhooks.updated(&["/prod/db"]).await.unwrap();
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    }

    /// Waits until a metric of all consumers together is right.
    async fn counts(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        right: impl Fn(u64) -> bool,
    ) -> u64 {
        let sum = async || {
            let mut sum = 0;
            for consumer in &self.installation.consumers {
                sum += consumer.count(name, labels).await.unwrap();
            }
            if right(sum) { Ok(sum) } else { Err(sum) }
        };
        wait::until_ok(name, READY, sum).await.unwrap()
    }

    /// Every patch of the first cluster's consumers meets this; those of the stand-in ESO are of the status.
    fn patches_meet(&self, effect: Effect) -> FaultId {
        let patches = On {
            status: Some(false),
            ..On::verb(Verb::Patch, Kind::ExternalSecret)
        };
        let api = self.installation.clusters[0].as_stand_in().unwrap();
        api.faults().inject(patches, effect, Times::All)
    }

    fn lift(&self, fault: FaultId) {
        let api = self.installation.clusters[0].as_stand_in().unwrap();
        api.faults().lift(fault);
    }
}

const AWAY: &str = "eso_relay_consumer_kubernetes_away";
const BACKLOG: &str = "eso_relay_consumer_backlog";
const PATCHES: &str = "eso_relay_consumer_patches_total";

/// It cannot say so itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_was_killed_at_work_is_down() {
    let Some(mut stage) = Stage::start(&["east"]).await else {
        return;
    };
    let fault = stage.patches_meet(Effect::Hang);
    let dying = &stage.installation.consumers[0];
    let events = async || {
        dying
            .count("eso_relay_consumer_events_total", &[])
            .await
            .unwrap()
    };
    let before = events().await;
    wait::until("an event in its hands", READY, || async {
        stage.webhook().await;
        (events().await > before).then_some(())
    })
    .await
    .unwrap();
    stage.installation.consumers[0].kill9().unwrap();
    stage.lift(fault);
    let now = stage.scrape().await;
    stage.prometheus.stays(FAULT, &now);
    stage.prometheus.fires(&["EsoRelayDown"]);

    let dead = &mut stage.installation.consumers[0];
    dead.start_again().await.unwrap();
    dead.wait_ready(READY).await.unwrap();
    stage.recovers().await;
}

/// None of its consumers is there to say so: neither to a Prometheus that sees everything, nor to its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_away_has_no_consumer() {
    const WEST: usize = 1;
    let Some(mut stage) = Stage::start(&["east", "west"]).await else {
        return;
    };
    let mut own = Prometheus::default();
    own.stays(LONG, &scrape([&stage.installation.consumers[WEST]]).await);
    let west = &mut stage.installation.consumers[WEST];
    west.terminate().unwrap();
    assert!(west.wait_exit(READY).await.unwrap().success());
    stage.webhook().await;
    let jetstream = stage.installation.hub.jetstream().await.unwrap();
    drained(&jetstream, "east", READY).await;

    let now = stage.scrape().await;
    stage.prometheus.stays(FAULT, &now);
    own.stays(FAULT, &scrape([&stage.installation.consumers[WEST]]).await);
    for prometheus in [&mut stage.prometheus, &mut own] {
        prometheus.fires(&["EsoRelayDown", "EsoRelayNoConsumer"]);
    }
    // As where the Deployment is gone: it is no target any more.
    let [first, _, second] = &stage.installation.consumers[..] else {
        panic!("expected: two consumers of east, one of west");
    };
    let now = scrape([&stage.installation.ingress, first, second]).await;
    stage.prometheus.stays(FAULT, &now);
    own.stays(FAULT, &Samples::new());
    for prometheus in [&mut stage.prometheus, &mut own] {
        prometheus.fires(&["EsoRelayNoConsumer"]);
    }

    let west = &mut stage.installation.consumers[WEST];
    west.start_again().await.unwrap();
    west.wait_ready(READY).await.unwrap();
    stage.is_well().await;
    own.stays(LONG, &scrape([&stage.installation.consumers[WEST]]).await);
    own.fires(&[]);
    for prometheus in [stage.prometheus, own] {
        prometheus.check();
    }
}

/// What waits for it is told too. Its watches, which end again and again, say nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_away_fails_and_its_cluster_is_behind() {
    let Some(mut stage) = Stage::start(&["east"]).await else {
        return;
    };
    stage.installation.clusters[0].go_away().await.unwrap();
    let notices = async |consumer: &Daemon| {
        stage.webhook().await;
        (consumer.count(AWAY, &[]).await.unwrap() == 1).then_some(())
    };
    for consumer in &stage.installation.consumers {
        wait::until("a consumer to notice", READY, || notices(consumer))
            .await
            .unwrap();
    }
    let jetstream = stage.installation.hub.jetstream().await.unwrap();
    let waiting = async || info(&jetstream, "east").await.num_waiting;
    wait::until("the last pull request to end", READY, || async {
        (waiting().await == 0).then_some(())
    })
    .await
    .unwrap();
    // No consumer takes this one.
    stage.webhook().await;
    stage.counts(BACKLOG, &[], |messages| messages > 0).await;
    let from = stage.scrape().await;
    for consumer in &stage.installation.consumers {
        watch_ends_again(consumer).await;
    }
    let to = stage.scrape().await;
    stage.prometheus.goes_on(FAULT, &from, &to);
    stage
        .prometheus
        .fires(&["EsoRelayApiFails", "EsoRelayClusterBehind"]);

    stage.installation.clusters[0].come_back().await.unwrap();
    stage.recovers().await;
}

/// Until then less than a minute passes: its longest pause is half of that.
async fn watch_ends_again(consumer: &Daemon) {
    let labels = [("kind", "ExternalSecret")];
    let name = "eso_relay_consumer_watch_restarts_total";
    let ended = async || consumer.count(name, &labels).await.unwrap();
    let before = ended().await;
    wait::until("a watch that ends again", READY, || async {
        (ended().await > before).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_patch_is_a_dead_letter() {
    let Some(mut stage) = Stage::start(&["east"]).await else {
        return;
    };
    let fault = stage.patches_meet(Effect::status(StatusCode::UNPROCESSABLE_ENTITY));
    stage.webhook().await;
    let letters = "eso_relay_consumer_dead_letters_total";
    stage.counts(letters, &[], |letters| letters == 1).await;
    let now = stage.scrape().await;
    stage.prometheus.stays(FAULT, &now);
    stage.prometheus.fires(&["EsoRelayDeadLetters"]);
    stage.lift(fault);
    stage.recovers().await;
}

/// It is tried again, once a minute at least.
#[tokio::test(flavor = "multi_thread")]
async fn a_denied_patch_lacks_a_permission() {
    let Some(mut stage) = Stage::start(&["east"]).await else {
        return;
    };
    let fault = stage.patches_meet(Effect::status(StatusCode::FORBIDDEN));
    stage.webhook().await;
    let denied = [("result", "target_fault")];
    let first = stage.counts(PATCHES, &denied, |denied| denied > 0).await;
    let from = stage.scrape().await;
    stage
        .counts(PATCHES, &denied, |denied| denied > first)
        .await;
    let to = stage.scrape().await;
    stage.prometheus.goes_on(FAULT, &from, &to);
    stage.prometheus.fires(&["EsoRelayPermissionMissing"]);
    stage.lift(fault);
    stage.recovers().await;
}
