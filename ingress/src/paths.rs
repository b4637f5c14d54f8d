//! The URL paths of the public port's endpoints, and how untidy paths are normalised.

use std::borrow::Cow;

use axum::http::{Uri, uri::PathAndQuery};
use eso_relay::config::ConfigError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The prefix of the paths of sources.
pub(crate) const HOOKS: &str = "/v1/hooks";
/// The path of [`crate::akeyless_trigger`].
pub(crate) const WEBHOOK: &str = "/webhook";

/// `/a/b`: segments of letters, digits and `-._~` (the unreserved characters of RFC 3986), without a slash
/// at the end; `/` alone; or empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlPath(String);

/// Both settings together, as the router needs them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    /// A prefix of every path that a proxy does not strip. Empty or `/`: none.
    pub base: UrlPath,
    /// The path of the health check. Empty: there is none.
    pub health: UrlPath,
}

impl TryFrom<String> for UrlPath {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        let wrong = |problem: &str| Err(ConfigError::Invalid(format!("`{text}` {problem}")));
        if text.is_empty() || text == "/" {
            return Ok(Self(text));
        }
        if !text.starts_with('/') {
            return wrong(&format!("is not a path: write `/{text}`"));
        }
        let tidy = tidied(&text).unwrap_or_else(|| text.clone());
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_segment =
            |segment: &str| !matches!(segment, "." | "..") && segment.bytes().all(fits);
        if tidy == "/" || tidy.split('/').skip(1).all(is_segment) {
            Ok(Self(tidy))
        } else {
            wrong(
                "is not a path of letters, digits, `-`, `.`, `_`, `~` and slashes, such as /eso-relay: leave the rest out",
            )
        }
    }
}

impl From<UrlPath> for String {
    fn from(path: UrlPath) -> Self {
        path.0
    }
}

impl JsonSchema for UrlPath {
    fn schema_name() -> Cow<'static, str> {
        "UrlPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(/[A-Za-z0-9._~-]*)*$" })
    }
}

impl UrlPath {
    /// A constant path.
    pub(crate) fn fixed(path: &'static str) -> Self {
        Self(path.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this path or lies below it.
    fn is_below(&self, path: &str) -> bool {
        let rest = self.0.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Paths {
    /// # Errors
    /// A setting conflicts with the ingress's own paths.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for (setting, path, such) in [
            ("base_path", &self.base, "/eso-relay"),
            ("health_path", &self.health, "/healthz"),
        ] {
            if path.is_below("/v1") || path.is_below(WEBHOOK) {
                return Err(ConfigError::Invalid(format!(
                    "`{setting}` ({}) conflicts with {HOOKS}/… and {WEBHOOK}: choose another, such as {such}",
                    path.as_str()
                )));
            }
        }
        Ok(())
    }

    /// The paths of an endpoint: without and with the base.
    pub(crate) fn of(&self, path: &str) -> Vec<String> {
        let mut found = vec![path.to_owned()];
        let base = self.base.as_str().trim_end_matches('/');
        if !base.is_empty() {
            let path = if path == "/" { "" } else { path };
            found.push(format!("{base}{path}"));
        }
        found
    }

    /// The paths of the health check, if it is enabled.
    pub(crate) fn of_health(&self) -> Vec<String> {
        match self.health.as_str() {
            "" => Vec::new(),
            path => self.of(path),
        }
    }
}

/// The path without empty segments: proxies and people double slashes and append one. `None` if there are none.
fn tidied(path: &str) -> Option<String> {
    if !path.contains("//") && (path == "/" || !path.ends_with('/')) {
        return None;
    }
    let mut tidy = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        tidy.push('/');
        tidy.push_str(segment);
    }
    if tidy.is_empty() {
        tidy.push('/');
    }
    Some(tidy)
}

/// `None` where it is tidy already.
pub(crate) fn tidy_uri(uri: &Uri) -> Option<Uri> {
    let mut tidy = tidied(uri.path())?;
    if let Some(query) = uri.query() {
        tidy.push('?');
        tidy.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(tidy).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<String, String> {
        UrlPath::try_from(text.to_owned())
            .map(String::from)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_is_taken_as_people_write_it() {
        for (written, taken) in [
            ("", ""),
            ("/", "/"),
            ("//", "/"),
            ("/eso-relay", "/eso-relay"),
            ("/eso-relay/", "/eso-relay"),
            ("/a//b/", "/a/b"),
            ("/a.b/c_d~1", "/a.b/c_d~1"),
        ] {
            assert_eq!(path(written).as_deref(), Ok(taken), "{written}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_what_to_write() {
        assert!(
            path("eso-relay")
                .unwrap_err()
                .ends_with("write `/eso-relay`")
        );
        for wrong in [
            "/a?b",
            "/{source}",
            "/a/*b",
            "/a b",
            "/../a",
            "/%2f",
            "/ä",
            "a/",
        ] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn neither_setting_may_hide_a_source() {
        let paths = |base, health| Paths {
            base: UrlPath::fixed(base),
            health: UrlPath::fixed(health),
        };
        for (base, health) in [
            ("", ""),
            ("/", "/"),
            ("/eso-relay", "/healthz"),
            ("/v10", "/v1x"),
        ] {
            assert!(paths(base, health).check().is_ok(), "{base} {health}");
        }
        for (base, health, setting) in [
            ("/v1", "", "base_path"),
            ("/v1/hooks", "", "base_path"),
            ("/webhook", "", "base_path"),
            ("", "/v1/hooks/prod", "health_path"),
            ("", "/webhook", "health_path"),
        ] {
            let error = paths(base, health).check().unwrap_err().to_string();
            assert!(error.contains(&format!("`{setting}`")), "{error}");
        }
    }

    #[test]
    fn an_endpoint_is_found_with_and_without_the_base() {
        let paths = |base| Paths {
            base: UrlPath::fixed(base),
            health: UrlPath::fixed("/"),
        };
        assert_eq!(paths("").of(WEBHOOK), ["/webhook"]);
        assert_eq!(paths("/").of(WEBHOOK), ["/webhook"]);
        assert_eq!(paths("/a").of(WEBHOOK), ["/webhook", "/a/webhook"]);
        assert_eq!(paths("/a").of_health(), ["/", "/a"]);
    }
}
