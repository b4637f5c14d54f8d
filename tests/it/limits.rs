//! One source cannot starve the others, and an open door is announced.

use eso_relay_lab::{daemon::Daemon, installation::READY};
use serde_json::Value;

use crate::{cli::eso_relay, nats::NatsServer};

const EVENT: &str = r#"[{"event_type":"static-secret-updated","item_name":"/prod/db"}]"#;

/// Status, code and whether the sender is told when to come again.
async fn post(ingress: &Daemon, source: &str) -> (u16, Value, bool) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/hooks/{source}", ingress.url());
    let answer = client.post(url).body(EVENT).send().await.unwrap();
    let (status, later) = (
        answer.status().as_u16(),
        answer.headers().contains_key("retry-after"),
    );
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].clone(), later)
}

#[tokio::test]
async fn a_source_beyond_its_rate_is_told_to_wait_while_another_goes_on() {
    let server = NatsServer::start().await;
    eso_relay(&server, "init -o json").await.json();
    let config = format!(
        "nats: {{ url: \"{}\" }}
sources:
  - {{ name: noisy, format: akeyless, auth: none, limits: {{ requests_per_second: 1 }} }}
  - {{ name: quiet, format: akeyless, auth: none }}
",
        server.url()
    );
    let mut ingress = Daemon::ingress().config(config).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let log = ingress.logs();
    for source in ["noisy", "quiet"] {
        let announced =
            |line: &str| line.contains("whoever reaches the port") && line.contains(source);
        assert!(log.lines().any(announced), "{source}: {log}");
    }
    let mut limited = None;
    // As many as it takes: a slow machine may spread a few over several seconds.
    for _ in 0..100 {
        let (status, code, later) = post(&ingress, "noisy").await;
        if status != 202 {
            limited = Some((status, code, later));
            break;
        }
    }
    assert_eq!(limited, Some((503, "rate_limited".into(), true)));
    assert_eq!(post(&ingress, "quiet").await.0, 202);
    let refused = [("source", "noisy"), ("result", "rate_limited")];
    assert_eq!(
        ingress
            .count("eso_relay_ingress_webhooks_total", &refused)
            .await
            .unwrap(),
        1
    );
}
