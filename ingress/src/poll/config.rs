//! One entry of `polls:`.

use std::{path::PathBuf, time::Duration};

use eso_relay::{
    Slug,
    config::{ConfigError, SecretFile, duration},
    event::Settle,
};
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{auth, place};
use crate::TargetConfig;

/// A store whose versions are looked at: a source without HTTP.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PollConfig {
    /// One name space with `sources`.
    pub name: Slug,
    pub provider: PollProvider,
    /// The URL of the server, such as `https://vault.example.com:8200`.
    pub address: String,
    /// The host by which the clusters' stores name the server, where that is another one than in `address`. Default: that
    /// of `address`; empty: unknown, so that no store is left out for its host.
    #[serde(default)]
    pub host: Option<String>,
    /// Default: none is sent. A namespace of Vault Enterprise, HCP or OpenBao; each needs a poll of its own.
    #[serde(default)]
    pub namespace: Option<String>,
    #[serde(deserialize_with = "auth::one")]
    pub auth: PollAuthConfig,
    /// Default: the system's. CAs to trust besides these (PEM); read at the start.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Default `false`: trust any certificate. Whoever stands between gets the token.
    #[serde(default)]
    pub skip_verify: bool,
    /// Secrets, by the path of the API, such as `secret/data/app/db`; without `data` too.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Folders, such as `secret/data/app` or the whole mount `secret`, listed with all folders in them.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Default `true`: also the secrets of this server that the clusters read, as their consumers publish them.
    #[serde(default = "yes")]
    pub watch_list: bool,
    /// Default `60s`: from the end of one pass to the next, a tenth more or less.
    #[serde(default = "minute", with = "duration")]
    #[schemars(with = "duration::Written")]
    pub interval: Duration,
    /// Default `10s`: for an answer of the server.
    #[serde(default = "ten_seconds", with = "duration")]
    #[schemars(with = "duration::Written")]
    pub timeout: Duration,
    /// Default `false`: a secret that does not exist is a warning in the log instead of an error.
    #[serde(default)]
    pub ignore_missing: bool,
    /// What the events may reach: the tenancy boundary. Default: everything.
    #[serde(default)]
    pub target: Option<TargetConfig>,
    /// Refresh a second time after this delay, at most 10 min: where ESO reads from a standby that may be behind.
    /// Default: one refresh.
    #[serde(default)]
    #[schemars(with = "Option<duration::Written>")]
    pub settle: Option<Settle>,
}

/// Which store it is. The two have the same API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PollProvider {
    Vault,
    Openbao,
}

/// How the poller proves itself. It needs to read `MOUNT/metadata/*` alone, and for `prefixes` to list it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PollAuthConfig {
    /// A file with a token, such as an agent writes it; read again at each pass. It is not renewed here.
    TokenFile(SecretFile),
    Kubernetes(KubernetesLogin),
    Approle(AppRoleLogin),
    Jwt(JwtLogin),
}

/// The token of a service account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesLogin {
    pub role: String,
    /// Default `kubernetes`: where the auth method is mounted.
    #[serde(default = "kubernetes")]
    pub path: String,
    /// Default `/var/run/secrets/kubernetes.io/serviceaccount/token`; read at each login.
    #[serde(default = "service_account")]
    pub token_file: SecretFile,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppRoleLogin {
    /// Default `approle`: where the auth method is mounted.
    #[serde(default = "approle")]
    pub path: String,
    pub role_id: String,
    /// Read at each login.
    pub secret_id_file: SecretFile,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtLogin {
    /// Default `jwt`: where the auth method is mounted.
    #[serde(default = "jwt")]
    pub path: String,
    pub role: String,
    /// Read at each login.
    pub token_file: SecretFile,
}

fn yes() -> bool {
    true
}

pub(super) fn minute() -> Duration {
    Duration::from_secs(60)
}

pub(super) fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

pub(super) fn kubernetes() -> String {
    "kubernetes".to_owned()
}

fn approle() -> String {
    "approle".to_owned()
}

fn jwt() -> String {
    "jwt".to_owned()
}

pub(super) fn service_account() -> SecretFile {
    SecretFile::new("/var/run/secrets/kubernetes.io/serviceaccount/token")
}

impl PollProvider {
    pub(super) fn slug(self) -> Slug {
        let name = match self {
            Self::Vault => "vault",
            Self::Openbao => "openbao",
        };
        // OK because both are slugs.
        name.parse().expect("a slug")
    }
}

impl PollConfig {
    /// Checks the settings; reads no file. Errors name the poll.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.base().map_err(|problem| self.problem(&problem))?;
        for (setting, paths) in [("paths", &self.paths), ("prefixes", &self.prefixes)] {
            for path in paths {
                place::clean(path).map_err(|problem| {
                    self.problem(&format!(
                        "`{setting}`: `{}`: {problem}",
                        path.escape_default()
                    ))
                })?;
            }
        }
        if self.paths.is_empty() && self.prefixes.is_empty() && !self.watch_list {
            return Err(self.problem(
                "nothing to look at: name `paths` or `prefixes`, or leave `watch_list` on",
            ));
        }
        let namespace = self.namespace.as_deref().unwrap_or("-");
        if place::clean(namespace).is_err() {
            return Err(
                self.problem("`namespace` is no path of a namespace: leave it out for the root")
            );
        }
        let (role, path) = self.auth.names();
        if role.is_some_and(str::is_empty) || path.is_some_and(|path| place::clean(path).is_err()) {
            return Err(self.problem("`auth`: a role or path is empty or no path: correct it, or leave the path out for its default"));
        }
        Ok(())
    }

    /// Says what is easily overlooked.
    pub(crate) fn warn(&self) {
        let Ok(base) = self.base() else { return };
        let is_here =
            |host: &str| host == "localhost" || host == "[::1]" || host.starts_with("127.");
        if base.scheme() == "http" && !base.host_str().is_some_and(is_here) {
            warn!(poll = %self.name, "the token of this poll goes to its `address` unencrypted: use https");
        }
        if self.skip_verify {
            warn!(poll = %self.name, "this poll trusts any certificate (`skip_verify`): name the CA in `ca_file`");
        }
    }

    /// The server's URL.
    pub(super) fn base(&self) -> Result<Url, String> {
        let refuse = || {
            format!(
                "`address` is not a URL such as https://vault.example.com:8200, without user, password and query{}",
                if self.address.contains("://") {
                    ""
                } else {
                    ": it has no http:// or https://"
                }
            )
        };
        let url = Url::parse(&self.address).map_err(|_| refuse())?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if matches!(url.scheme(), "http" | "https") && url.has_host() && plain {
            Ok(url)
        } else {
            Err(refuse())
        }
    }

    /// The host in the scope of events, with its port unless that is the scheme's.
    pub(super) fn scope_host(&self) -> Option<String> {
        if let Some(host) = &self.host {
            return Some(host.clone()).filter(|host| !host.is_empty());
        }
        let url = self.base().ok()?;
        let host = url.host_str()?;
        Some(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }

    pub(crate) fn problem(&self, problem: &str) -> ConfigError {
        ConfigError::Invalid(format!("poll `{}`: {problem}", self.name))
    }
}

impl PollAuthConfig {
    /// The role and the mount of the auth method.
    fn names(&self) -> (Option<&str>, Option<&str>) {
        let (role, path) = match self {
            Self::TokenFile(_) => return (None, None),
            Self::Kubernetes(login) => (&login.role, &login.path),
            Self::Approle(login) => (&login.role_id, &login.path),
            Self::Jwt(login) => (&login.role, &login.path),
        };
        (Some(role), Some(path))
    }

    /// The file with what proves the poller.
    pub(super) fn file(&self) -> &SecretFile {
        match self {
            Self::TokenFile(file) => file,
            Self::Kubernetes(login) => &login.token_file,
            Self::Approle(login) => &login.secret_id_file,
            Self::Jwt(login) => &login.token_file,
        }
    }
}
