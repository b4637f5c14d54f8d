//! The `trace:` section, with the variables of OpenTelemetry where it says nothing.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::sampler::Sampler;
use crate::config::{ConfigError, Secret, SecretFile};

/// The path of the protocol.
const PATH: &str = "v1/traces";

/// The `trace:` section: where traces are sent to, by OTLP over HTTP. Without an endpoint there are none.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TraceConfig {
    /// The collector's receiver for OTLP over HTTP, such as `http://collector:4318`; a URL without a path gets
    /// `/v1/traces`. Default: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or `OTEL_EXPORTER_OTLP_ENDPOINT`, and without
    /// these no traces.
    pub endpoint: Option<String>,
    /// A file with headers for the collector, such as credentials: `Name: value`, one a line. It is read again for
    /// each request. Default: `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers_file: Option<SecretFile>,
    /// From `OTEL_EXPORTER_OTLP_HEADERS` only.
    #[serde(skip_deserializing)]
    #[schemars(skip)]
    pub headers: Option<Secret>,
    /// CAs to trust besides the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// The part of the traces that is recorded, 0 to 1, where the sender has not decided. Default: what
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say, else 1.
    pub sample: Option<f64>,
    /// The name of this service in its traces. Default: `OTEL_SERVICE_NAME`, else `eso-relay-ingress` or
    /// `eso-relay-consumer`.
    pub service_name: Option<String>,
    /// From `OTEL_RESOURCE_ATTRIBUTES` only.
    #[serde(skip)]
    pub(super) resource: Vec<(String, String)>,
    /// The names in `OTEL_TRACES_SAMPLER`, and its argument.
    #[serde(skip)]
    pub(super) sampler: Option<(String, f64)>,
}

impl TraceConfig {
    /// Takes from the environment what is not set; an empty variable is none.
    pub fn complete(&mut self, variable: impl Fn(&str) -> Option<String>) {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let base = || variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| below(&base));
        let whole = || variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        self.endpoint = self.endpoint.take().or_else(whole).or_else(base);
        if self.headers_file.is_none() {
            let headers = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS");
            let headers = headers.or_else(|| variable("OTEL_EXPORTER_OTLP_HEADERS"));
            self.headers = headers.map(Secret::from);
        }
        let resource = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        self.resource = pairs(&resource).collect();
        let mut resource = self.resource.iter();
        let named = resource.find(|(name, _)| name == "service.name");
        let named = named.map(|(_, value)| value.clone());
        let name = || variable("OTEL_SERVICE_NAME").or(named);
        self.service_name = self.service_name.take().or_else(name);
        let ratio = || variable("OTEL_TRACES_SAMPLER_ARG")?.trim().parse().ok();
        self.sampler = variable("OTEL_TRACES_SAMPLER")
            .map(|name| (name.trim().to_owned(), ratio().unwrap_or(1.0)));
    }

    /// Checks the settings without reading a file.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.url()?;
        if self.sample.is_some_and(|part| !(0.0..=1.0).contains(&part)) {
            return Err(ConfigError::Invalid(
                "`trace.sample` is the part of the traces to record: from 0 to 1".to_owned(),
            ));
        }
        Ok(())
    }

    /// Where to send to; `None`: nowhere.
    pub(super) fn url(&self) -> Result<Option<Url>, ConfigError> {
        let Some(endpoint) = &self.endpoint else {
            return Ok(None);
        };
        let refuse = |problem: &str| {
            Err(ConfigError::Invalid(format!(
                "`trace.endpoint` (or OTEL_EXPORTER_OTLP_ENDPOINT) {problem}"
            )))
        };
        let Ok(mut url) = endpoint.trim().parse::<Url>() else {
            return refuse("is no URL: write it as http://collector:4318");
        };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return refuse("must begin with http:// or https://: OTLP over gRPC is not spoken");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("holds credentials: put them into `trace.headers_file`");
        }
        if url.path() == "/" {
            url.set_path(PATH);
        }
        Ok(Some(url))
    }

    pub(super) fn sampler(&self) -> Sampler {
        let ratio = |ratio| Sampler {
            ratio,
            follows_parent: true,
        };
        match (self.sample, &self.sampler) {
            (Some(part), _) => ratio(part),
            (None, None) => ratio(1.0),
            (None, Some((name, part))) => Sampler::named(name, *part).unwrap_or_else(|| {
                warn!(sampler = name, "OTEL_TRACES_SAMPLER is none of always_on, always_off and traceidratio, with or without parentbased_; recording every trace");
                ratio(1.0)
            }),
        }
    }
}

/// The endpoint for traces below the one for all signals.
fn below(base: &str) -> String {
    format!("{}/{PATH}", base.trim().trim_end_matches('/'))
}

/// `name=value,name=value`, percent-encoded, as the variables of OpenTelemetry are written.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let decoded = |text: &str| {
        let text = percent_decode_str(text.trim()).decode_utf8_lossy();
        text.into_owned()
    };
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(move |(name, value)| (decoded(name), decoded(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> TraceConfig {
        let mut config = TraceConfig::default();
        config.complete(|name| {
            let mut variables = variables.iter();
            variables
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        });
        config
    }

    fn url(config: &TraceConfig) -> Option<String> {
        config.url().unwrap().map(|url| url.to_string())
    }

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        assert_eq!(url(&with(&[])), None);
        assert_eq!(url(&with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")])), None);
    }

    #[test]
    fn the_settings_come_before_the_variables_of_opentelemetry() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318/"),
            ("OTEL_SERVICE_NAME", "other"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc"),
        ];
        let config = with(&variables);
        assert_eq!(url(&config).unwrap(), "http://all:4318/v1/traces");
        assert_eq!(config.service_name.as_deref(), Some("other"));
        let half = Sampler::named("traceidratio", 0.5).unwrap();
        assert_eq!(config.sampler(), half);
        let shown = crate::config::effective(&config);
        assert!(shown.contains("[redacted]") && !shown.contains("abc"));

        let own: TraceConfig = serde_json::from_str(
            r#"{"endpoint": "https://own:4318", "sample": 0.1, "service_name": "ours"}"#,
        )
        .unwrap();
        let mut config = own;
        config.complete(|name| {
            let mut variables = variables.iter();
            variables
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(url(&config).unwrap(), "https://own:4318/v1/traces");
        assert_eq!(config.service_name.as_deref(), Some("ours"));
        let tenth = Sampler::named("parentbased_traceidratio", 0.1).unwrap();
        assert_eq!(config.sampler(), tenth);
    }

    #[test]
    fn the_endpoint_for_traces_is_taken_as_it_is() {
        let config = with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:1/otlp"),
        ]);
        assert_eq!(url(&config).unwrap(), "http://own:1/otlp");
        let config = with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318/otlp")]);
        assert_eq!(url(&config).unwrap(), "http://all:4318/otlp/v1/traces");
    }

    #[test]
    fn what_could_never_work_is_refused() {
        for (json, reason) in [
            (r#"{"endpoint": "collector:4318"}"#, "http://"),
            (r#"{"endpoint": "grpc://collector:4317"}"#, "gRPC"),
            (
                r#"{"endpoint": "http://me:secret@collector"}"#,
                "headers_file",
            ),
            (r#"{"sample": 1.5}"#, "trace.sample"),
        ] {
            let config: TraceConfig = serde_json::from_str(json).unwrap();
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(serde_json::from_str::<TraceConfig>(r#"{"headers": "a: b"}"#).is_err());
    }
}
