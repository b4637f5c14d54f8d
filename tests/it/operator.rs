//! A NATS operator with one account, whose users log in with credentials files.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nkeys::KeyPair;
use serde_json::{Value, json};

const ISSUED: i64 = 1_700_000_000;

pub(crate) struct Operator {
    own: KeyPair,
    account: KeyPair,
    /// JetStream asks for a system account in this mode.
    system: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Self {
        Self {
            own: KeyPair::new_operator(),
            account: KeyPair::new_account(),
            system: KeyPair::new_account(),
        }
    }

    /// For the server. The users in `revoked` are refused.
    pub(crate) fn config(&self, revoked: &[&KeyPair]) -> String {
        let limits = json!({ "subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "wildcards": true });
        let mut account = json!({ "type": "account", "version": 2, "limits": limits });
        let system = self.signed(&self.system, &account);
        for user in revoked {
            account["revocations"][user.public_key()] = (ISSUED + 1).into();
        }
        let account = self.signed(&self.account, &account);
        let operator = json!({ "type": "operator", "version": 2 });
        let operator = self.signed(&self.own, &operator);
        let (account_key, system_key) = (self.account.public_key(), self.system.public_key());
        format!(
            "operator: {operator}\nsystem_account: {system_key}\nresolver: MEMORY\n\
             resolver_preload {{ {account_key}: {account}\n {system_key}: {system} }}",
        )
    }

    /// The text of the user's file. `expiry`: in seconds since 1970.
    pub(crate) fn credentials(&self, user: &KeyPair, expiry: Option<i64>) -> String {
        let nats = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
        let jwt = jwt(&self.account, user, expiry, &nats);
        let seed = user.seed().unwrap();
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }

    fn signed(&self, subject: &KeyPair, nats: &Value) -> String {
        jwt(&self.own, subject, None, nats)
    }
}

/// The claims of `subject`, signed by `issuer` (NATS JWT, algorithm `ed25519-nkey`).
fn jwt(issuer: &KeyPair, subject: &KeyPair, expiry: Option<i64>, nats: &Value) -> String {
    let mut claims = json!({
        "jti": subject.public_key(), "iat": ISSUED, "iss": issuer.public_key(),
        "sub": subject.public_key(), "name": "lab", "nats": nats,
    });
    if let Some(expiry) = expiry {
        claims["exp"] = expiry.into();
    }
    let head = BASE64.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{head}.{}", BASE64.encode(claims.to_string()));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64.encode(signature))
}
