//! The store's API: metadata of secrets, lists of folders, and mounts. Never a value.

mod gate;
mod login;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eso_relay::{
    config::{ConfigError, Secret},
    requests,
};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url, header::RETRY_AFTER,
    redirect::Policy,
};
use serde::Deserialize;
use tokio::sync::Mutex;

pub(super) use self::gate::Fault;
use self::{gate::Gate, login::Session};
use super::{
    IN_FLIGHT,
    config::{PollAuthConfig, PollConfig},
    metrics::{Failure, Metrics},
    place::Place,
};

/// Of metadata with thousands of versions, or of a folder with 100,000 names.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// A request that the store keeps answering with 5xx is given up for the pass, if others are answered.
const ATTEMPTS: u32 = 3;

pub(super) struct Store {
    client: Client,
    base: Url,
    namespace: Option<String>,
    auth: PollAuthConfig,
    session: Mutex<Session>,
    gate: Gate,
}

/// The answer of a store that works.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<T> {
    Found(T),
    Missing,
    /// 403 even with a new token, or another refusal of this one request: its status.
    Denied(u16),
}

/// What mount a path lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) path: String,
    /// Version 2 of the KV engine.
    pub(super) versioned: bool,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct MountInfo {
    path: String,
    #[serde(rename = "type")]
    engine: String,
    #[serde(default)]
    options: Option<MountOptions>,
}

#[derive(Deserialize, Default)]
struct MountOptions {
    #[serde(default)]
    version: Option<String>,
}

#[derive(Deserialize)]
struct Names {
    keys: Vec<String>,
}

impl Store {
    /// Reads the CAs, and what the poller proves itself with, so that a start fails where a file is missing.
    pub(super) fn open(config: &PollConfig, metrics: Metrics) -> Result<Self, ConfigError> {
        let problem = |problem: String| config.problem(&problem);
        let base = config.base().map_err(problem)?;
        let proof = config.auth.file().read();
        proof.map_err(|error| config.problem(&format!("auth: {}", with_cause(&error))))?;
        let authorities = match &config.ca_file {
            None => Vec::new(),
            Some(path) => requests::authorities(path, "ca_file")
                .map_err(|error| config.problem(&with_cause(&error)))?,
        };
        eso_relay::nats::install_crypto();
        let client = Client::builder()
            .tls_certs_merge(authorities)
            .tls_danger_accept_invalid_certs(config.skip_verify)
            // A redirect would carry the token to another server; a proxy would see the address of an internal one.
            .redirect(Policy::none())
            .no_proxy()
            .timeout(config.timeout)
            .connect_timeout(config.timeout)
            .pool_max_idle_per_host(IN_FLIGHT)
            .user_agent("eso-relay")
            .build();
        let client = client.map_err(|error| {
            problem(format!("cannot make requests: {}", requests::cause(&error)))
        })?;
        Ok(Self {
            client,
            base,
            namespace: config.namespace.clone(),
            auth: config.auth.clone(),
            session: Mutex::default(),
            gate: Gate::new(config.name.clone(), metrics),
        })
    }

    /// `GET MOUNT/metadata/PATH`: the body.
    pub(super) async fn metadata(&self, place: &Place) -> Answer<Bytes> {
        self.ask(self.url(place.metadata())).await
    }

    /// The names in a folder; those of folders end in a slash.
    pub(super) async fn list(&self, folder: &Place) -> Answer<Vec<String>> {
        // Vault's own client asks for a folder with a slash at its end.
        let mut url = self.url(folder.metadata().chain([""]));
        // Vault knows a method LIST too, which not every proxy lets through.
        url.set_query(Some("list=true"));
        let answer = self.ask(url).await;
        answer.read(|Names { keys }| keys)
    }

    /// The mount of a path, asked by that of its metadata, which the policy allows.
    pub(super) async fn mount(&self, place: &Place) -> Answer<Mount> {
        let parts = ["sys", "internal", "ui", "mounts"].into_iter();
        let answer = self.ask(self.url(parts.chain(place.metadata()))).await;
        answer.read(|info: MountInfo| {
            let version = info.options.unwrap_or_default().version;
            Mount {
                path: info.path.trim_matches('/').to_owned(),
                versioned: info.engine == "kv" && version.as_deref() == Some("2"),
            }
        })
    }

    /// Waits as long as the store does not work.
    async fn ask(&self, url: Url) -> Answer<Bytes> {
        let (mut attempts, answers) = (0, self.gate.answers());
        loop {
            let epoch = self.gate.pass().await;
            match self.attempt(&url).await {
                Ok(answer) => {
                    self.gate.works(epoch);
                    return answer;
                }
                Err(Failed::Store(fault)) => self.gate.close(epoch, &fault),
                Err(Failed::Status(status, fault)) => {
                    attempts += 1;
                    if attempts >= ATTEMPTS && self.gate.answers() > answers {
                        return Answer::Denied(status);
                    }
                    self.gate.close(epoch, &fault);
                }
            }
        }
    }

    async fn attempt(&self, url: &Url) -> Result<Answer<Bytes>, Failed> {
        let token = self.token().await?;
        let get = |secret: &Secret| {
            let request = self.request(Method::GET, url.clone(), Some(secret));
            self.send(request)
        };
        let (mut status, mut body) = get(&token.secret).await?;
        if status == StatusCode::FORBIDDEN
            && let Some(token) = self.token_after(&token).await?
        {
            (status, body) = get(&token.secret).await?;
        }
        match status {
            StatusCode::OK => Ok(Answer::Found(body)),
            StatusCode::NOT_FOUND => Ok(Answer::Missing),
            status if status.is_client_error() => Ok(Answer::Denied(status.as_u16())),
            status => Err(Failed::Status(status.as_u16(), unreachable(status))),
        }
    }

    /// Below `v1`.
    fn url<'a>(&self, parts: impl Iterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(parts);
        }
        url
    }

    fn request(&self, method: Method, url: Url, token: Option<&Secret>) -> RequestBuilder {
        // Agents and proxies may ask for it, so that no browser is led to call them.
        let mut request = self
            .client
            .request(method, url)
            .header("X-Vault-Request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        match token {
            Some(token) => request.header("X-Vault-Token", token.expose()),
            None => request,
        }
    }

    /// An error where no other request would do either.
    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Bytes), Fault> {
        let answer = request.send().await.map_err(away)?;
        let status = answer.status();
        let busy = |reason, problem: &str| Fault {
            reason,
            problem: problem.to_owned(),
            retry_after: retry_after(&answer),
        };
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(busy(
                    Failure::Throttled,
                    "it asks for fewer requests (status 429)",
                ));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                let problem = "it is sealed, or has no leader (status 503)";
                return Err(busy(Failure::Sealed, problem));
            }
            _ => {}
        }
        Ok((status, whole(answer).await?))
    }
}

/// Why a request was not answered.
enum Failed {
    Store(Fault),
    /// A status that may concern this request alone.
    Status(u16, Fault),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Store(fault)
    }
}

impl Answer<Bytes> {
    /// An answer that is not of the API counts as a refusal.
    fn read<T, D: for<'de> Deserialize<'de>>(self, read: impl FnOnce(D) -> T) -> Answer<T> {
        match self {
            Self::Found(body) => match serde_json::from_slice::<Data<D>>(&body) {
                Ok(answer) => Answer::Found(read(answer.data)),
                Err(_) => Answer::Denied(StatusCode::OK.as_u16()),
            },
            Self::Missing => Answer::Missing,
            Self::Denied(status) => Answer::Denied(status),
        }
    }
}

async fn whole(mut answer: Response) -> Result<Bytes, Fault> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Fault {
                reason: Failure::Unreachable,
                problem: format!("its answer is larger than {MAX_ANSWER_BYTES} bytes"),
                retry_after: None,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// In seconds; a date is not read.
fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn unreachable(status: StatusCode) -> Fault {
    Fault {
        reason: Failure::Unreachable,
        problem: format!("it answers with status {}", status.as_u16()),
        retry_after: None,
    }
}

fn away(error: reqwest::Error) -> Fault {
    let problem = if error.is_timeout() {
        "no answer in time (setting `timeout`)".to_owned()
    } else if requests::is_untrusted(&error) {
        "its certificate is of no CA that is trusted here (setting `ca_file`)".to_owned()
    } else {
        requests::cause(&error.without_url())
    };
    Fault {
        reason: Failure::Unreachable,
        problem,
        retry_after: None,
    }
}

fn with_cause(error: &ConfigError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
