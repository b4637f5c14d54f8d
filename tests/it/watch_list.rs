//! What consumers publish for pollers: the paths of Vault and OpenBao that their cluster reads.

use std::collections::BTreeSet;

use eso_relay::stream::{Stream, Watched};
use eso_relay_lab::{
    cluster::{delete, external_secret, store},
    daemon::Daemon,
    installation::{Cluster, READY},
    wait,
    workloads::Workload,
};
use futures::TryStreamExt as _;

use crate::consuming::{Consuming, TEAM};

const ON: &str = "watch_list: { enabled: true, keep: 1s }";

/// A cluster with a store of Vault.
async fn relay() -> Consuming {
    let relay = Consuming::on(Cluster::start("east").await.unwrap(), &["db"]).await;
    let vault = store("vault").in_namespace(TEAM).vault();
    vault.create(relay.cluster.client()).await.unwrap();
    relay
}

/// An ExternalSecret that reads a secret of this name.
async fn read(relay: &Consuming, name: &str) {
    let object = external_secret(name).in_namespace(TEAM).from_store("vault");
    let object = object.key(&format!("app/{name}"));
    object.create(relay.cluster.client()).await.unwrap();
}

async fn remove(relay: &Consuming, name: &str) {
    delete(relay.cluster.client(), TEAM, name).await.unwrap();
}

/// What the stream holds of the cluster.
async fn list(relay: &Consuming) -> Vec<Watched> {
    let Ok(stream) = relay.jetstream.get_stream(Stream::Polls.name()).await else {
        return Vec::new();
    };
    let subjects = Watched::subjects_of(&"east".parse().unwrap());
    let subjects = stream.info_with_subjects(subjects).await.unwrap();
    let subjects: Vec<_> = subjects.try_collect().await.unwrap();
    let mut list = Vec::new();
    for (subject, _) in subjects {
        let Ok(message) = stream.get_last_raw_message_by_subject(&subject).await else {
            continue;
        };
        let watched: Watched = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(watched.subject(&"east".parse().unwrap()), subject);
        list.push(watched);
    }
    list
}

/// Waits until these paths, and no others, are listed.
async fn listed(relay: &Consuming, paths: &[&str]) {
    let expected: BTreeSet<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    wait::until_ok(format!("{paths:?} to be listed"), READY, async || {
        let list = list(relay).await.into_iter();
        let list: BTreeSet<_> = list.map(|watched| watched.path).collect();
        (list == expected).then_some(()).ok_or(list)
    })
    .await
    .unwrap();
}

async fn changes(consumer: &Daemon, result: &str) -> u64 {
    let name = "eso_relay_consumer_watch_list_changes_total";
    consumer.count(name, &[("result", result)]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_listed_until_its_last_reader_is_gone() {
    let relay = relay().await;
    read(&relay, "one").await;
    let consumer = relay
        .consumer(&format!("{ON}\nrestart: {{ enabled: true }}"))
        .await;
    listed(&relay, &["secret/data/app/one"]).await;
    let one = &list(&relay).await[0];
    assert_eq!(one.host.as_deref(), Some("vault.example.com"));
    assert_eq!((one.provider.as_str(), &one.namespace), ("vault", &None));

    // A second reader, and a workload.
    let second = external_secret("second").in_namespace(TEAM);
    let second = second.from_store("vault").key("app/one");
    second.create(relay.cluster.client()).await.unwrap();
    let web = Workload::deployment(TEAM, "web").value("vault:kv/data/web#password");
    web.restart().create(relay.cluster.client()).await.unwrap();
    let both = ["secret/data/app/one", "kv/data/web"];
    listed(&relay, &both).await;
    remove(&relay, "one").await;
    read(&relay, "two").await;
    listed(&relay, &[&both[..], &["secret/data/app/two"]].concat()).await;
    remove(&relay, "second").await;
    listed(&relay, &["kv/data/web", "secret/data/app/two"]).await;

    assert_eq!(changes(&consumer, "published").await, 3);
    assert_eq!(changes(&consumer, "removed").await, 1);
    let paths = "eso_relay_consumer_watch_list_paths";
    assert_eq!(consumer.count(paths, &[]).await.unwrap(), 2);
    let status = relay.hub.cli(&["status"]).await.unwrap();
    let said = "east asks pollers to watch 2 paths";
    assert!(status.stdout.contains(said), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_publish_a_path_once() {
    let relay = relay().await;
    for name in ["one", "two"] {
        read(&relay, name).await;
    }
    let mut first = relay.consumer(ON).await;
    let second = relay.consumer(ON).await;
    let both = ["secret/data/app/one", "secret/data/app/two"];
    listed(&relay, &both).await;
    for name in ["three", "four"] {
        read(&relay, name).await;
    }
    let four = [
        &both[..],
        &["secret/data/app/three", "secret/data/app/four"],
    ]
    .concat();
    listed(&relay, &four).await;
    let paths = "eso_relay_consumer_watch_list_paths";
    for replica in [&first, &second] {
        wait::until("both replicas to know all", READY, async || {
            let count = replica.count(paths, &[]).await.unwrap();
            (count == 4).then_some(())
        })
        .await
        .unwrap();
    }
    let stream = relay.jetstream.get_stream(Stream::Polls.name()).await;
    let state = stream.unwrap().cached_info().state.clone();
    assert_eq!(state.last_sequence, 4, "each was stored once");
    first.kill9().unwrap();
    remove(&relay, "one").await;
    listed(&relay, &four[1..]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_off_by_default() {
    let relay = relay().await;
    read(&relay, "one").await;
    let consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    assert_eq!(list(&relay).await, []);
    assert_eq!(changes(&consumer, "published").await, 0);
    assert_eq!(changes(&consumer, "failed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_stream_is_filled_again() {
    let mut relay = relay().await;
    read(&relay, "one").await;
    let _consumer = relay.consumer(ON).await;
    listed(&relay, &["secret/data/app/one"]).await;
    let stream = relay.jetstream.get_stream(Stream::Polls.name()).await;
    stream.unwrap().purge().await.unwrap();
    listed(&relay, &["secret/data/app/one"]).await;
    relay.hub.nats.kill9().unwrap();
    relay.hub.nats.start_again().await.unwrap();
    read(&relay, "two").await;
    listed(&relay, &["secret/data/app/one", "secret/data/app/two"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_stream_is_said_once() {
    let relay = relay().await;
    let polls = Stream::Polls.name();
    relay.jetstream.delete_stream(polls).await.unwrap();
    read(&relay, "one").await;
    let consumer = relay.consumer(ON).await;
    let said = consumer.wait_log("cannot publish the watch list", READY);
    let said = said.await.unwrap();
    let advice = "stream ESO_RELAY_POLLS does not exist: run `eso-relay init`";
    assert!(said.contains(advice), "{said}");
    wait::until("a second attempt", READY, async || {
        (changes(&consumer, "failed").await > 1).then_some(())
    })
    .await
    .unwrap();
    // All else goes on.
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.hub.init(&["east"]).await.unwrap();
    listed(&relay, &["secret/data/app/one"]).await;
    let over = "the watch list is up to date again";
    consumer.wait_log(over, READY).await.unwrap();
    let log = consumer.logs();
    assert_eq!(
        log.matches("cannot publish the watch list").count(),
        1,
        "{log}"
    );
}
