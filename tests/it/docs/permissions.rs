//! The users of docs/operations.md: what they may do is enough, and not more.

use std::{process::Stdio, time::Duration};

use async_nats::{ConnectOptions, Event, jetstream::message::PublishMessage};
use eso_relay::stream::{Position, Stream, Watched};
use eso_relay_lab::{
    cluster::{create_namespace, delete, external_secret, store},
    daemon::{Binary, Daemon},
    installation::{BASIC_PASSWORD, BASIC_USER, Cluster, READY, Webhooks},
    nats_server::NatsServer,
    openbao::{OpenBao, ROOT_TOKEN},
    wait,
};
use tokio::sync::mpsc;

use super::{blocks, read};

async fn operator(server: &NatsServer, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(Binary::Cli.path().await.unwrap())
        .args(arguments)
        .env("ESO_RELAY__NATS__URL", server.url())
        .env("ESO_RELAY__NATS__USER", "operator")
        .env("ESO_RELAY__NATS__PASSWORD", "change-me")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn nats(server: &NatsServer, user: &str) -> String {
    format!(
        "nats: {{ url: '{}', user: {user}, inbox_prefix: _INBOX_{user} }}\n",
        server.url()
    )
}

/// A server with the documented users, and the streams on it.
async fn server() -> NatsServer {
    server_with(&users()).await
}

fn users() -> String {
    blocks(&read("docs/operations.md"), "conf").remove(0)
}

async fn server_with(users: &str) -> NatsServer {
    let server = NatsServer::builder().config_text(users).start().await;
    let server = server.unwrap();
    operator(&server, &["init", "--cluster", "east", "--cluster", "west"]).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_permissions_are_enough() {
    let server = server().await;
    let east = Cluster::stand_in("east").await.unwrap();
    create_namespace(east.client(), "a").await.unwrap();
    let akeyless = store("akeyless").in_namespace("a").akeyless();
    akeyless.create(east.client()).await.unwrap();
    let db = external_secret("db")
        .in_namespace("a")
        .from_store("akeyless");
    db.key("/prod/db").create(east.client()).await.unwrap();

    let ingress = Daemon::ingress()
        .config(nats(&server, "ingress") + "shutdown: { drain_delay: 0s }\n")
        .env("ESO_RELAY__NATS__PASSWORD", "change-me")
        .env("BASIC_AUTH_USER", BASIC_USER)
        .env("BASIC_AUTH_PASSWORD", BASIC_PASSWORD);
    let mut ingress = ingress.start().await.unwrap();
    let consumer = Daemon::consumer()
        .config(format!("cluster: east\n{}", nats(&server, "east")))
        .env("ESO_RELAY__NATS__PASSWORD", "change-me")
        .kubeconfig(east.kubeconfig());
    let mut consumer = consumer.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    consumer.wait_ready(READY).await.unwrap();

    let webhooks = Webhooks::to(&ingress.url());
    let answer = webhooks.updated(&["/prod/db"]).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    east.refreshed("a", "db", None).await.unwrap();
    // Stored as a dead letter, then terminated: neither may be denied.
    let (client, _) = connect(&server, "operator", "_INBOX").await;
    let jetstream = async_nats::jetstream::new(client);
    let poison = PublishMessage::build().payload("no batch".into());
    let subject = "eso-relay.events.v1.generic.manual";
    let ack = jetstream.send_publish(subject, poison).await.unwrap();
    ack.await.unwrap();
    wait::until("all done, one dead letter", READY, || async {
        let status = operator(&server, &["status", "-o", "json"]).await;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let east = &status["clusters"][0];
        let done = east["backlog"] == 0 && east["in_flight"] == 0;
        (done && status["dead_letters"]["east"] == 1).then_some(())
    })
    .await
    .unwrap();
    operator(&server, &["dead", "list"]).await;
    operator(
        &server,
        &["replay", "--cluster", "east", "--since", "1h", "--yes"],
    )
    .await;
    operator(&server, &["init", "--max-age", "1h", "--yes"]).await;
    operator(&server, &["init", "--remove-cluster", "west", "--yes"]).await;
    for daemon in [&mut ingress, &mut consumer] {
        daemon.terminate().unwrap();
        let status = daemon.wait_exit(READY).await.unwrap();
        assert!(status.success(), "{}", daemon.logs());
        assert!(!daemon.logs().contains("Violation"), "{}", daemon.logs());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pollers_permissions_are_enough() {
    let Some(bao) = OpenBao::if_there_is_one().await.unwrap() else {
        return;
    };
    let server = server().await;
    bao.kv_put("db", "a", "1").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, ROOT_TOKEN).unwrap();
    let (client, _) = connect(&server, "operator", "_INBOX").await;
    let jetstream = async_nats::jetstream::new(client);
    let east: eso_relay::Slug = "east".parse().unwrap();
    let watched = Watched {
        provider: "openbao".parse().unwrap(),
        host: None,
        namespace: None,
        path: "secret/data/db".to_owned(),
    };
    let body = serde_json::to_vec(&watched).unwrap();
    let sent = jetstream.publish(watched.subject(&east), body.into()).await;
    sent.unwrap().await.unwrap();
    // One that cannot be read is forgotten.
    let subject = "eso-relay.polls.v1.version.bao.0";
    let sent = jetstream.publish(subject, "broken".into()).await;
    sent.unwrap().await.unwrap();

    let poll = format!(
        "polls: [{{ name: bao, provider: openbao, address: '{}', interval: 300ms, auth: {{ token_file: '{}' }} }}]\n",
        bao.url(),
        token.display(),
    );
    let poller = Daemon::ingress()
        .config(nats(&server, "poller") + "shutdown: { drain_delay: 0s }\n" + &poll)
        .env("ESO_RELAY__LISTEN", "none")
        .env("ESO_RELAY__NATS__PASSWORD", "change-me");
    let mut poller = poller.start().await.unwrap();
    poller.wait_ready(READY).await.unwrap();
    poller
        .wait_log("the first pass is complete", READY)
        .await
        .unwrap();
    bao.kv_put("db", "a", "2").await.unwrap();
    let published = wait::until("the event", READY, || async {
        let metric = "eso_relay_ingress_events_total";
        let count = poller.count(metric, &[("source", "bao")]).await.ok()?;
        (count == 1).then_some(())
    });
    published.await.unwrap();
    poller.terminate().unwrap();
    let status = poller.wait_exit(READY).await.unwrap();
    assert!(status.success(), "{}", poller.logs());
    assert!(!poller.logs().contains("Violation"), "{}", poller.logs());
}

/// A consumer of `east` that publishes its watch list, of one ExternalSecret.
async fn listing(server: &NatsServer, cluster: &Cluster) -> Daemon {
    create_namespace(cluster.client(), "a").await.unwrap();
    let vault = store("vault").in_namespace("a").vault();
    vault.create(cluster.client()).await.unwrap();
    let db = external_secret("db").in_namespace("a").from_store("vault");
    db.key("app/db").create(cluster.client()).await.unwrap();
    let on = "watch_list: { enabled: true, keep: 1s }";
    let consumer = Daemon::consumer()
        .config(format!("cluster: east\n{}{on}", nats(server, "east")))
        .env("ESO_RELAY__NATS__PASSWORD", "change-me")
        .kubeconfig(cluster.kubeconfig());
    let mut consumer = consumer.start().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    consumer
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_list_needs_its_commented_lines() {
    let commented = |line: &&str| line.contains("ESO_RELAY_POLLS") || line.contains("polls.v1");
    let users = users();
    let lines = users.lines().filter(commented);
    let users = lines.fold(users.clone(), |users, line| {
        users.replace(line, &line.replacen("# ", "", 1))
    });
    let server = server_with(&users).await;
    let east = Cluster::stand_in("east").await.unwrap();
    let mut consumer = listing(&server, &east).await;
    let changes = async |result: &str, count: u64| {
        let name = "eso_relay_consumer_watch_list_changes_total";
        wait::until(format!("{count} {result}"), READY, async || {
            let changes = consumer.count(name, &[("result", result)]).await.unwrap();
            (changes == count).then_some(())
        })
        .await
        .unwrap();
    };
    changes("published", 1).await;
    delete(east.client(), "a", "db").await.unwrap();
    changes("removed", 1).await;
    consumer.terminate().unwrap();
    consumer.wait_exit(READY).await.unwrap();
    assert!(
        !consumer.logs().contains("Violation"),
        "{}",
        consumer.logs()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_list_without_its_permissions_is_said_once() {
    let server = server().await;
    let east = Cluster::stand_in("east").await.unwrap();
    let mut consumer = listing(&server, &east).await;
    let said = consumer.wait_log("cannot publish the watch list", READY);
    let said = said.await.unwrap();
    let subject = "may this user publish to `$JS.API.STREAM.INFO.ESO_RELAY_POLLS`?";
    assert!(said.contains(subject), "{said}");
    let name = "eso_relay_consumer_watch_list_changes_total";
    wait::until("a second attempt", READY, async || {
        let failed = consumer.count(name, &[("result", "failed")]).await.unwrap();
        (failed > 1).then_some(())
    })
    .await
    .unwrap();
    let log = consumer.logs();
    assert_eq!(
        log.matches("cannot publish the watch list").count(),
        1,
        "{log}"
    );
    consumer.wait_ready(READY).await.unwrap();
}

#[tokio::test]
async fn a_cluster_can_neither_read_anothers_events_nor_publish_any() {
    let server = server().await;
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.{}.west", Stream::Events.name());
    let receipts = format!("$JS.API.STREAM.MSG.GET.{}", Stream::Receipts.name());
    let position = Position::subject(&"west".parse().unwrap());
    let read = format!("$JS.API.DIRECT.GET.{}.{position}", Stream::Positions.name());
    for (user, subject) in [
        ("east", next.as_str()),
        ("east", "eso-relay.events.v1.akeyless.prod"),
        ("east", "eso-relay.dead.v1.west.prod"),
        (
            "east",
            "eso-relay.receipts.v1.west.prod.0123456789abcdef0123",
        ),
        ("east", &receipts),
        ("east", &position),
        ("east", &read),
        ("ingress", &next),
        ("ingress", "eso-relay.dead.v1.east.prod"),
        ("ingress", "eso-relay.polls.v1.version.bao.0"),
        ("poller", &next),
        ("poller", "eso-relay.polls.v1.watched.east.0"),
    ] {
        let (client, mut violations) = connect(&server, user, &format!("_INBOX_{user}")).await;
        client.publish(subject.to_owned(), "".into()).await.unwrap();
        client.flush().await.unwrap();
        let violation = tokio::time::timeout(READY, violations.recv()).await;
        let violation = violation.unwrap().unwrap().to_lowercase();
        assert!(violation.contains("permissions violation"), "{violation}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_named_where_one_looks() {
    let server = server().await;
    let ingress = Daemon::ingress()
        .config(nats(&server, "ingress"))
        .env("ESO_RELAY__NATS__PASSWORD", "wrong")
        .env("BASIC_AUTH_USER", BASIC_USER)
        .env("BASIC_AUTH_PASSWORD", BASIC_PASSWORD);
    let ingress = ingress.start().await.unwrap();
    let said = wait::until("the reason in /readyz", READY, || async {
        let (_, said) = ingress.readyz().await.ok()?;
        said.contains("authorization violation").then_some(said)
    });
    let said = said.await.unwrap();
    let address = server.url();
    assert!(
        said.contains(&format!("[-]nats cannot connect to {address}")),
        "{said}"
    );
    let logs = ingress.wait_log("authorization violation", READY).await;
    let logs = logs.unwrap();
    assert!(!logs.contains("wrong"), "{logs}");
}

#[tokio::test]
async fn a_command_of_another_user_says_whose_it_needs() {
    let server = server().await;
    let output = tokio::process::Command::new(Binary::Cli.path().await.unwrap())
        .arg("status")
        .env("ESO_RELAY__NATS__URL", server.url())
        .env("ESO_RELAY__NATS__USER", "ingress")
        .env("ESO_RELAY__NATS__PASSWORD", "change-me")
        .env("ESO_RELAY__NATS__INBOX_PREFIX", "_INBOX_ingress")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("need the operator's user"), "{said}");
    assert!(!said.contains("timed out"), "{said}");
}

/// A client, and what the server reproaches it with.
async fn connect(
    server: &NatsServer,
    user: &str,
    inbox: &str,
) -> (async_nats::Client, mpsc::UnboundedReceiver<String>) {
    let (said, violations) = mpsc::unbounded_channel();
    let options = ConnectOptions::with_user_and_password(user.to_owned(), "change-me".to_owned())
        .custom_inbox_prefix(inbox)
        .request_timeout(Some(Duration::from_secs(10)))
        .event_callback(move |event| {
            if let Event::ServerError(error) = event {
                said.send(error.to_string()).ok();
            }
            std::future::ready(())
        });
    (options.connect(server.url()).await.unwrap(), violations)
}
