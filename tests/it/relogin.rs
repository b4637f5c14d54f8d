//! The credentials for NATS change while a daemon runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use eso_relay_lab::{
    daemon::Daemon,
    installation::{Hub, READY, Webhooks, akeyless},
    nats_server::NatsServer,
};
use nkeys::KeyPair;
use reqwest::StatusCode;
use serde_json::json;

use crate::{metrics::reaches, operator::Operator};

const UNREADABLE: &str = "cannot read the credentials for NATS again";
const EXPIRES: &str = "eso_relay_nats_credentials_not_after_timestamp_seconds";
const RECONNECTS: &str = "eso_relay_nats_reconnects_total";

/// A server that lets in these users of one account, each with its password.
fn users(users: &[(&str, &str)]) -> String {
    let users = users
        .iter()
        .map(|(name, password)| format!("{{ user: {name}, password: {password} }}"));
    let users: Vec<String> = users.collect();
    format!(
        "accounts {{ relay: {{ jetstream: enabled, users: [ {} ] }} }}",
        users.join(", ")
    )
}

/// In the directory of the hub's secrets, as an operator does it: written aside, then moved over the old one.
fn replace(path: &Path, text: &str) {
    let aside = path.with_extension("aside");
    fs::write(&aside, text).unwrap();
    fs::rename(aside, path).unwrap();
}

/// An ingress that logs in with a file of this text, and is connected.
async fn logged_in(operator: &Operator, text: &str) -> (Hub, PathBuf, Daemon) {
    let nats = NatsServer::builder()
        .config_text(&operator.config(&[]))
        .start()
        .await
        .unwrap();
    let hub = Hub::on(nats, Vec::new()).unwrap();
    let file = hub.secrets().join("relay.creds");
    replace(&file, text);
    let ingress = hub
        .ingress()
        .env("ESO_RELAY__NATS__CREDENTIALS_FILE", &file)
        .start()
        .await
        .unwrap();
    reaches(&ingress, "eso_relay_nats_connected", &[], 1).await;
    (hub, file, ingress)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_of_nats_counts_without_a_restart() {
    let admin = ("admin", "of-the-test");
    let nats = NatsServer::builder()
        .config_text(&users(&[admin, ("ingress", "marker-first")]))
        .start()
        .await
        .unwrap();
    let mut hub = Hub::on(nats, Vec::new()).unwrap();
    let init = tokio::process::Command::new(env!("CARGO_BIN_EXE_eso-relay"))
        .args(["init", "--cluster", "east", "--nats"])
        .arg(hub.url().replace("//", "//admin:of-the-test@"))
        .output();
    let init = init.await.unwrap();
    assert!(init.status.success(), "{init:?}");
    let file = hub.secrets().join("nats-password");
    replace(&file, "marker-first\n");
    let mut ingress = hub
        .ingress()
        .env("ESO_RELAY__NATS__USER", "ingress")
        .env("ESO_RELAY__NATS__PASSWORD_FILE", &file)
        .start()
        .await
        .unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    let accepted = async |number| {
        let body = json!([akeyless(number, "prod/db")]);
        let answer = webhooks.akeyless(&body).await.unwrap();
        assert_eq!(answer.status, StatusCode::ACCEPTED);
    };
    accepted(1).await;

    // The file first, then the server.
    replace(&file, "marker-second\n");
    hub.nats
        .reconfigure(&users(&[admin, ("ingress", "marker-second")]))
        .unwrap();
    hub.nats.reload().unwrap();
    reaches(&ingress, RECONNECTS, &[], 1).await;
    ingress.wait_ready(READY).await.unwrap();
    accepted(2).await;

    // The server first: refused until the file follows.
    hub.nats
        .reconfigure(&users(&[admin, ("ingress", "marker-third")]))
        .unwrap();
    hub.nats.reload().unwrap();
    ingress
        .wait_log("authorization violation", READY)
        .await
        .unwrap();
    replace(&file, "marker-third\n");
    reaches(&ingress, RECONNECTS, &[], 2).await;
    ingress.wait_ready(READY).await.unwrap();
    accepted(3).await;
    let log = ingress.logs();
    assert!(!log.contains("marker-"), "{log}");
    assert!(!log.contains(UNREADABLE), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_of_another_user_count_once_the_first_one_is_revoked() {
    let operator = Operator::new();
    let (first, second) = (KeyPair::new_user(), KeyPair::new_user());
    let credentials = operator.credentials(&first, Some(4_000_000_000));
    let (mut hub, file, ingress) = logged_in(&operator, &credentials).await;
    reaches(&ingress, EXPIRES, &[], 4_000_000_000).await;

    replace(&file, &operator.credentials(&second, Some(4_100_000_000)));
    hub.nats.stop().await.unwrap();
    hub.nats.reconfigure(&operator.config(&[&first])).unwrap();
    hub.nats.start_again().await.unwrap();
    reaches(&ingress, RECONNECTS, &[], 1).await;
    reaches(&ingress, EXPIRES, &[], 4_100_000_000).await;
    assert!(!ingress.logs().contains(UNREADABLE), "{}", ingress.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_cannot_be_read_again_leave_the_previous_ones_in_use() {
    let operator = Operator::new();
    let user = KeyPair::new_user();
    let credentials = operator.credentials(&user, Some(4_000_000_000));
    let (mut hub, file, ingress) = logged_in(&operator, &credentials).await;

    // Half of it is written.
    let seed = user.seed().unwrap();
    let half = credentials.find(&seed).unwrap() + seed.len() / 2;
    fs::write(&file, &credentials[..half]).unwrap();
    hub.nats.stop().await.unwrap();
    hub.nats.start_again().await.unwrap();
    reaches(&ingress, RECONNECTS, &[], 1).await;
    let warning = ingress.wait_log(UNREADABLE, READY).await.unwrap();
    assert!(warning.contains("nats.credentials_file"), "{warning}");
    assert!(warning.contains(&file.display().to_string()), "{warning}");
    reaches(&ingress, EXPIRES, &[], 4_000_000_000).await;
    let log = ingress.logs();
    assert!(!log.contains(&seed[..seed.len() / 2]), "{log}");
    let jwt = credentials.lines().nth(1).unwrap();
    assert!(!log.contains(jwt), "{log}");
}
