use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use eso_relay::event::{Kind, Match, StoreKind};
use tokio::net::TcpListener;

use super::{eso_relay, events_from, slug};
use crate::nats::NatsServer;

#[tokio::test]
async fn an_event_by_hand_stands_in_the_stream_as_it_was_asked_for() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east -o json")
        .await
        .json();
    let sent = eso_relay(
        &server,
        "send --provider akeyless --key /prod/db --key prod/db --store ClusterSecretStore/akeyless* --namespace team-a --cluster east -o json",
    )
    .await
    .json();
    assert_eq!(sent["sequence"], 1);

    let [event] = &events_from(&server.jetstream().await, 1).await[..] else {
        panic!()
    };
    assert_eq!(event.id, sent["id"]);
    assert_eq!(event.kind, Kind::RefreshRequested);
    assert_eq!(event.source, slug("manual"));
    assert_eq!(event.matches.keys(), ["/prod/db", "prod/db"]);
    assert_eq!(event.fingerprint().to_string(), sent["annotation"]);
    let target = event.target.as_ref().unwrap();
    assert!(target.allows_store(StoreKind::ClusterSecretStore, "akeyless-eu"));
    assert!(!target.allows_store(StoreKind::SecretStore, "akeyless-eu"));
    assert!(!target.allows_namespace("team-b") && !target.allows_cluster("west"));
}

#[tokio::test]
async fn each_sending_is_an_event_of_its_own() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init -o json").await.json();
    for _ in 0..2 {
        eso_relay(&server, "send --all -o json").await.json();
    }
    let [one, two] = &events_from(&server.jetstream().await, 1).await[..] else {
        panic!()
    };
    assert_eq!((&one.matches, &one.target), (&Match::All, &None));
    assert_ne!(one.fingerprint(), two.fingerprint());
}

#[tokio::test]
async fn a_place_is_an_event_of_everything_in_it() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init -o json").await.json();
    let send = "send --provider vault --scope mount=secret --scope namespace=team-a -o json";
    eso_relay(&server, send).await.json();
    let [event] = &events_from(&server.jetstream().await, 1).await[..] else {
        panic!()
    };
    assert_eq!(
        (&event.matches, &event.provider),
        (&Match::Scope, &slug("vault"))
    );
    let scope = serde_json::to_value(&event.scope).unwrap();
    assert_eq!(
        scope,
        serde_json::json!({ "mount": "secret", "namespace": "team-a" })
    );
    let both = eso_relay(&server, "send --key a --scope mount=secret").await;
    assert_eq!(both.code, 2, "{}", both.stderr);
}

#[tokio::test]
async fn without_streams_the_message_names_init() {
    let server = NatsServer::start().await;
    let run = eso_relay(&server, "send --key a").await;
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.contains("run `eso-relay init`"),
        "{}",
        run.stderr
    );
    let run = eso_relay(&server, "send").await;
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("--key"), "{}", run.stderr);
}

#[tokio::test]
async fn a_payload_is_posted_and_signed_and_the_answer_is_shown() {
    let server = NatsServer::start().await;
    let webhook = post(|headers: HeaderMap, body: Bytes| async move {
        // HMAC-SHA256 of the file `payload` under the key `Jefe` (RFC 4231, test case 2).
        let signature = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let right = headers["x-sig"] == signature
            && headers["x-kind"] == "test"
            && headers["content-type"] == "application/json"
            && body == "what do ya want for nothing?";
        let status = if right { 202 } else { 401 };
        (
            axum::http::StatusCode::from_u16(status).unwrap(),
            r#"{"accepted":["1"]}"#,
        )
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/hook", webhook);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let directory = std::env::temp_dir().join(format!("eso-relay-send-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let [payload, key] = ["payload", "key"].map(|name| directory.join(name));
    std::fs::write(&payload, "what do ya want for nothing?").unwrap();
    std::fs::write(&key, "Jefe\n").unwrap();
    let (payload, key) = (payload.display(), key.display());
    let command = format!(
        "send -o json --to http://{address}/hook --data {payload} --header x-kind:test --hmac-header x-sig --hmac-prefix sha256= --hmac-secret-file"
    );
    let run = eso_relay(&server, &format!("{command} {key}")).await;
    assert_eq!(
        run.json(),
        serde_json::json!({ "status": 202, "answer": { "accepted": ["1"] } })
    );
    let run = eso_relay(&server, &format!("{command} {payload}")).await;
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("401"), "{}", run.stderr);
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn a_misspelt_cluster_sends_nothing() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init --cluster east --cluster west").await;
    for command in [
        "send --key a --cluster esat",
        "send --key a --cluster east --cluster nort*",
        "resync --cluster esat",
    ] {
        let run = eso_relay(&server, command).await;
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{command}");
        for said in ["no cluster `", "there are east, west"] {
            assert!(run.stderr.contains(said), "{command}: {}", run.stderr);
        }
    }
    let status = eso_relay(&server, "status -o json").await.json();
    assert_eq!(status["streams"][0]["messages"], 0);
    for command in ["send --key a --cluster e*", "resync --cluster west"] {
        let run = eso_relay(&server, command).await;
        assert_eq!(run.code, 0, "{command}: {}", run.stderr);
    }
}

#[tokio::test]
async fn an_ingress_without_a_path_is_no_webhook() {
    let server = NatsServer::start().await;
    for url in ["http://127.0.0.1:1", "http://127.0.0.1:1/"] {
        let run = eso_relay(&server, &format!("send --to {url} --data -")).await;
        assert_eq!(run.code, 2, "{}", run.stderr);
        let example = "such as http://127.0.0.1:1/v1/hooks/SOURCE or http://127.0.0.1:1/webhook";
        assert!(run.stderr.contains(example), "{}", run.stderr);
    }
}
