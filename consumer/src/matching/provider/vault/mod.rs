//! Vault (ESO `providers/v1/vault/client_get.go`, `client_get_all_secrets.go`) and
//! `OpenBao` by its own provider (ESO `providers/v1/openbao/client.go`).
//!
//! Names are paths of the API below `/v1/`: `mount/data/p` of version 2 of the engine, `mount/p` of
//! version 1.

use std::borrow::Cow;

use eso_relay::{event::Version, stream::Watched};
use serde_json::Value;

use super::rules::{
    Pattern, Query, Reading, RemoteRef, Rules, Scope, agree, clean, host, is_below, is_number,
    is_other, overlaps, setting,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Vault {
    openbao: bool,
    host: Option<String>,
    /// `None` is not the root: Vault's client may read one from its environment.
    namespace: Option<String>,
    /// As written, because for a key that repeats it every slash counts.
    mount: Option<String>,
    version1: bool,
}

impl Vault {
    pub(super) fn of(spec: &Value) -> Self {
        Self {
            openbao: false,
            host: setting(spec, "server").and_then(|server| host(&server)),
            namespace: setting(spec, "namespace").map(|name| namespace(&name).to_owned()),
            mount: setting(spec, "path"),
            version1: spec["version"] == "v1",
        }
    }

    /// Its mount is `kv` by default, and keys are always relative to it.
    pub(super) fn openbao(spec: &Value) -> Self {
        let mount = setting(spec, "path").unwrap_or_else(|| "kv".to_owned());
        Self {
            openbao: true,
            mount: Some(mount),
            ..Self::of(spec)
        }
    }

    /// The path that ESO reads for this key: its `buildPath` with all its quirks, cleaned by Vault's client.
    fn address(&self, key: &str) -> String {
        let Some(mount) = self.mount.as_deref() else {
            return match key.split_once('/') {
                _ if self.version1 || key.contains("/data/") => clean(key),
                Some((first, rest)) => clean(&format!("{first}/data/{rest}")),
                None => clean(&format!("{key}/data")),
            };
        };
        let own = key
            .strip_prefix(mount)
            .and_then(|key| key.strip_prefix('/'));
        let relative = match own.filter(|_| !self.openbao) {
            Some(rest) if self.version1 => rest,
            Some(rest) => rest.strip_prefix("data/").unwrap_or(rest),
            None => key,
        };
        clean(&format!("{mount}/{}/{relative}", self.data()))
    }

    /// The folders of a `find`: where ESO reads and where it lists. They differ if `path` repeats the mount, which ESO
    /// strips from a key but not from a listed path (`buildMetadataPath`). Without a mount, `secret/data` is the root
    /// of a mount.
    fn folders(&self, path: &str) -> [String; 2] {
        let read = self.address(&format!("{path}/"));
        let listed = match self.mount.as_deref() {
            Some(mount) => clean(&format!("{mount}/{}/{path}", self.data())),
            None => read.clone(),
        };
        [read, listed]
    }

    /// The secret of a key for pollers, which compare versions: none for version 1 of the engine, which has none, nor
    /// for a version that keeps its value.
    ///
    /// A path that is read as it is written may lead to another engine, so it must have the `data` of version 2.
    pub(super) fn watched(&self, key: &str, version: Option<&str>) -> Option<Watched> {
        let path = self.address(key);
        let says_version2 = path.contains("/data/");
        let is_version1 = self.version1 && self.mount.is_some();
        let is_pinned = version.is_some_and(|version| self.is_other_version(version, None));
        if !says_version2 || is_version1 || is_pinned {
            return None;
        }
        let provider = if self.openbao { "openbao" } else { "vault" };
        Some(Watched {
            // OK because it is a slug.
            provider: provider.parse().expect("a slug"),
            host: self.host.clone(),
            namespace: self.namespace.clone().filter(|name| !name.is_empty()),
            path,
        })
    }

    fn data(&self) -> &'static str {
        if self.version1 { "" } else { "data" }
    }

    /// The path of a key, or the folders of a `find`; none where ESO would fail.
    fn begins(&self, reading: &Reading<'_>) -> Vec<String> {
        match reading {
            Reading::Key(RemoteRef { key, .. }) => vec![self.address(key)],
            Reading::Find(Pattern { path: None, .. }) if self.mount.is_none() => Vec::new(),
            Reading::Find(pattern) => self.folders(pattern.path.unwrap_or_default()).into(),
        }
    }

    /// Compares a reference's path with the event's, both relative to one namespace, which may be part of a path or
    /// set in the store.
    fn meets(&self, path: &str, theirs: &str, scope: Scope<'_>, test: Test<'_>) -> bool {
        match (&self.namespace, scope.get("namespace").map(namespace)) {
            (Some(mine), Some(space)) => test(
                &clean(&format!("{mine}/{path}")),
                &clean(&format!("{space}/{theirs}")),
            ),
            _ => seen_from_above(theirs, scope).any(|theirs| test(path, &theirs)),
        }
    }

    fn meets_any(&self, path: &str, query: &Query<'_>, test: Test<'_>) -> bool {
        let mut theirs = query.keys.iter().flat_map(|key| forms(key, query.scope));
        theirs.any(|theirs| self.meets(path, &theirs, query.scope, test))
    }
}

/// The most parts of a mount or a namespace that are tried, to bound the time and memory that a sender's key takes.
const DEEPEST: usize = 8;

/// Compares a reference's path with one of the event's.
type Test<'t> = &'t dyn Fn(&str, &str) -> bool;

fn namespace(name: &str) -> &str {
    match name.trim_matches('/') {
        "root" => "",
        name => name,
    }
}

/// The path relative to the event's namespace, and to each one above it.
fn seen_from_above(path: &str, scope: Scope<'_>) -> impl Iterator<Item = String> {
    let space = scope.get("namespace").map_or("", namespace);
    let starts = space.rmatch_indices('/').map(|(at, _)| at + 1);
    let mut starts: Vec<usize> = starts.take(DEEPEST).collect();
    starts.insert(0, space.len());
    if !space.is_empty() {
        starts.push(0);
    }
    starts.into_iter().map(move |start| {
        clean(&format!(
            "{}/{path}",
            space.get(start..).unwrap_or_default()
        ))
    })
}

pub(super) fn query_names<'e>(key: &'e str, scope: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    for form in forms(key, scope) {
        names.extend(seen_from_above(&form, scope).map(Cow::Owned));
    }
}

/// The paths that an event's key may stand for: as written, and with the `data` that users omit, after each possible
/// mount.
fn forms(key: &str, scope: Scope<'_>) -> Vec<String> {
    let (key, mount) = (clean(key), scope.get("mount").map(clean));
    let mut forms = Vec::new();
    if !key.contains("/data/") {
        for (at, _) in key.match_indices('/').take(DEEPEST) {
            let (start, rest) = key.split_at(at);
            if mount.as_ref().is_none_or(|mount| mount == start) {
                forms.push(format!("{start}/data{rest}"));
            }
        }
    }
    forms.push(key);
    forms
}

/// Splits a path into mount and rest, without the `data` between them. Without `data`, the mount is the first part;
/// `None` for a path of one part.
fn parts(key: &str, scope: Scope<'_>) -> Option<(String, String)> {
    let key = clean(key);
    let Some(mount) = scope.get("mount").map(clean) else {
        let (mount, rest) = key.split_once("/data/").or_else(|| key.split_once('/'))?;
        return Some((mount.to_owned(), rest.to_owned()));
    };
    let rest = key.strip_prefix(&*mount)?.strip_prefix('/')?;
    let rest = rest.strip_prefix("data/").unwrap_or(rest).to_owned();
    Some((mount, rest))
}

/// The names of a secret in an unknown store: with or without the mount.
pub(super) fn spellings(key: &str, scope: Scope<'_>) -> Vec<String> {
    let both = |(mount, rest)| vec![format!("{mount}/{rest}"), rest];
    parts(key, scope).map_or_else(Vec::new, both)
}

impl Rules for Vault {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(&self.address(key));
    }

    fn reaches(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let scope = query.scope;
        let server = scope.get("host").and_then(host);
        // The two folders of a `find` are in one mount.
        let address = self.begins(reading).into_iter().next();
        let space = scope.get("namespace").map(namespace);
        // A path may lead into a namespace below the store's, never above it.
        let in_namespace = |(mine, theirs): (&String, &str)| match &address {
            Some(address) => is_below(theirs, &clean(&format!("{mine}/{address}"))),
            None => is_below(mine, theirs),
        };
        let in_mount = |mount| {
            let below = |mine: &str, theirs: &str| is_below(theirs, mine);
            let address = address.as_deref();
            address.is_none_or(|address| self.meets(address, mount, scope, &below))
        };
        agree(self.host.as_deref(), server.as_deref())
            && self.namespace.as_ref().zip(space).is_none_or(in_namespace)
            && scope.get("mount").is_none_or(in_mount)
    }

    fn reads(&self, RemoteRef { key, .. }: RemoteRef<'_>, query: &Query<'_>) -> bool {
        self.meets_any(&self.address(key), query, &|mine, theirs| mine == theirs)
    }

    /// Vault's secrets are listed with all folders and named from the mount on, with `path` before
    /// them as it is written; `OpenBao`'s in one folder, by bare name, and then read from the mount's
    /// root whatever the folder.
    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        if self.mount.is_none() && pattern.path.is_none() {
            return true;
        }
        let listed = |folder: &str| {
            let fits = |rest: &str| match folder {
                _ if self.openbao => !rest.contains('/') && pattern.fits(rest),
                "" => pattern.fits(rest),
                folder => pattern.fits(&format!("{folder}/{rest}")),
            };
            let test = |mine: &str, theirs: &str| {
                let rest = theirs
                    .strip_prefix(mine)
                    .and_then(|rest| rest.strip_prefix('/'));
                rest.is_some_and(fits)
            };
            let folders = self.folders(folder);
            (folders.iter()).any(|address| self.meets_any(address, query, &test))
        };
        listed(pattern.path.unwrap_or_default()) || self.openbao && listed("")
    }

    fn is_below(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let addresses = self.begins(reading);
        let test = |mine: &str, theirs: &str| match reading {
            Reading::Key(_) => is_below(theirs, mine),
            Reading::Find(_) => overlaps(mine, theirs),
        };
        let mut any = addresses.iter();
        addresses.is_empty() || any.any(|address| self.meets_any(address, query, &test))
    }

    /// A number of the engine's version 2 (`readSecret`). Version 1 keeps only the newest, whatever
    /// is asked for.
    fn is_other_version(&self, version: &str, changed: Option<&Version>) -> bool {
        !self.openbao && !self.version1 && is_number(version) && is_other(version, changed)
    }
}

#[cfg(test)]
mod tests;
