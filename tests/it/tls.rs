//! An ingress that ends TLS itself.

use std::{fs, path::Path};

use eso_relay_lab::{
    installation::{BASIC_PASSWORD, BASIC_USER, Hub, READY, akeyless},
    wait,
};
use rcgen::{CertifiedKey, KeyPair};
use reqwest::{Certificate, Client, Identity, StatusCode};

type Pair = CertifiedKey<KeyPair>;

fn pair() -> Pair {
    named("127.0.0.1")
}

fn named(name: &str) -> Pair {
    rcgen::generate_simple_self_signed([name.to_owned()]).unwrap()
}

/// As Kubernetes does it: written aside, then moved over the old one.
fn write(dir: &Path, pair: &Pair) {
    for (name, text) in [
        ("tls.crt", pair.cert.pem()),
        ("tls.key", pair.signing_key.serialize_pem()),
    ] {
        fs::write(dir.join("aside"), text).unwrap();
        fs::rename(dir.join("aside"), dir.join(name)).unwrap();
    }
}

/// Asks over a new connection that trusts nothing but this certificate.
async fn ask(url: &str, trusted: &Pair) -> reqwest::Result<StatusCode> {
    let trusted = Certificate::from_pem(trusted.cert.pem().as_bytes())?;
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .build()?;
    let request = client
        .post(format!("{url}/v1/hooks/akeyless"))
        .basic_auth(BASIC_USER, Some(BASIC_PASSWORD));
    let body = serde_json::json!([akeyless(0, "/prod/db")]).to_string();
    Ok(request.body(body).send().await?.status())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_renew_without_restart() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (old, new) = (pair(), pair());
    write(hub.secrets(), &old);
    let dir = hub.secrets().display();
    let tls = format!("tls: {{ cert_file: '{dir}/tls.crt', key_file: '{dir}/tls.key' }}");
    let mut ingress = hub.ingress_with(&tls).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let url = ingress.url().replace("http://", "https://");
    assert_eq!(ask(&url, &old).await.unwrap(), StatusCode::ACCEPTED);
    ask(&ingress.url(), &old).await.unwrap_err();
    ask(&url, &new).await.unwrap_err();

    write(hub.secrets(), &new);
    wait::until_ok("the new certificate", READY, || ask(&url, &new))
        .await
        .unwrap();
    ask(&url, &old).await.unwrap_err();
    let log = ingress.logs();
    assert!(
        !log.contains("PRIVATE KEY") && !log.contains("panicked"),
        "{log}"
    );
}

/// Shows this certificate, if any, to a source that wants nothing else.
async fn show(url: &str, trusted: &Pair, own: Option<&Pair>) -> StatusCode {
    let trusted = Certificate::from_pem(trusted.cert.pem().as_bytes()).unwrap();
    let mut client = Client::builder().no_proxy().tls_certs_only([trusted]);
    if let Some(own) = own {
        let pem = own.signing_key.serialize_pem() + &own.cert.pem();
        client = client.identity(Identity::from_pem(pem.as_bytes()).unwrap());
    }
    let post = client
        .build()
        .unwrap()
        .post(format!("{url}/v1/hooks/gateway"));
    let body = serde_json::json!([akeyless(0, "/prod/db")]).to_string();
    post.body(body).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_client_certificates_are_accepted() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (server, gateway, other) = (pair(), named("gateway.example"), named("other.example"));
    write(hub.secrets(), &server);
    let authorities = gateway.cert.pem() + &other.cert.pem();
    fs::write(hub.secrets().join("clients.crt"), authorities).unwrap();
    let dir = hub.secrets().display();
    let more = format!(
        "- {{ name: gateway, format: akeyless, auth: {{ mtls: {{ san: gateway.example }} }} }}\n\
         tls: {{ cert_file: '{dir}/tls.crt', key_file: '{dir}/tls.key', client_ca_file: '{dir}/clients.crt' }}"
    );
    let mut ingress = hub.ingress_with(&more).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let url = ingress.url().replace("http://", "https://");
    for (own, status) in [
        (Some(&gateway), StatusCode::ACCEPTED),
        (Some(&other), StatusCode::UNAUTHORIZED),
        (None, StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(show(&url, &server, own).await, status);
    }
}
