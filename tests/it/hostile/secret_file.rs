//! A secret file that is there and gives nothing, such as one of a network file system that hangs.

use std::{fs, process::Command};

use eso_relay_lab::{
    daemon::Daemon,
    installation::{Hub, READY, Webhooks, send},
};
use reqwest::StatusCode;

const EVENT: &str = r#"[{"event_type":"static-secret-updated","item_name":"/prod/db"}]"#;

/// A set with one key (RFC 7517 appendix A.1), and a token that names another one.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
/// `{"alg":"ES256","kid":"2"}` `.` `{}` `.` anything.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjIifQ.e30.AAAA";

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_secret_file_delays_nothing() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let file = |name: &str| hub.secrets().join(name);
    for name in ["hanging", "quiet"] {
        fs::write(file(name), format!("old-{name}")).unwrap();
    }
    let source = |name: &str| {
        let file = file(name).display().to_string();
        format!(
            "- {{ name: {name}, format: akeyless, auth: {{ bearer: {{ token_file: '{file}' }} }} }}\n"
        )
    };
    let keys = file("keys").display().to_string();
    fs::write(&keys, KEYS).unwrap();
    let yaml = format!(
        "nats: {{ url: '{}' }}\nsources:\n{}{}- {{ name: tokens, format: akeyless, auth: {{ jwt: {{ issuer: a, audience: b, jwks_file: '{keys}' }} }} }}\n",
        hub.url(),
        source("hanging"),
        source("quiet")
    );
    let mut ingress = Daemon::ingress().config(yaml).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    let post = async |source: &str, token: &str| {
        let post = webhooks.post(&format!("/v1/hooks/{source}")).timeout(READY);
        send(post.bearer_auth(token).body(EVENT))
            .await
            .unwrap()
            .status
    };

    // Pipes into which nothing is written.
    for name in ["hanging", "keys"] {
        fs::remove_file(file(name)).unwrap();
        let made = Command::new("mkfifo").arg(file(name)).status();
        assert!(made.unwrap().success());
    }
    // The look at the other source's file goes on: its rotation counts.
    fs::write(file("quiet"), "new-quiet").unwrap();
    eso_relay_lab::wait::until("the rotation of the other source", READY, || async {
        (post("quiet", "new-quiet").await == StatusCode::ACCEPTED).then_some(())
    })
    .await
    .unwrap();
    // What the file held before stays valid.
    assert_eq!(post("hanging", "old-hanging").await, StatusCode::ACCEPTED);
    let (status, ready) = ingress.readyz().await.unwrap();
    assert_eq!(status.as_u16(), 200, "{ready}");

    fs::remove_file(file("hanging")).unwrap();
    fs::write(file("hanging"), "new-hanging").unwrap();
    eso_relay_lab::wait::until("the rotation of the file that hung", READY, || async {
        (post("hanging", "new-hanging").await == StatusCode::ACCEPTED).then_some(())
    })
    .await
    .unwrap();
    // Seconds have passed, so the other pipe is being read too: the keys can be looked at meanwhile.
    assert_eq!(post("tokens", TOKEN).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_hangs_at_the_start_ends_it_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    let made = Command::new("mkfifo").arg(&keys).status();
    assert!(made.unwrap().success());
    let keys = keys.display();
    let yaml = format!(
        "nats: {{ url: 'nats://127.0.0.1:1' }}\nsources:\n- {{ name: tokens, format: akeyless, auth: {{ jwt: {{ issuer: a, audience: b, jwks_file: '{keys}' }} }} }}\n"
    );
    let error = Daemon::ingress().config(yaml).start().await.err().unwrap();
    let error = error.to_string();
    for said in [
        "exit status: 1",
        "a file of the configuration has not answered",
    ] {
        assert!(error.contains(said), "{error}");
    }
}
