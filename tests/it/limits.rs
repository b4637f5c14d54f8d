//! One source cannot starve the others, and an open door is announced.

use eso_relay_lab::{
    daemon::Daemon,
    installation::{Hub, READY, Webhooks, send},
    nats_server::NatsServer,
    wait,
};
use serde_json::Value;

use crate::cli::eso_relay;

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
async fn a_rate_limit_is_per_source() {
    let server = crate::nats::NatsServer::start().await;
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
    for source in ["noisy", "quiet"] {
        let announced =
            |line: &str| line.contains("anyone who reaches the port") && line.contains(source);
        wait::until_ok("the warning", READY, async || {
            let log = ingress.logs();
            log.lines().any(announced).then_some(()).ok_or(log)
        })
        .await
        .unwrap();
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

/// An ingress on a server with this `max_payload` and the streams on it, and what `/readyz` says of them
/// once its status is this.
async fn on_a_server_that_takes(max_payload: usize, status: u16) -> (Hub, Daemon, String) {
    let server = NatsServer::builder().config_text(&format!("max_payload: {max_payload}"));
    let hub = Hub::on(server.start().await.unwrap(), Vec::new()).unwrap();
    hub.init(&[]).await.unwrap();
    let config = format!(
        "nats: {{ url: \"{}\" }}\nsources: [{{ name: open, format: akeyless, auth: none }}]\n",
        hub.url()
    );
    let ingress = Daemon::ingress().config(config).start().await.unwrap();
    let said = || async {
        let (found, text) = ingress.readyz().await.ok()?;
        let line = text.lines().find(|line| line.contains("max_payload"))?;
        (found.as_u16() == status).then(|| line.to_owned())
    };
    let line = wait::until("what is said of max_payload", READY, said)
        .await
        .unwrap();
    (hub, ingress, line)
}

#[tokio::test]
async fn a_too_small_max_payload_is_not_ready() {
    let (_hub, ingress, line) = on_a_server_that_takes(1200, 503).await;
    assert!(
        line.starts_with("[-]stream") && line.contains("1280 at least"),
        "{line}"
    );
    let (status, code, later) = post(&ingress, "open").await;
    assert_eq!((status, later), (503, true), "{code}");
}

#[tokio::test]
async fn a_list_larger_than_the_server_takes_is_accepted() {
    let (_hub, ingress, line) = on_a_server_that_takes(3000, 200).await;
    assert!(line.starts_with("[+]stream ok, but"), "{line}");
    let events: Vec<_> = (0..100)
        .map(|n| {
            let name = format!("/prod/{n}");
            serde_json::json!({ "event_type": "static-secret-updated", "item_name": name })
        })
        .collect();
    let answer = Webhooks::to(&ingress.url())
        .post("/v1/hooks/open")
        .body(Value::from(events).to_string());
    let answer = send(answer).await.unwrap();
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.body);
    assert_eq!(answer.accepted().len(), 100);
}
