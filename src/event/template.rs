//! The ConfigMaps and Secrets of the cluster that the template of an ExternalSecret uses.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Match;

/// A ConfigMap or a Secret that a template names (`target.template.templateFrom[]`), in the namespace of
/// the ExternalSecret. ESO does not watch it. In an event's keys `ConfigMap/<name>` or `Secret/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateSource {
    kind: TemplateKind,
    name: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TemplateKind {
    ConfigMap,
    Secret,
}

/// The text is not a [`TemplateSource`] or [`TemplateKind`]. Does not quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the form ConfigMap/NAME or Secret/NAME")]
pub struct InvalidTemplateSource;

impl TemplateSource {
    /// The name is not empty and has no slash.
    pub fn new(kind: TemplateKind, name: &str) -> Result<Self, InvalidTemplateSource> {
        if name.is_empty() || name.contains('/') {
            return Err(InvalidTemplateSource);
        }
        let name = name.into();
        Ok(Self { kind, name })
    }
}

impl Match {
    /// Whether it names sources of templates, and nothing else.
    pub fn names_template_sources(&self) -> bool {
        let named = |key: &String| key.parse::<TemplateSource>().is_ok();
        matches!(self, Self::Exact(keys) if keys.as_slice().iter().all(named))
    }
}

impl TemplateKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

impl FromStr for TemplateSource {
    type Err = InvalidTemplateSource;

    fn from_str(text: &str) -> Result<Self, InvalidTemplateSource> {
        let (kind, name) = text.split_once('/').ok_or(InvalidTemplateSource)?;
        Self::new(kind.parse()?, name)
    }
}

impl FromStr for TemplateKind {
    type Err = InvalidTemplateSource;

    fn from_str(text: &str) -> Result<Self, InvalidTemplateSource> {
        let all = [Self::ConfigMap, Self::Secret];
        let found = all.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or(InvalidTemplateSource)
    }
}

impl fmt::Display for TemplateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl fmt::Display for TemplateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_kind_and_a_name() {
        for text in ["ConfigMap/app", "Secret/my-secret.v2"] {
            let source: TemplateSource = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
        }
        for text in [
            "",
            "app",
            "ConfigMap",
            "ConfigMap/",
            "/app",
            "configmap/app",
            "Pod/app",
            "Secret/a/b",
        ] {
            let refused = text.parse::<TemplateSource>();
            assert_eq!(refused, Err(InvalidTemplateSource), "{text}");
        }
    }
}
