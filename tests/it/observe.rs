//! The loop closed: what ESO did after a patch is known and told.

use eso_relay::stream::ACK_WAIT;
use eso_relay_lab::{
    cluster::{Kind, external_secret},
    daemon::Daemon,
    installation::{CliOutput, Cluster, READY},
    standin::{Effect, On, Times, Verb},
    wait,
};

use crate::{
    cli,
    consuming::{CONSUMER, Consuming, TEAM, event, fingerprint},
    metrics::reaches,
    notes::noted,
};

/// Waits until `count` of its syncs have this result.
async fn told(consumer: &Daemon, result: &str, times: f64) {
    let what = format!("{times} {result}");
    wait::until_ok(what, READY, || async {
        let metrics = consumer.metrics().await.unwrap();
        let labels = [("result", result)];
        let count = metrics.sum("eso_relay_consumer_syncs_total", &labels);
        let count = count.unwrap();
        (count.to_bits() == times.to_bits())
            .then_some(())
            .ok_or(count)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_eso_has_synced_after_the_patch_is_told_as_synced() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    let consumer = relay.consumer("").await;
    relay.cluster.values.set("/prod/db", "new");
    relay.publish(&["/prod/db", "/prod/mail"]).await;
    told(&consumer, "synced", 2.0).await;
    let values = relay.cluster.eso.values(TEAM, "db").unwrap();
    assert_eq!(values["value"], "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_eso_is_told_and_not_patched_again() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let consumer = relay.consumer("").await;
    wait::until("the first sync", READY, || async {
        (relay.cluster.eso.syncs(TEAM, "db") > 0).then_some(())
    })
    .await
    .unwrap();
    relay.cluster.values.remove("/prod/db");
    relay.publish(&["/prod/db"]).await;
    // The ack has not waited for it.
    relay.drained().await;
    told(&consumer, "failed", 1.0).await;
    let noted = noted(&relay, "db", "RefreshFailed").await;
    assert_eq!(noted["type"], "Warning");
    assert_eq!(relay.requests().patches(TEAM, "db").len(), 1);
    let unsynced = "eso_relay_consumer_unsynced_objects";
    reaches(&consumer, unsynced, &[("why", "failed")], 1).await;
    // Once it can be read again, the next event is synced.
    relay.cluster.values.set("/prod/db", "back");
    relay.publish(&["/prod/db"]).await;
    told(&consumer, "synced", 1.0).await;
    reaches(&consumer, unsynced, &[("why", "failed")], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_spans_all_clusters() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    relay.hub.init(&["west"]).await.unwrap();
    let event = event("/prod/db");
    cli::publish(&relay.jetstream, std::slice::from_ref(&event)).await;

    let before = trace(&relay, &event.id, "").await;
    assert_eq!(before.code, 0, "{before:?}");
    assert!(before.stdout.contains("east     waiting"), "{before:?}");
    let _consumer = relay.consumer("").await;
    let east = trace(&relay, &event.id, "--wait --cluster east").await;
    assert_eq!(east.code, 0, "{east:?}");
    for step in ["matched 1", "patched 1", "synced by ESO 1"] {
        assert!(east.stdout.contains(step), "{step}: {east:?}");
    }
    // By fingerprint, for a script; the other cluster has no consumer.
    let both = trace(&relay, &fingerprint(&event), "--wait --timeout 1s -o json").await;
    assert_eq!(both.code, 1, "{both:?}");
    assert!(both.stderr.contains("in west"), "{both:?}");
    let json: serde_json::Value = serde_json::from_str(&both.stdout).unwrap();
    assert_eq!(json["event"], event.id.as_str());
    let [east, west] = [&json["clusters"][0], &json["clusters"][1]];
    assert_eq!(east["detail"]["synced"], 1, "{east}");
    assert_eq!(west["state"], "waiting", "{west}");

    let status = relay.hub.cli(&["status", "-o", "json"]).await.unwrap();
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let told = &status["receipts"]["east"];
    assert_eq!((&told["events"], &told["synced"]), (&1.into(), &1.into()));

    let unknown = trace(&relay, "never-sent", "").await;
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("no event `never-sent`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_says_what_was_not_refreshed_and_why() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let once = external_secret("once").in_namespace(TEAM);
    let once = once.from_store("akeyless").key("/prod/db");
    let once = once.refresh_policy("CreatedOnce");
    once.create(relay.cluster.client()).await.unwrap();
    relay.synced("once").await;
    relay.cluster.values.remove("/prod/db");
    let _consumer = relay.consumer("").await;
    let event = event("/prod/db");
    cli::publish(&relay.jetstream, std::slice::from_ref(&event)).await;
    let told = trace(&relay, &event.id, "--wait").await;
    assert_eq!(told.code, 1, "{told:?}");
    for step in [
        "skipped (created_once) 1",
        "team-a/once: created_once",
        "ESO failed with 1",
        "team-a/db: failed",
    ] {
        assert!(told.stdout.contains(step), "{step}: {told:?}");
    }
    // What means nothing here is at its end at once.
    let other = self::event("/prod/other");
    cli::publish(&relay.jetstream, std::slice::from_ref(&other)).await;
    let told = trace(&relay, &other.id, "--wait").await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("matched nothing"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_the_sync_unknown() {
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    let mut consumer = relay.consumer("").await;
    let faults = relay.stand_in().faults();
    // ESO does not come to its status.
    let secret = On::verb(Verb::Patch, Kind::Secret);
    let fault = faults.inject(secret, Effect::Hang, Times::All);
    let value = relay.publish(&["/prod/db"]).await.remove(0);
    relay.carries("db", &value).await;
    relay.drained().await;
    consumer.terminate().unwrap();
    assert!(consumer.wait_exit(READY).await.unwrap().success());
    faults.lift(fault);
    let told = trace(&relay, &value, "--wait").await;
    assert_eq!(told.code, 1, "{told:?}");
    let what = "the consumer stopped before a word from ESO about 1";
    assert!(told.stdout.contains(what), "{told:?}");
}

/// Waits for the server's `ack_wait`: a consumer takes no shorter one.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reports_earlier_patches() {
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    let mut killed = relay.consumer("").await;
    let faults = relay.stand_in().faults();
    // The patch is carried out; neither its answer nor the watch says so.
    let on = |verb| On::verb(verb, Kind::ExternalSecret).by_token(CONSUMER);
    let deaf = [
        faults.inject(on(Verb::Watch), Effect::Hang, Times::All),
        faults.inject(on(Verb::Patch), Effect::Disconnect, Times::All),
    ];
    relay.stand_in().close_watches();
    let value = relay.publish(&["/prod/db"]).await.remove(0);
    relay.carries("db", &value).await;
    assert_eq!(relay.durable().await.num_ack_pending, 1);
    killed.kill9().unwrap();
    for fault in deaf {
        faults.lift(fault);
    }
    let patches = relay.requests().patches(TEAM, "db").len();

    let _other = relay.consumer("").await;
    let wait = format!("--wait --timeout {}s", (ACK_WAIT + READY).as_secs());
    let told = trace(&relay, &value, &wait).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("synced by ESO 1"), "{told:?}");
    let again = relay.requests().patches(TEAM, "db").len();
    assert_eq!(again, patches, "it was there already");
}

async fn trace(relay: &Consuming, event: &str, options: &str) -> CliOutput {
    let mut arguments = vec!["trace", event];
    arguments.extend(options.split_whitespace());
    relay.hub.cli(&arguments).await.unwrap()
}
