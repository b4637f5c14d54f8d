//! Credentials change while the ingress runs.

use std::{fs, os::unix::fs::symlink, path::Path};

use eso_relay_lab::{
    daemon::Daemon,
    installation::{Hub, READY, Webhooks, send},
    wait,
};
use reqwest::{RequestBuilder, StatusCode};
use ring::hmac;
use serde_json::json;

const SCHEMES: [Scheme; 3] = [Scheme::Basic, Scheme::Bearer, Scheme::Hmac];

#[derive(Clone, Copy)]
enum Scheme {
    Basic,
    Bearer,
    Hmac,
}

impl Scheme {
    fn source(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::Hmac => "hmac",
        }
    }

    /// The `auth` of a source with these files.
    fn yaml(self, files: &str) -> String {
        match self {
            Self::Basic => format!("basic: {{ username: eso, password_file: {files} }}"),
            Self::Bearer => format!("bearer: {{ token_file: {files} }}"),
            Self::Hmac => format!("hmac-sha256: {{ header: x-signature, secret_file: {files} }}"),
        }
    }

    fn sign(self, request: RequestBuilder, body: &str, secret: &str) -> RequestBuilder {
        match self {
            Self::Basic => request.basic_auth("eso", Some(secret)),
            Self::Bearer => request.bearer_auth(secret),
            Self::Hmac => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                let tag = hmac::sign(&key, body.as_bytes());
                let bytes = tag.as_ref().iter();
                let hex = bytes.fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
                request.header("x-signature", hex)
            }
        }
    }
}

/// An ingress with one source for each scheme; each reads `files` of the hub's directory.
async fn ingress(hub: &Hub, files: &[&str]) -> (Daemon, Webhooks) {
    let files: Vec<_> = files.iter().map(|it| hub.secrets().join(it)).collect();
    let files = json!(files).to_string();
    let sources: Vec<_> = SCHEMES
        .iter()
        .map(|scheme| {
            let (name, auth) = (scheme.source(), scheme.yaml(&files));
            format!(
                "- {{ name: {name}, format: generic, auth: {{ {auth} }}, mapping: {{ keys: /key }} }}\n"
            )
        })
        .collect();
    let url = hub.nats.url();
    let yaml = format!("nats: {{ url: '{url}' }}\nsources:\n{}", sources.concat());
    let mut ingress = Daemon::ingress().config(yaml).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    (ingress, webhooks)
}

async fn answer(webhooks: &Webhooks, scheme: Scheme, secret: &str) -> StatusCode {
    let body = json!({ "key": "prod/db" }).to_string();
    let request = webhooks.post(&format!("/v1/hooks/{}", scheme.source()));
    let request = scheme.sign(request, &body, secret).body(body);
    send(request).await.unwrap().status
}

/// Waits until `secret` gets the answer by every scheme.
async fn wait_answer(webhooks: &Webhooks, secret: &str, expected: StatusCode) {
    for scheme in SCHEMES {
        let what = format!("{expected} for {secret:?} by {}", scheme.source());
        wait::until_ok(what, READY, || async {
            let status = answer(webhooks, scheme, secret).await;
            (status == expected).then_some(()).ok_or(status)
        })
        .await
        .unwrap();
    }
}

async fn accepts(webhooks: &Webhooks, secret: &str) {
    wait_answer(webhooks, secret, StatusCode::ACCEPTED).await;
}

async fn refuses(webhooks: &Webhooks, secret: &str) {
    wait_answer(webhooks, secret, StatusCode::UNAUTHORIZED).await;
}

/// As editors and operators do it: written aside, then moved over the old one.
fn replace(path: &Path, secret: &str) {
    let aside = path.with_extension("aside");
    fs::write(&aside, secret).unwrap();
    fs::rename(aside, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_rotate_without_restart() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (first, second) = (hub.secrets().join("first"), hub.secrets().join("second"));
    replace(&first, "old");
    replace(&second, "spare");
    let (ingress, webhooks) = ingress(&hub, &["first", "second"]).await;
    accepts(&webhooks, "old").await;
    accepts(&webhooks, "spare").await;
    refuses(&webhooks, "new").await;
    for source in SCHEMES.map(Scheme::source) {
        for slot in ["0", "1"] {
            let labels = [("source", source), ("slot", slot)];
            let uses = "eso_relay_ingress_credential_uses_total";
            assert_eq!(ingress.count(uses, &labels).await.unwrap(), 1, "{labels:?}");
            let changed = "eso_relay_ingress_credential_changed_timestamp_seconds";
            assert!(ingress.count(changed, &labels).await.unwrap() > 1_700_000_000);
        }
    }

    replace(&second, "new");
    accepts(&webhooks, "new").await;
    for scheme in SCHEMES {
        let old = answer(&webhooks, scheme, "old").await;
        assert_eq!(old, StatusCode::ACCEPTED, "the old one was not removed");
    }
    refuses(&webhooks, "spare").await;

    fs::remove_file(&first).unwrap();
    refuses(&webhooks, "old").await;
    for scheme in SCHEMES {
        assert_eq!(answer(&webhooks, scheme, "new").await, StatusCode::ACCEPTED);
    }
    assert!(!ingress.logs().contains("panicked"), "{}", ingress.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn mounted_secrets_rotate() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    // As the kubelet does it: a new directory, and one link that is swapped.
    let mount = |version: &str, secret: &str| {
        let root = hub.secrets();
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("credential"), secret).unwrap();
        symlink(version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    mount("..1", "same-length-1\n");
    symlink("..data/credential", hub.secrets().join("credential")).unwrap();
    let (_ingress, webhooks) = ingress(&hub, &["credential"]).await;
    accepts(&webhooks, "same-length-1").await;

    mount("..2", "same-length-2\n");
    fs::remove_dir_all(hub.secrets().join("..1")).unwrap();
    accepts(&webhooks, "same-length-2").await;
    refuses(&webhooks, "same-length-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_credential_file_is_ignored() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let file = hub.secrets().join("only");
    replace(&file, "kept");
    let (ingress, webhooks) = ingress(&hub, &["only"]).await;
    accepts(&webhooks, "kept").await;

    fs::write(&file, "").unwrap();
    ingress
        .wait_log("the previous secret stays valid", READY)
        .await
        .unwrap();
    for scheme in SCHEMES {
        let status = answer(&webhooks, scheme, "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", scheme.source());
    }
    accepts(&webhooks, "kept").await;

    fs::write(&file, "next").unwrap();
    accepts(&webhooks, "next").await;
    refuses(&webhooks, "kept").await;
}
