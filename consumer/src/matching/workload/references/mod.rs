//! References to stores that a webhook replaces when a pod starts: the syntax of Bank-Vaults (bank-vaults/internal
//! `pkg/injector/vault/injector.go`, bank-vaults/secrets-webhook `pkg/provider/{vault,bao,aws}`).
//!
//! | form | means |
//! |---|---|
//! | `vault:PATH#KEY` | the newest version of the secret |
//! | `vault:PATH#KEY#N` | one version, which keeps its value |
//! | `>>vault:PATH#KEY[#DATA]` | write to the path and take the answer |
//! | `…${vault:PATH#KEY}…` | each of these, anywhere in a value |
//! | `vault:v1:…`, `vault:login` | no secret of a path |
//! | `arn:aws:secretsmanager:…`, `arn:aws:ssm:…` | AWS |
//!
//! `bao:` is the same as `vault:`. Only the path is kept of a value.

use serde_json::{Value, json};

use super::{
    Problems,
    annotations::{Annotations, INJECTOR, Kept, OLD_INJECTOR, list},
    reads,
};
use crate::matching::provider::Backend;

/// A reference of a workload to a secret of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreReference {
    pub backend: Backend,
    pub key: Box<str>,
    pub takes: Takes,
}

/// Which value a reference takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Newest,
    /// A fixed version.
    Pinned,
    /// What the store answers to a write: a dynamic secret. Only an event about exactly its path concerns it.
    Written,
}

/// The engine that a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Vault,
    OpenBao,
}

/// What is read, as it is written.
#[derive(Debug, PartialEq, Eq)]
struct Written<'t> {
    engine: Engine,
    path: &'t str,
    takes: Takes,
}

/// Where the injector of a pod reads. Unknown where its annotations do not tell.
struct Place {
    vault: Backend,
    openbao: Backend,
}

/// Of the variables of containers and init containers, and of the annotations of the pod template.
pub(super) fn of(
    pod: &Value,
    annotations: &Annotations,
    problems: &mut Problems,
) -> Vec<StoreReference> {
    let template = &annotations.template;
    if setting(template, "mutate") == Some("skip") {
        return Vec::new();
    }
    let place = Place::of(template);
    let mut references = Vec::new();
    let mut add = |reference: Option<StoreReference>| {
        if let Some(reference) = reference.filter(|reference| !references.contains(reference)) {
            references.push(reference);
        }
    };
    for (at, container) in reads::containers(pod, problems) {
        for variable in problems.list(container, "env", &at) {
            let Some(value) = variable["value"].as_str() else {
                continue;
            };
            add(aws(value));
            for written in in_value(value) {
                add(Some(place.reference(&written)));
            }
        }
    }
    for (engine, paths) in from_paths(template) {
        for item in list(paths) {
            let (path, pinned) = match item.split_once('#') {
                Some((path, _)) => (path, Takes::Pinned),
                None => (item, Takes::Newest),
            };
            let takes = pinned;
            if !path.is_empty() {
                add(Some(place.reference(&Written {
                    engine,
                    path,
                    takes,
                })));
            }
        }
    }
    references
}

/// All keys of a path become variables.
fn from_paths(template: &Kept) -> impl Iterator<Item = (Engine, &str)> {
    let new = template.get(&format!("{INJECTOR}vault-from-path"));
    let old = || template.get(&format!("{OLD_INJECTOR}vault-env-from-path"));
    let vault = new
        .filter(|paths| list(paths).next().is_some())
        .or_else(old);
    let bao = template.get(&format!("{INJECTOR}bao-from-path"));
    let vault = vault.map(|paths| (Engine::Vault, paths));
    vault
        .into_iter()
        .chain(bao.map(|paths| (Engine::OpenBao, paths)))
}

/// Of the injector: today's name, or else the old one.
fn setting<'a>(template: &'a Kept, name: &str) -> Option<&'a str> {
    let value = template.get(&format!("{INJECTOR}{name}"));
    let value = value.or_else(|| template.get(&format!("{OLD_INJECTOR}{name}")));
    value.filter(|value| !value.is_empty())
}

impl Place {
    /// `vault-path` is a mount of an auth method, and says nothing about secrets.
    fn of(template: &Kept) -> Self {
        // As a store of version 1 of the engine without a mount: its keys are paths of the API.
        let backend = |address: Option<&str>, namespace: Option<&str>| {
            let store =
                json!({ "vault": { "version": "v1", "server": address, "namespace": namespace } });
            // OK because it names one provider.
            Backend::of_store(&store).expect("a provider")
        };
        Self {
            vault: backend(
                setting(template, "vault-addr"),
                setting(template, "vault-namespace"),
            ),
            openbao: backend(
                setting(template, "bao-addr"),
                setting(template, "bao-namespace"),
            ),
        }
    }

    fn reference(&self, written: &Written<'_>) -> StoreReference {
        let backend = match written.engine {
            Engine::Vault => &self.vault,
            Engine::OpenBao => &self.openbao,
        };
        StoreReference {
            backend: backend.clone(),
            key: written.path.into(),
            takes: written.takes,
        }
    }
}

fn aws(value: &str) -> Option<StoreReference> {
    let service = if value.starts_with("arn:aws:secretsmanager:") {
        "SecretsManager"
    } else if value.starts_with("arn:aws:ssm:") {
        "ParameterStore"
    } else {
        return None;
    };
    let arn = value.split_once('#').map_or(value, |(arn, _)| arn);
    Some(StoreReference {
        backend: Backend::of_store(&json!({ "aws": { "service": service } }))?,
        key: arn.into(),
        takes: Takes::Newest,
    })
}

/// Every reference of a value: the value itself, or those within it.
fn in_value(value: &str) -> Vec<Written<'_>> {
    let inline: Vec<_> = inline(value).collect();
    if inline.is_empty() {
        Vec::from_iter(written(value))
    } else {
        inline.into_iter().filter_map(written).collect()
    }
}

/// The texts in `${…}` that begin as a reference; up to the first brace, or up to the second of two.
fn inline(value: &str) -> impl Iterator<Item = &str> {
    value.match_indices("${").filter_map(|(at, open)| {
        let within = &value[at + open.len()..];
        engine(within)?;
        let end = within.find('}')?;
        let doubled = within[end + 1..].starts_with('}');
        Some(&within[..end + usize::from(doubled)])
    })
}

/// The engine of a reference, whether it writes, and what follows.
fn engine(text: &str) -> Option<(Engine, bool, &str)> {
    let rest = text.strip_prefix(">>");
    let (writes, rest) = (rest.is_some(), rest.unwrap_or(text));
    if let Some(rest) = rest.strip_prefix("vault:") {
        return Some((Engine::Vault, writes, rest));
    }
    let rest = rest.strip_prefix("bao:")?;
    Some((Engine::OpenBao, writes, rest))
}

fn written(text: &str) -> Option<Written<'_>> {
    let (engine, writes, rest) = engine(text)?;
    // A ciphertext of the transit engine.
    if rest.starts_with("v1:") && !writes {
        return None;
    }
    let mut parts = rest.splitn(3, '#');
    let (path, _key) = (parts.next()?, parts.next()?);
    let takes = match parts.next() {
        _ if writes => Takes::Written,
        Some(_) => Takes::Pinned,
        None => Takes::Newest,
    };
    (!path.is_empty()).then_some(Written {
        engine,
        path,
        takes,
    })
}

#[cfg(test)]
mod tests;
