//! What the API server is given to know its users by, and what they are given to reach it.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kube::config::Kubeconfig;
use rcgen::KeyPair;
use serde_json::json;

/// Files in the directory of one API server.
pub(super) struct Credentials {
    admin_token: String,
    pub(super) tokens: PathBuf,
    pub(super) signing_key: PathBuf,
    pub(super) public_key: PathBuf,
}

impl Credentials {
    pub(super) fn write(dir: &Path) -> anyhow::Result<Self> {
        let this = Self {
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
    pub(super) fn kubeconfig(
        &self,
        url: &str,
        authority: &[u8],
        user: Option<&str>,
    ) -> anyhow::Result<Kubeconfig> {
        let mut login = json!({ "token": self.admin_token });
        if let Some(user) = user {
            login["as"] = json!(user);
        }
        Ok(serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{ "name": "lab", "cluster": {
                "server": url,
                "certificate-authority-data": BASE64.encode(authority),
            }}],
            "users": [{ "name": "lab", "user": login }],
            "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "lab" } }],
        }))?)
    }
}
