//! What the API server is given to know its users by, and what they are given to reach it.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kube::config::Kubeconfig;
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING as P256, EcdsaKeyPair, KeyPair as _},
};
use serde_json::json;

/// Before the 65 bytes of a P-256 public key, its `SubjectPublicKeyInfo` (RFC 5480).
const P256_PUBLIC: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Files in the directory of one API server.
pub(super) struct Credentials {
    admin_token: String,
    pub(super) tokens: PathBuf,
    pub(super) signing_key: PathBuf,
    pub(super) public_key: PathBuf,
}

impl Credentials {
    pub(super) fn write(dir: &Path) -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let mut token = [0; 24];
        random
            .fill(&mut token)
            .map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
        let this = Self {
            admin_token: BASE64.encode(token),
            tokens: dir.join("tokens.csv"),
            signing_key: dir.join("service-account.key"),
            public_key: dir.join("service-account.pub"),
        };
        let admin = format!("{},admin,admin,\"system:masters\"\n", this.admin_token);
        std::fs::write(&this.tokens, admin)?;

        let invalid = |_| anyhow::anyhow!("cannot make a key for service accounts");
        let private = EcdsaKeyPair::generate_pkcs8(&P256, &random).map_err(invalid)?;
        let pair = EcdsaKeyPair::from_pkcs8(&P256, private.as_ref(), &random)
            .map_err(|error| anyhow::anyhow!("the key just made is refused: {error}"))?;
        let public = [&P256_PUBLIC, pair.public_key().as_ref()].concat();
        std::fs::write(&this.signing_key, pem("PRIVATE KEY", private.as_ref()))?;
        std::fs::write(&this.public_key, pem("PUBLIC KEY", &public))?;
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

fn pem(label: &str, der: &[u8]) -> String {
    let body = BASE64.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}
