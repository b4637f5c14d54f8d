use async_nats::jetstream::{self, stream};

use super::*;
use crate::wait;

const PATIENCE: Duration = Duration::from_secs(30);

fn kept() -> stream::Config {
    stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept".into()],
        ..Default::default()
    }
}

async fn streams(server: &NatsServer) -> (async_nats::Client, jetstream::Context) {
    let client = async_nats::connect(server.url()).await.unwrap();
    (client.clone(), jetstream::new(client))
}

async fn messages(context: &jetstream::Context) -> Result<u64, String> {
    let asked = context.get_stream("KEPT").await;
    let mut stream = asked.map_err(|error| error.to_string())?;
    let info = stream.info().await.map_err(|error| error.to_string())?;
    Ok(info.state.messages)
}

#[tokio::test]
async fn a_stream_outlives_kill_9_and_its_client_finds_the_server_again() {
    let mut server = NatsServer::builder().sync_always().start().await.unwrap();
    let (_client, context) = streams(&server).await;
    context.create_stream(kept()).await.unwrap();
    for _ in 0..3 {
        let sent = context.publish("kept", "words".into()).await.unwrap();
        sent.await.unwrap();
    }

    server.kill9().unwrap();
    server.kill9().unwrap_err();
    server.start_again().await.unwrap();

    let kept = wait::until_ok("the client's return", PATIENCE, async || {
        messages(&context).await
    });
    assert_eq!(kept.await.unwrap(), 3);
    server.stop().await.unwrap();
    server.start_again().await.unwrap();
    assert!(server.log().matches("Server is ready").count() >= 3);
}

#[tokio::test]
async fn three_servers_outlive_one_of_them() {
    let options = NatsServer::builder().sync_always();
    let mut servers = options.start_three().await.unwrap();
    let (_client, context) = streams(&servers[1]).await;
    let config = stream::Config {
        num_replicas: 3,
        ..kept()
    };
    context.create_stream(config).await.unwrap();

    servers[0].kill9().unwrap();
    wait::until_ok("a stored message", PATIENCE, async || {
        let sent = context.publish("kept", "words".into()).await;
        sent.map_err(|error| error.to_string())?
            .await
            .map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    servers[0].start_again().await.unwrap();

    servers[0].wait_healthy(PATIENCE).await.unwrap();
    assert!(messages(&context).await.unwrap() >= 1);
}

#[tokio::test]
async fn a_full_disk_takes_nothing_until_it_is_free() {
    if small_disks().await.is_err() {
        return;
    }
    let options = NatsServer::builder().sync_always().small_disk("16m");
    let mut server = options.max_file_store("1GB").start().await.unwrap();
    let (_client, context) = streams(&server).await;
    context.create_stream(kept()).await.unwrap();
    let publish = async |size: usize| {
        let sent = context.publish("kept", vec![b'x'; size].into()).await;
        sent.map_err(|error| error.to_string())?
            .await
            .map_err(|error| error.to_string())
    };

    server.fill_disk().unwrap();
    // More than what may still fit into pages that it has.
    publish(64 * 1024).await.unwrap_err();
    server.free_disk().unwrap();
    server.kill9().unwrap();
    server.start_again().await.unwrap();

    let stored = wait::until_ok("a stored message", PATIENCE, async || publish(10).await);
    stored.await.unwrap();
}

#[tokio::test]
async fn a_paused_server_takes_connections_and_says_nothing_until_resumed() {
    let mut server = NatsServer::start().await.unwrap();
    server.pause().unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(200), greeting(server.port));
    silence.await.unwrap_err();
    server.resume().unwrap();
    greeting(server.port).await.unwrap();
}

#[tokio::test]
async fn options_reach_the_server() {
    let server = NatsServer::builder()
        .max_file_store("1MB")
        .config_text(r#"authorization { user: someone, password: "let me in" }"#)
        .start()
        .await
        .unwrap();
    async_nats::connect(server.url()).await.unwrap_err();
    let client =
        async_nats::ConnectOptions::with_user_and_password("someone".into(), "let me in".into())
            .connect(server.url())
            .await
            .unwrap();
    let account = jetstream::new(client).query_account().await.unwrap();
    assert_eq!(account.memory, 0);
    eso_relay::nats::install_crypto();
    let health = reqwest::get(format!("{}/jsz", server.monitor_url()))
        .await
        .unwrap();
    let stats: serde_json::Value = health.json().await.unwrap();
    assert_eq!(stats["config"]["max_storage"], 1024 * 1024);
}

#[tokio::test]
async fn a_wrong_configuration_is_told_with_the_servers_own_words() {
    let failed = NatsServer::builder().config_text("port: many").start();
    let error = failed.await.err().unwrap().to_string();
    assert!(error.contains("nats-server ended"), "{error}");
    assert!(error.contains("nats.conf:6:1"), "{error}");
}

/// A compile-time fact: servers may be started from spawned tasks.
#[tokio::test]
async fn servers_start_in_parallel_on_ports_of_their_own() {
    let one = tokio::spawn(NatsServer::start());
    let other = tokio::spawn(NatsServer::start());
    let (one, other) = (one.await.unwrap().unwrap(), other.await.unwrap().unwrap());
    assert_ne!(one.url(), other.url());
}
