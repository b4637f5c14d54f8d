//! Every way to prove to NATS who is asking, against a real server that asks for it.

use std::{path::Path, time::Duration};

use eso_relay::{
    config::{Secret, SecretFile},
    nats::{NatsConfig, TlsConfig, connect_once},
};
use eso_relay_lab::nats_server::NatsServer;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair as TlsKey};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::operator::Operator;

const PATIENCE: Duration = Duration::from_secs(20);

async fn server(config: &str) -> NatsServer {
    NatsServer::builder()
        .config_text(config)
        .start()
        .await
        .unwrap()
}

async fn connects(config: &NatsConfig) -> bool {
    match connect_once(config, "test", PATIENCE).await {
        // A round trip: the server has let it in.
        Ok(client) => client.flush().await.is_ok(),
        Err(_) => false,
    }
}

fn written(dir: &TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn nats_passwords_are_checked() {
    let server = server("authorization { user: relay, password: right }").await;
    let dir = TempDir::new().unwrap();
    let with = |password: &str| NatsConfig {
        user: Some("relay".to_owned()),
        password_file: Some(SecretFile::new(written(
            &dir,
            password,
            &format!("{password}\n"),
        ))),
        ..NatsConfig::at(server.url())
    };
    assert!(connects(&with("right")).await);
    assert!(!connects(&with("wrong")).await);
    assert!(!connects(&NatsConfig::at(server.url())).await);
}

#[tokio::test]
async fn credentials_in_the_url_are_used_and_never_shown() {
    let server = server("authorization { user: relay, password: \"p@ss/word\" }").await;
    let with = |login: &str| {
        let url = server.url().replace("nats://", &format!("nats://{login}@"));
        NatsConfig::at(url)
    };
    let right = with("relay:p%40ss%2Fword");
    assert!(connects(&right).await);
    assert!(!connects(&with("relay:wrong")).await);
    let shown = eso_relay::config::effective(&right);
    assert!(
        shown.contains(&server.url()) && !shown.contains("p%40ss"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_variable_that_is_set_to_nothing_is_as_good_as_none() {
    let server = server("").await;
    let init = tokio::process::Command::new(env!("CARGO_BIN_EXE_eso-relay"))
        .args(["init", "--nats", &server.url()])
        .env("ESO_RELAY__NATS__DOMAIN", "")
        .env("ESO_RELAY__NATS__TOKEN_FILE", "")
        .output();
    let init = init.await.unwrap();
    let said = String::from_utf8_lossy(&init.stderr);
    assert!(init.status.success(), "{said}");
}

#[tokio::test]
async fn a_token_is_taken_from_a_file_or_from_the_environment() {
    let server = server("authorization { token: open-sesame }").await;
    let dir = TempDir::new().unwrap();
    let file = Some(SecretFile::new(written(&dir, "token", "open-sesame")));
    let from_file = NatsConfig {
        token_file: file,
        ..NatsConfig::at(server.url())
    };
    let token = Some(Secret::from("open-sesame".to_owned()));
    let from_environment = NatsConfig {
        token,
        ..NatsConfig::at(server.url())
    };
    assert!(connects(&from_file).await);
    assert!(connects(&from_environment).await);
}

#[tokio::test]
async fn an_nkey_proves_itself_by_its_seed() {
    let user = KeyPair::new_user();
    let server = server(&format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        user.public_key()
    ))
    .await;
    let dir = TempDir::new().unwrap();
    let with = |key: &KeyPair, name: &str| NatsConfig {
        nkey_seed_file: Some(SecretFile::new(written(&dir, name, &key.seed().unwrap()))),
        ..NatsConfig::at(server.url())
    };
    assert!(connects(&with(&user, "right")).await);
    assert!(!connects(&with(&KeyPair::new_user(), "other")).await);
}

#[tokio::test]
async fn a_credentials_file_of_an_operators_account_is_let_in() {
    let (operator, user) = (Operator::new(), KeyPair::new_user());
    let server = server(&operator.config(&[])).await;
    let credentials = operator.credentials(&user, None);
    let dir = TempDir::new().unwrap();
    let credentials_file = Some(written(&dir, "relay.creds", &credentials));
    assert!(
        connects(&NatsConfig {
            credentials_file,
            ..NatsConfig::at(server.url())
        })
        .await
    );
    assert!(!connects(&NatsConfig::at(server.url())).await);
}

#[tokio::test]
async fn tls_takes_our_own_ca_and_a_client_certificate() {
    let dir = TempDir::new().unwrap();
    certificates(dir.path());
    let path = |name: &str| dir.path().join(name);
    let server = server(&format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true, timeout: 5 }}",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    ))
    .await;
    let url = server.url().replace("nats://127.0.0.1", "tls://localhost");
    let full = TlsConfig {
        required: true,
        first: false,
        ca_file: Some(path("ca.pem")),
        cert_file: Some(path("client.pem")),
        key_file: Some(path("client.key")),
    };
    let anonymous = TlsConfig {
        cert_file: None,
        key_file: None,
        ..full.clone()
    };
    let stranger = TlsConfig {
        ca_file: None,
        ..full.clone()
    };
    let with = |tls| NatsConfig {
        tls,
        ..NatsConfig::at(url.clone())
    };
    assert!(connects(&with(full)).await);
    assert!(
        !connects(&with(anonymous)).await,
        "without a client certificate"
    );
    assert!(!connects(&with(stranger)).await, "without our CA");
}

fn certificates(dir: &Path) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, TlsKey::generate().unwrap()).unwrap();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    for name in ["server", "client"] {
        let key = TlsKey::generate().unwrap();
        let params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        std::fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_with_its_version() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    // What a server of that version says first; it answers pings.
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let info =
            r#"INFO {"server_id":"OLD","version":"2.9.25","max_payload":1048576,"headers":true}"#;
        write
            .write_all(format!("{info}\r\n").as_bytes())
            .await
            .unwrap();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with("PING") {
                write.write_all(b"PONG\r\n").await.unwrap();
            }
        }
    });
    let error = connect_once(&NatsConfig::at(url), "test", PATIENCE)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("2.9.25") && error.contains("2.10.4") && error.contains("upgrade"),
        "{error}"
    );
}

#[tokio::test]
async fn two_ways_at_once_are_refused_before_anything_is_sent() {
    let config = NatsConfig {
        user: Some("relay".to_owned()),
        password: Some("secret-word".to_owned().into()),
        token: Some("secret-word".to_owned().into()),
        ..NatsConfig::at("nats://127.0.0.1:1")
    };
    let error = format!(
        "{:#}",
        connect_once(&config, "test", PATIENCE).await.unwrap_err()
    );
    assert!(error.contains("only one of"), "{error}");
    assert!(!error.contains("secret-word"), "{error}");
}
