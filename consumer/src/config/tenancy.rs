//! The section `tenancy:`.

use anyhow::ensure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KesConfig, KubernetesConfig};
use crate::matching::tenancy::Tenancy;

/// Which objects a namespace permits, by annotations of the namespace, as kubernetes-external-secrets reads them. It
/// keeps eso-relay from refreshing an object, and not ESO from reading for it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenancyConfig {
    /// The objects that are held to it. Not with `kubernetes.namespaces`, as namespaces are not listed then. Default:
    /// `kes` where `kes.enabled` is set, else `off`.
    pub namespace_annotations: Option<NamespaceAnnotations>,
    /// The annotation whose regular expression every key and path must fit; without it all do. Default
    /// `externalsecrets.kubernetes-client.io/permitted-key-name`.
    pub names: String,
    /// The annotation whose regular expression the role must fit; without it all do. Default
    /// `iam.amazonaws.com/permitted`.
    pub roles: String,
    /// Whether a namespace without these annotations permits nothing, as with `ENFORCE_NAMESPACE_ANNOTATIONS`.
    /// Default `false`.
    pub enforce: bool,
}

/// The objects that the annotations of their namespace may exclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceAnnotations {
    /// None.
    Off,
    /// Those of KES, which refuses them too.
    Kes,
    /// Also ExternalSecrets of ESO, which reads for them all the same.
    All,
}

impl Default for TenancyConfig {
    fn default() -> Self {
        Self {
            namespace_annotations: None,
            names: "externalsecrets.kubernetes-client.io/permitted-key-name".to_owned(),
            roles: "iam.amazonaws.com/permitted".to_owned(),
            enforce: false,
        }
    }
}

impl TenancyConfig {
    pub(super) fn check(&self, kubernetes: &KubernetesConfig) -> anyhow::Result<()> {
        let asked = self.enforce
            || matches!(
                self.namespace_annotations,
                Some(NamespaceAnnotations::Kes | NamespaceAnnotations::All)
            );
        ensure!(
            !asked || kubernetes.namespaces.is_empty(),
            "`tenancy` needs the annotations of namespaces, which are not listed with `kubernetes.namespaces`"
        );
        for (setting, name) in [("names", &self.names), ("roles", &self.roles)] {
            ensure!(
                !name.is_empty(),
                "`tenancy.{setting}` must name an annotation"
            );
        }
        Ok(())
    }

    /// `None` where no object is held to it.
    pub(crate) fn rule(&self, kes: &KesConfig, kubernetes: &KubernetesConfig) -> Option<Tenancy> {
        let default = if kes.enabled && kubernetes.namespaces.is_empty() {
            NamespaceAnnotations::Kes
        } else {
            NamespaceAnnotations::Off
        };
        let of_eso = match self.namespace_annotations.unwrap_or(default) {
            NamespaceAnnotations::Off => return None,
            NamespaceAnnotations::Kes => false,
            NamespaceAnnotations::All => true,
        };
        Some(Tenancy {
            of_eso,
            names: self.names.clone(),
            roles: self.roles.clone(),
            enforce: self.enforce,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::ConsumerConfig;

    fn parse(json: &str) -> ConsumerConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn objects_of_kes_are_held_to_it_by_default() {
        for (json, of_eso) in [
            (r#"{"cluster": "e"}"#, None),
            (r#"{"cluster": "e", "kes": {"enabled": true}}"#, Some(false)),
            (
                r#"{"cluster": "e", "kes": {"enabled": true}, "kubernetes": {"namespaces": ["a"]}}"#,
                None,
            ),
            (
                r#"{"cluster": "e", "kes": {"enabled": true}, "tenancy": {"namespace_annotations": "off"}}"#,
                None,
            ),
            (
                r#"{"cluster": "e", "tenancy": {"namespace_annotations": "all"}}"#,
                Some(true),
            ),
        ] {
            let config = parse(json);
            config.tenancy.check(&config.kubernetes).unwrap();
            let rule = config.tenancy.rule(&config.kes, &config.kubernetes);
            assert_eq!(rule.map(|rule| rule.of_eso), of_eso, "{json}");
        }
    }

    #[test]
    fn namespaces_that_are_not_listed_have_no_annotations() {
        for asked in [r#""namespace_annotations": "all""#, r#""enforce": true"#] {
            let json = format!(
                r#"{{"cluster": "e", "kubernetes": {{"namespaces": ["a"]}}, "tenancy": {{{asked}}}}}"#
            );
            let config = parse(&json);
            let error = config.tenancy.check(&config.kubernetes).unwrap_err();
            assert!(error.to_string().contains("kubernetes.namespaces"));
        }
    }
}
