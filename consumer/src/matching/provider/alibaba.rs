//! Alibaba Cloud KMS: a key is the name of a secret, or its ARN, `acs:kms:REGION:ACCOUNT:secret/NAME` (KES
//! `lib/backends/alicloud-secrets-manager-backend.js`; ESO before 2.0 `providers/v1/alibaba/kms.go`).

use eso_relay::event::Version;
use serde_json::Value;

use super::rules::{Pattern, Query, Reading, RemoteRef, Rules, agree, setting};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Alibaba {
    region: Option<String>,
    /// The account of the role; nothing else names it.
    account: Option<String>,
}

/// `acs:service:region:account:resource`; of a role, in `ram`, the region is empty.
struct Arn<'a> {
    region: Option<&'a str>,
    account: Option<&'a str>,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("acs:")?;
        let mut parts = rest.splitn(4, ':').skip(1);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        // A place may be left open.
        let known = |part: &'a str| Some(part).filter(|part| !part.is_empty() && *part != "*");
        Some(Self {
            region: known(region),
            account: known(account),
            resource,
        })
    }
}

impl Alibaba {
    /// Of an ESO store, `regionID` and `auth.rrsa.roleArn`; of KES, `roleArn`.
    pub(super) fn of(spec: &Value) -> Self {
        let role = setting(spec, "roleArn").or_else(|| setting(&spec["auth"]["rrsa"], "roleArn"));
        Self {
            region: setting(spec, "regionID"),
            account: role.and_then(|role| Arn::of(&role)?.account.map(str::to_owned)),
        }
    }
}

pub(super) fn canonical(key: &str) -> &str {
    let named = Arn::of(key).and_then(|arn| arn.resource.strip_prefix("secret/"));
    named.unwrap_or(key)
}

impl Rules for Alibaba {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(canonical(key));
    }

    /// An ARN has its own place, in a reference and in an event without a scope.
    fn reaches(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let own = match reading {
            Reading::Key(RemoteRef { key, .. }) => Arn::of(key),
            Reading::Find(_) => None,
        };
        let (region, account) = own.map_or((None, None), |arn| (arn.region, arn.account));
        let theirs = query.keys.iter().find_map(|key| Arn::of(key));
        let (their_region, their_account) =
            theirs.map_or((None, None), |arn| (arn.region, arn.account));
        agree(
            region.or(self.region.as_deref()),
            query.scope.get("region").or(their_region),
        ) && agree(
            account.or(self.account.as_deref()),
            query.scope.get("account").or(their_account),
        )
    }

    /// Neither implements `find`, so nothing of one can be compared.
    fn finds(&self, _: &Pattern<'_>, _: &Query<'_>) -> bool {
        true
    }

    /// A stage. Alibaba moves its own, `ACSCurrent` and `ACSPrevious`, at every new version; any other is moved by
    /// hand.
    fn is_other_version(&self, version: &str, changed: Option<&Version>) -> bool {
        let labels = changed.map(|changed| &changed.labels[..]);
        let labels = labels.unwrap_or_default();
        !version.starts_with("ACS")
            && !labels.is_empty()
            && labels.iter().all(|label| label != version)
    }

    fn has_folders(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::matching::provider::tests::{in_scope, reads};

    #[test]
    fn a_name_is_read_in_its_region_and_account() {
        let arn = "acs:kms:cn-hangzhou:1234:secret/db";
        let here = &[("region", "cn-hangzhou"), ("account", "1234")][..];
        let there = &[("region", "cn-beijing")][..];
        for (settings, key, keys, scope, read) in [
            ("", "db", &["db"][..], here, true),
            ("", "db", &[arn], &[][..], true),
            ("", arn, &["db"], here, true),
            ("", arn, &["db"], there, false),
            ("", "db2", &[arn], &[], false),
            (r#""regionID": "cn-beijing""#, "db", &[arn], &[], false),
            (r#""regionID": "cn-hangzhou""#, "db", &[arn], &[], true),
            (
                r#""roleArn": "acs:ram::1234:role/kes""#,
                "db",
                &["db"],
                here,
                true,
            ),
            (
                r#""roleArn": "acs:ram::99:role/kes""#,
                "db",
                &["db"],
                here,
                false,
            ),
            (
                r#""auth": {"rrsa": {"roleArn": "acs:ram::99:role/eso"}}"#,
                "db",
                &[arn],
                &[],
                false,
            ),
        ] {
            let spec = format!(r#"{{"alibaba": {{{settings}}}}}"#);
            let found = reads(&spec, key, ("alibaba", keys, scope));
            assert_eq!(found, read, "{spec} {key} {keys:?} {scope:?}");
        }
        let beijing = r#"{"alibaba": {"regionID": "cn-beijing"}}"#;
        assert!(in_scope(beijing, "db", ("alibaba", &[], there)));
        assert!(!in_scope(beijing, "db", ("alibaba", &[], here)));
    }
}
