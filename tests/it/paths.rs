//! The public port behind something that leaves its prefix in the URL and asks whether the replica is healthy.

use eso_relay_lab::{
    daemon::Daemon,
    installation::{Hub, READY, Webhooks, akeyless},
    wait,
};
use reqwest::StatusCode;
use serde_json::json;

async fn health(ingress: &Daemon) -> StatusCode {
    let url = format!("{}/relay/healthz", ingress.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_fails_before_the_port_closes() {
    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    // Long enough to look at it, and ended by the test.
    let options = hub.ingress_with("base_path: /relay\n");
    let options = options
        .env("ESO_RELAY__SHUTDOWN__DRAIN_DELAY", "1h")
        .env("ESO_RELAY__SHUTDOWN__GRACE", "2h");
    let mut ingress = options.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let prefixed = Webhooks::to(&format!("{}/relay/", ingress.url()));
    let (direct, body) = (Webhooks::to(&ingress.url()), json!([akeyless(1, "a/b")]));
    for webhooks in [&prefixed, &direct] {
        assert_eq!(
            webhooks.akeyless(&body).await.unwrap().status,
            StatusCode::ACCEPTED
        );
        assert_eq!(
            webhooks.seed(&body).await.unwrap().status,
            StatusCode::ACCEPTED
        );
    }
    assert_eq!(health(&ingress).await, StatusCode::OK);

    ingress.terminate().unwrap();
    wait::until("the health check to say so", READY, || async {
        (health(&ingress).await == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(
        prefixed.seed(&body).await.unwrap().status,
        StatusCode::ACCEPTED
    );
    ingress.kill9().unwrap();
}
