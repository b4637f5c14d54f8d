//! The collector, and how to reach it.

use std::{path::Path, time::Duration};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::InstrumentationScope,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};

use super::{
    config::{TraceConfig, pairs},
    span::attribute,
};
use crate::{
    config::{ConfigError, SecretFile, in_time},
    requests::{authorities, cause},
};

/// For one request, its answer included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of an answer that are read.
const LONGEST_ANSWER: usize = 64 * 1024;

pub(super) struct Destination {
    url: Url,
    client: Client,
    headers: HeaderMap,
    headers_file: Option<SecretFile>,
    resource: Resource,
}

/// Why the collector has not taken a batch. Never quotes its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("it cannot be reached: {0}")]
    Away(String),
    #[error("it answered with status {0}")]
    Status(u16),
    /// The file with its headers hangs.
    #[error("{0}")]
    Unread(String),
    #[error(transparent)]
    Headers(#[from] ConfigError),
}

impl Destination {
    /// Reads the files that the configuration names. `None`: there are no traces.
    pub(super) fn of(config: &TraceConfig, daemon: &str) -> Result<Option<Self>, ConfigError> {
        config.check()?;
        let Some(url) = config.url()? else {
            return Ok(None);
        };
        let headers = match (&config.headers_file, &config.headers) {
            (Some(file), _) => read(file)?,
            (None, Some(headers)) => {
                let pairs = pairs(headers.expose());
                of_pairs(pairs.map(Some), "OTEL_EXPORTER_OTLP_HEADERS")?
            }
            (None, None) => HeaderMap::new(),
        };
        Ok(Some(Self {
            client: client(&url, config.ca_file.as_deref())?,
            url,
            headers,
            headers_file: config.headers_file.clone(),
            resource: resource(config, daemon),
        }))
    }

    /// For the log.
    pub(super) fn shown(&self) -> &str {
        self.url.as_str()
    }

    /// Sends a batch once. Returns how many of its spans the collector rejects.
    pub(super) async fn send(&self, spans: &[Span]) -> Result<u64, Refused> {
        let headers = match &self.headers_file {
            Some(file) => {
                let file = file.clone();
                let headers = in_time("`trace.headers_file`", move || read(&file)).await;
                headers.map_err(|error| Refused::Unread(format!("{error:#}")))??
            }
            None => self.headers.clone(),
        };
        let request = self
            .client
            .post(self.url.clone())
            .headers(headers)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(self.encode(spans));
        let answer = request.send().await.map_err(away)?;
        match answer.status() {
            status if status.is_success() => Ok(rejected(answer).await),
            status => Err(Refused::Status(status.as_u16())),
        }
    }

    fn encode(&self, spans: &[Span]) -> Vec<u8> {
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let spans = ScopeSpans {
            scope: Some(scope),
            spans: spans.to_vec(),
            ..ScopeSpans::default()
        };
        let spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![spans],
            ..ResourceSpans::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![spans],
        };
        request.encode_to_vec()
    }
}

impl Refused {
    /// Whether the same batch may be taken later: what the specification of OTLP names, and no answer.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Self::Away(_) | Self::Unread(_) | Self::Headers(_) => true,
            Self::Status(status) => [
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ]
            .iter()
            .any(|temporary| temporary.as_u16() == *status),
        }
    }
}

fn client(url: &Url, ca_file: Option<&Path>) -> Result<Client, ConfigError> {
    crate::nats::install_crypto();
    let client = Client::builder()
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("eso-relay/", env!("CARGO_PKG_VERSION")));
    let client = match ca_file {
        Some(path) => client.tls_certs_merge(authorities(path, "trace.ca_file")?),
        // An image without CA certificates sends without TLS all the same.
        None if url.scheme() == "http" => client.tls_certs_only([]),
        None => client,
    };
    client.build().map_err(|error| {
        ConfigError::Invalid(format!(
            "cannot send traces over TLS: {}; install the system's CA certificates or set `trace.ca_file`",
            cause(&error)
        ))
    })
}

/// `Name: value`, one a line.
fn read(file: &SecretFile) -> Result<HeaderMap, ConfigError> {
    let text = file.read()?;
    let lines = text.expose().lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    of_pairs(pairs, "trace.headers_file")
}

fn of_pairs(
    pairs: impl Iterator<Item = Option<(String, String)>>,
    setting: &str,
) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (at, pair) in (1..).zip(pairs) {
        let header = pair.and_then(|(name, value)| {
            let name: HeaderName = name.parse().ok()?;
            let mut value: HeaderValue = value.parse().ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        // Quotes nothing: it may be a credential.
        let (name, value) = header.ok_or_else(|| {
            ConfigError::Invalid(format!("`{setting}`: header {at} is none: write `Name: value`, in the variable `name=value`"))
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn resource(config: &TraceConfig, daemon: &str) -> Resource {
    let name = config.service_name.as_deref().unwrap_or(daemon);
    let instance = format!("{:016x}", fastrand::u64(..));
    let own = [
        ("service.name", name),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", &instance),
    ];
    let mut attributes: Vec<_> = own
        .iter()
        .map(|(name, value)| attribute(name, *value))
        .collect();
    // What the environment says of the service is not replaced, but its name.
    for (name, value) in &config.resource {
        let known = attributes.iter().position(|it| it.key == *name);
        match known {
            Some(0) => {}
            Some(at) => attributes[at] = attribute(name, value.as_str()),
            None => attributes.push(attribute(name, value.as_str())),
        }
    }
    Resource {
        attributes,
        ..Resource::default()
    }
}

/// How many spans of a batch that was taken are rejected.
async fn rejected(mut answer: Response) -> u64 {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return 0;
        }
        body.extend_from_slice(&chunk);
    }
    let answer = ExportTraceServiceResponse::decode(body.as_slice()).unwrap_or_default();
    let rejected = answer.partial_success.unwrap_or_default().rejected_spans;
    u64::try_from(rejected).unwrap_or(0)
}

fn away(error: reqwest::Error) -> Refused {
    if error.is_timeout() {
        return Refused::Away(format!("no answer within {TIMEOUT:?}"));
    }
    Refused::Away(cause(&error.without_url()))
}
