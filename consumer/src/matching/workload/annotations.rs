//! The annotations of a workload and of its pod template.

use std::collections::BTreeMap;

use serde_json::Value;

/// The beginnings of those that count; others are not kept.
const PREFIXES: [&str; 10] = [
    OWN,
    INJECTOR,
    OLD_INJECTOR,
    RELOADER,
    OLD_RELOADER,
    "reloader.stakater.com/",
    "secret.reloader.stakater.com/",
    "configmap.reloader.stakater.com/",
    "secrets.exclude.reloader.stakater.com/",
    "configmaps.exclude.reloader.stakater.com/",
];
const OWN: &str = "eso-relay.dev/";
/// Of the secrets-webhook of Bank-Vaults.
pub(super) const INJECTOR: &str = "secrets-webhook.security.bank-vaults.io/";
/// The same before it was renamed.
pub(super) const OLD_INJECTOR: &str = "vault.security.banzaicloud.io/";
/// Of the vault-secrets-reloader of Bank-Vaults.
pub(super) const RELOADER: &str = "secrets-reloader.security.bank-vaults.io/";
/// The same before it was renamed.
pub(super) const OLD_RELOADER: &str = "alpha.vault.security.banzaicloud.io/";

#[derive(Debug, Clone, Default)]
pub(super) struct Annotations {
    pub(super) object: Kept,
    pub(super) template: Kept,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Kept(BTreeMap<Box<str>, Box<str>>);

impl Annotations {
    /// `metadata`: of the workload, and of its pod template.
    pub(super) fn of(object: &Value, template: &Value) -> Self {
        Self {
            object: Kept::of(&object["annotations"]),
            template: Kept::of(&template["annotations"]),
        }
    }

    /// The workload's own, or else that of the pod template.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.object.get(name).or_else(|| self.template.get(name))
    }
}

impl Kept {
    fn of(annotations: &Value) -> Self {
        let annotations = annotations.as_object().into_iter().flatten();
        let kept = annotations.filter_map(|(name, value)| {
            let counts = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
            counts.then_some((name.as_str().into(), value.as_str()?.into()))
        });
        Self(kept.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref)
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}

/// The parts of a comma list, trimmed, without empty ones.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}
