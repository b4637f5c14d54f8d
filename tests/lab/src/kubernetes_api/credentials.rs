//! What the API server is given to know its users by, and what they are given to reach it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use rcgen::KeyPair;
use serde_json::json;

/// Files in the directory of one API server.
pub(super) struct Credentials {
    url: String,
    /// The server's own, with the authority that signed it; it makes it when it starts.
    certificate: PathBuf,
    admin_token: String,
    pub(super) tokens: PathBuf,
    pub(super) signing_key: PathBuf,
    pub(super) public_key: PathBuf,
}

impl Credentials {
    pub(super) fn write(dir: &Path, port: u16) -> anyhow::Result<Self> {
        let this = Self {
            url: format!("https://127.0.0.1:{port}"),
            certificate: dir.join("apiserver.crt"),
            admin_token: format!("{:032x}", fastrand::u128(..)),
            tokens: dir.join("tokens.csv"),
            signing_key: dir.join("service-account.key"),
            public_key: dir.join("service-account.pub"),
        };
        let admin = format!("{},admin,admin,\"system:masters\"\n", this.admin_token);
        std::fs::write(&this.tokens, admin)?;
        let pair = KeyPair::generate()?;
        std::fs::write(&this.signing_key, pair.serialize_pem())?;
        std::fs::write(&this.public_key, pair.public_key_pem())?;
        Ok(this)
    }

    /// The administrator's kubeconfig; with `user`, one that acts as this user and no more.
    pub(super) fn kubeconfig(&self, user: Option<&str>) -> anyhow::Result<Kubeconfig> {
        let authority = std::fs::read(&self.certificate);
        let authority = authority.context("kube-apiserver has no certificate yet")?;
        let mut login = json!({ "token": self.admin_token });
        if let Some(user) = user {
            login["as"] = json!(user);
        }
        Ok(serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{ "name": "lab", "cluster": {
                "server": self.url,
                "certificate-authority-data": BASE64.encode(authority),
            }}],
            "users": [{ "name": "lab", "user": login }],
            "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "lab" } }],
        }))?)
    }

    /// A client with that kubeconfig.
    pub(super) async fn client(&self, user: Option<&str>) -> anyhow::Result<Client> {
        eso_relay::nats::install_crypto();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(self.kubeconfig(user)?, &options).await?;
        Ok(Client::try_from(config)?)
    }
}
