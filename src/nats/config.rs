//! The `nats:` section: servers, credentials and TLS.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use async_nats::ConnectOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    login::{Login, Seed},
    servers::{self, Servers},
};
use crate::config::{Secret, SecretFile};

/// A hung server is noticed after three missed pings; the client's own default takes three minutes.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// The `nats:` section. At most one of credentials file, nkey, user and password, token. Their files are read again
/// at every (re)connect.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NatsConfig {
    /// Default `nats://localhost:4222`; several servers of one cluster, separated by commas. Credentials
    /// in it (`nats://USER:PASSWORD@HOST`, percent-encoded) are used, and never shown.
    #[serde(serialize_with = "servers::serialize")]
    pub url: String,
    /// A `.creds` file (JWT and nkey seed).
    pub credentials_file: Option<PathBuf>,
    pub nkey_seed_file: Option<SecretFile>,
    /// From the environment only.
    #[schemars(skip)]
    pub nkey_seed: Option<Secret>,
    pub user: Option<String>,
    pub password_file: Option<SecretFile>,
    /// From the environment only.
    #[schemars(skip)]
    pub password: Option<Secret>,
    pub token_file: Option<SecretFile>,
    /// From the environment only.
    #[schemars(skip)]
    pub token: Option<Secret>,
    pub tls: TlsConfig,
    /// The JetStream domain, when the streams live behind a leaf node.
    pub domain: Option<String>,
    /// Default `_INBOX`; set it to give this client subscribe permissions of its own.
    pub inbox_prefix: Option<String>,
}

/// TLS towards NATS. Certificates are read again at every (re)connect.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Default `false`: TLS is used when the server asks for it or the URL says `tls://`.
    pub required: bool,
    /// The TLS handshake comes before the server's INFO.
    pub first: bool,
    /// The CA to trust; without it the system's roots.
    pub ca_file: Option<PathBuf>,
    /// A client certificate, with its key.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: "nats://localhost:4222".to_owned(),
            credentials_file: None,
            nkey_seed_file: None,
            nkey_seed: None,
            user: None,
            password_file: None,
            password: None,
            token_file: None,
            token: None,
            tls: TlsConfig::default(),
            domain: None,
            inbox_prefix: None,
        }
    }
}

impl NatsConfig {
    /// A connection to `url` without credentials.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    /// The JetStream API of this connection. `timeout` bounds each request and each wait for a PubAck.
    pub fn jetstream(
        &self,
        client: async_nats::Client,
        timeout: Duration,
    ) -> async_nats::jetstream::Context {
        let builder = async_nats::jetstream::ContextBuilder::new().timeout(timeout);
        match &self.domain {
            Some(domain) => builder.domain(domain).build(client),
            None => builder.build(client),
        }
    }

    /// The servers without credentials.
    pub(super) fn shown_url(&self) -> String {
        servers::shown(&self.url)
    }

    /// Where to connect to, and how, except for the credentials, which `options` has.
    pub(super) fn complete(
        &self,
        options: ConnectOptions,
    ) -> anyhow::Result<(Vec<String>, ConnectOptions)> {
        let tls = &self.tls;
        let mut options = options
            .ping_interval(PING_INTERVAL)
            .require_tls(tls.required);
        if tls.first {
            options = options.tls_first();
        }
        if let Some(ca) = &tls.ca_file {
            options = options.add_root_certificates(ca.clone());
        }
        match (&tls.cert_file, &tls.key_file) {
            (Some(cert), Some(key)) => {
                options = options.add_client_certificate(cert.clone(), key.clone());
            }
            (None, None) => {}
            _ => anyhow::bail!("set both `nats.tls.cert_file` and `nats.tls.key_file`, or neither"),
        }
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        Ok((Servers::parse(&self.url)?.addresses, options))
    }

    /// The credentials, as their files hold them now. Blocks on the file system.
    pub(super) fn login(&self) -> anyhow::Result<Option<Login>> {
        let nkey = secret(
            "nats.nkey_seed",
            self.nkey_seed.as_ref(),
            self.nkey_seed_file.as_ref(),
        )?;
        let password = secret(
            "nats.password",
            self.password.as_ref(),
            self.password_file.as_ref(),
        )?;
        let token = secret("nats.token", self.token.as_ref(), self.token_file.as_ref())?;
        let in_url = Servers::parse(&self.url)?.login;
        let ways = [
            self.credentials_file.is_some(),
            nkey.is_some(),
            self.user.is_some(),
            token.is_some(),
            in_url.is_some(),
        ];
        if ways.into_iter().filter(|set| *set).count() > 1 {
            anyhow::bail!(
                "`nats`: set only one of credentials_file, nkey_seed(_file), user, token(_file), and credentials in url"
            );
        }
        if let Some(path) = &self.credentials_file {
            return of_credentials_file(path).map(Some);
        }
        Ok(match (nkey, &self.user, password, token) {
            (Some(seed), ..) => {
                let seed =
                    Seed::parse(seed.expose()).with_context(|| match &self.nkey_seed_file {
                        Some(file) => {
                            format!("setting `nats.nkey_seed_file`: {}", file.path().display())
                        }
                        None => "setting `nats.nkey_seed`".to_owned(),
                    })?;
                Some(Login::Nkey(seed))
            }
            (_, Some(user), Some(password), _) => Some(Login::User {
                name: user.clone(),
                password,
            }),
            (_, Some(_), None, _) => {
                anyhow::bail!("`nats.user` needs `nats.password_file` or ESO_RELAY__NATS__PASSWORD")
            }
            (_, None, Some(_), _) => anyhow::bail!("`nats.password` needs `nats.user`"),
            (.., Some(token)) => Some(Login::Token(token)),
            _ => in_url,
        })
    }
}

fn of_credentials_file(path: &Path) -> anyhow::Result<Login> {
    let setting = "setting `nats.credentials_file`";
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{setting}: cannot read {shown}"))?;
    // It holds a secret, which is overwritten at the end.
    let text = Secret::from(text);
    Login::of_credentials(text.expose())
        .with_context(|| format!("{setting}: {shown} is not a credentials file"))
}

fn secret(
    setting: &str,
    value: Option<&Secret>,
    file: Option<&SecretFile>,
) -> anyhow::Result<Option<Secret>> {
    match (value, file) {
        (Some(_), Some(_)) => anyhow::bail!("set `{setting}` or `{setting}_file`, not both"),
        (Some(value), None) => Ok(Some(value.clone())),
        (None, Some(file)) => file
            .read()
            .map(Some)
            .with_context(|| format!("setting `{setting}_file`")),
        (None, None) => Ok(None),
    }
}
