//! AWS Secrets Manager and Parameter Store (ESO `providers/v1/aws/secretsmanager/secretsmanager.go`,
//! `…/parameterstore/parameterstore.go`; which of both: `…/aws/provider.go`).

use std::borrow::Cow;

use eso_relay::event::Version;
use serde_json::Value;

use super::rules::{
    Pattern, Query, Reading, RemoteRef, Rules, Scope, agree, is_number, is_other, setting,
};

/// What both services have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    region: Option<String>,
    /// The account of the role; the spec does not name it otherwise.
    account: Option<String>,
    /// Put before every key.
    prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretsManager(Place);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParameterStore(Place);

/// `arn:partition:service:region:account:resource`; of a role the region is empty.
struct Arn<'a> {
    region: Option<&'a str>,
    account: Option<&'a str>,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next() != Some("arn") {
            return None;
        }
        let mut parts = parts.skip(2);
        let mut part = || parts.next();
        let (region, account, resource) = (part()?, part()?, part()?);
        Some(Self {
            region: Some(region).filter(|region| !region.is_empty()),
            account: Some(account).filter(|account| !account.is_empty()),
            resource,
        })
    }
}

impl Place {
    fn of(spec: &Value) -> Self {
        Self {
            region: setting(spec, "region"),
            // `additionalRoles` are assumed before `role`.
            account: setting(spec, "role")
                .and_then(|role| Arn::of(&role)?.account.map(str::to_owned)),
            prefix: setting(spec, "prefix").unwrap_or_default(),
        }
    }

    fn full<'k>(&self, key: &'k str) -> Cow<'k, str> {
        match self.prefix.as_str() {
            "" => Cow::Borrowed(key),
            prefix => Cow::Owned(format!("{prefix}{key}")),
        }
    }

    /// An ARN in a reference has its own place; so has one in an event without a scope.
    fn reaches(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let mine = self.arn_region(reading);
        let theirs = || query.keys.iter().find_map(|key| Arn::of(key)?.region);
        agree(
            mine.as_deref().or(self.region.as_deref()),
            query.scope.get("region").or_else(theirs),
        ) && self.is_account(reading, query)
    }

    /// As [`Self::reaches`], for secrets. A secret may have replicas in any region, and only the primary one sends
    /// events, so the region of an event excludes no secret that it names.
    fn reaches_secrets(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        if query.keys.is_empty() {
            self.reaches(reading, query)
        } else {
            self.is_account(reading, query)
        }
    }

    fn is_account(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let full = self.key(reading);
        let mine = Arn::of(&full).and_then(|arn| arn.account);
        let theirs = || query.keys.iter().find_map(|key| Arn::of(key)?.account);
        agree(
            mine.or(self.account.as_deref()),
            query.scope.get("account").or_else(theirs),
        )
    }

    fn arn_region(&self, reading: &Reading<'_>) -> Option<String> {
        let full = self.key(reading);
        Arn::of(&full)?.region.map(str::to_owned)
    }

    fn key<'k>(&self, reading: &Reading<'k>) -> Cow<'k, str> {
        match reading {
            Reading::Key(RemoteRef { key, .. }) => self.full(key),
            Reading::Find(_) => Cow::Borrowed(""),
        }
    }
}

impl SecretsManager {
    pub(super) fn of(spec: &Value) -> Self {
        Self(Place::of(spec))
    }
}

/// A name; or the name in an ARN, with and without the suffix of six characters that Secrets Manager appends. A
/// partial ARN has no suffix, and a name may end like one, so both count.
fn secret_names(key: &str) -> [Option<&str>; 2] {
    let Some(name) = Arn::of(key).and_then(|arn| arn.resource.strip_prefix("secret:")) else {
        return [Some(key), None];
    };
    let tail = |(_, tail): &(&str, &str)| {
        tail.len() == 6 && tail.bytes().all(|letter| letter.is_ascii_alphanumeric())
    };
    let stripped = name.rsplit_once('-').filter(tail).map(|(name, _)| name);
    [Some(name), stripped]
}

pub(super) fn secret<'e>(key: &'e str, _: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    names.extend(secret_names(key).into_iter().flatten().map(Cow::Borrowed));
}

impl Rules for SecretsManager {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        for found in secret_names(&self.0.full(key)).into_iter().flatten() {
            name(found);
        }
    }

    fn reaches(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        self.0.reaches_secrets(reading, query)
    }

    /// `path` is a `name` filter: a case-sensitive prefix, negated by `!` (AWS `API_Filter`). When ESO reads what it
    /// listed, it prepends the store's prefix again (`fetchAndSet`).
    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        let listed = |name: &str| {
            let negated = pattern.path.is_some_and(|path| path.starts_with('!'));
            (negated || pattern.starts(name)) && pattern.fits(name)
        };
        let mut names = query.names.iter();
        names.any(|name| listed(name) || name.strip_prefix(&self.0.prefix).is_some_and(listed))
    }

    fn root<'p>(&self, pattern: &Pattern<'p>) -> Option<&'p str> {
        let path = pattern.path.unwrap_or_default();
        (self.0.prefix.is_empty() && !path.starts_with('!')).then_some(path)
    }

    /// `uuid/<id>`, or a staging label (`constructSecretValue`). AWS moves its own labels together with
    /// `AWSCURRENT`; any other label is moved by hand.
    fn is_other_version(&self, version: &str, changed: Option<&Version>) -> bool {
        if let Some(id) = version.strip_prefix("uuid/") {
            return is_other(id, changed);
        }
        let labels = changed.map(|changed| &changed.labels[..]);
        let labels = labels.unwrap_or_default();
        !version.starts_with("AWS")
            && !labels.is_empty()
            && labels.iter().all(|label| label != version)
    }
}

impl ParameterStore {
    pub(super) fn of(spec: &Value) -> Self {
        Self(Place::of(spec))
    }
}

/// Without the leading slash, which an ARN does not contain, and without `:version` or `:label`.
fn parameter_name(key: &str) -> &str {
    let name = Arn::of(key).and_then(|arn| arn.resource.strip_prefix("parameter"));
    let name = name.unwrap_or(key);
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    name.trim_start_matches('/')
}

pub(super) fn parameter<'e>(key: &'e str, _: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    names.push(Cow::Borrowed(parameter_name(key)));
}

/// Below this path Parameter Store gives access to the secrets of Secrets Manager
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/integration-ps-secretsmanager.html>).
const PROXY_PREFIX: &str = "aws/reference/secretsmanager/";

/// The parameters of a secret: see [`secret`].
pub(super) fn proxied(key: &str, names: &mut Vec<Cow<'_, str>>) {
    let secrets = secret_names(key).into_iter().flatten();
    names.extend(secrets.map(|name| Cow::Owned(format!("{PROXY_PREFIX}{name}"))));
}

impl Rules for ParameterStore {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(parameter_name(&self.0.full(key)));
    }

    /// Secrets of Secrets Manager are not listed, so no `find` finds them.
    fn is_of_kind(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let full = self.0.key(reading);
        !query.proxied || parameter_name(&full).starts_with(PROXY_PREFIX)
    }

    fn reaches(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        if parameter_name(&self.0.key(reading)).starts_with(PROXY_PREFIX) {
            self.0.reaches_secrets(reading, query)
        } else {
            !query.proxied && self.0.reaches(reading, query)
        }
    }

    /// `path` is a folder with everything below it, `/` by default (`findByName`).
    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        let path = pattern.path.unwrap_or_default().trim_matches('/');
        let below = |name: &str| {
            path.is_empty()
                || name
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let mut names = query.names.iter();
        names.any(|name| below(name) && pattern.fits_slashed(name))
    }

    /// A number is fixed; a label may move (`parameterNameWithVersion`).
    fn is_other_version(&self, version: &str, changed: Option<&Version>) -> bool {
        is_number(version) && is_other(version, changed)
    }
}

#[cfg(test)]
mod tests;
