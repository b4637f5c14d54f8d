//! Azure Key Vault: a key is `[type/]name`, a secret's by default (ESO
//! `providers/v1/azure/keyvault/keyvault.go`, `getObjType`). Names have no case.

use std::borrow::Cow;

use eso_relay::event::Version;
use serde_json::Value;

use super::rules::{
    Pattern, Query, Reading, RemoteRef, Rules, Scope, agree, host, is_other, setting,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Azure {
    vault: Option<String>,
}

impl Azure {
    pub(super) fn of(spec: &Value) -> Self {
        Self {
            vault: setting(spec, "vaultUrl").and_then(|url| host(&url)),
        }
    }
}

/// The suffixes of vaults in Microsoft's clouds: public, US government, China, the former Germany, France (Bleu),
/// Germany (Delos), and the two of the US government that are cut off. `vaultcore` is a name of the same
/// (<https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers>,
/// <https://learn.microsoft.com/azure/private-link/private-endpoint-dns>).
const VAULTS: [&str; 11] = [
    ".vault.azure.net",
    ".vaultcore.azure.net",
    ".vault.usgovcloudapi.net",
    ".vaultcore.usgovcloudapi.net",
    ".vault.azure.cn",
    ".vaultcore.azure.cn",
    ".vault.microsoftazure.de",
    ".vault.sovcloud-api.fr",
    ".vault.sovcloud-api.de",
    ".vault.microsoft.scloud",
    ".vault.eaglex.ic.gov",
];

/// The name of a vault, if the host is one of a vault. An event may name the vault without its cloud; two vaults with
/// one name in two clouds cost a refresh.
fn vault_name(host: &str) -> &str {
    let mut names = VAULTS.iter().filter_map(|end| host.strip_suffix(end));
    let name = names.find(|name| !name.is_empty() && !name.contains('.'));
    name.unwrap_or(host)
}

/// `type/name` in lower case. The rest after the second slash is ignored.
fn canonical(key: &str) -> String {
    let mut parts = key.split('/');
    let first = parts.next().unwrap_or_default();
    let (kind, name) = parts.next().map_or(("secret", first), |name| (first, name));
    format!("{kind}/{name}").to_ascii_lowercase()
}

pub(super) fn query_names<'e>(key: &'e str, _: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    names.push(Cow::Owned(canonical(key)));
}

/// The name of a secret in an unknown store.
pub(super) fn bare(key: &str) -> Option<&str> {
    key.strip_prefix("secret/")
}

impl Rules for Azure {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(&canonical(key));
    }

    fn reaches(&self, _: &Reading<'_>, query: &Query<'_>) -> bool {
        let vault = query.scope.get("vault").and_then(host);
        agree(
            self.vault.as_deref().map(vault_name),
            vault.as_deref().map(vault_name),
        )
    }

    /// Only secrets, by name; `path` is ignored (`GetAllSecrets`). The vault keeps the case of a name, an event does
    /// not.
    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        let is_case_sensitive = pattern
            .regexp
            .is_some_and(super::regexp::Regexp::is_case_sensitive);
        let mut names = query.names.iter().filter_map(|name| bare(name));
        names.any(|name| is_case_sensitive || pattern.fits(name))
    }

    /// An identifier of 32 hexadecimal digits. There are no names for versions.
    fn is_other_version(&self, version: &str, changed: Option<&Version>) -> bool {
        let is_id = version.len() == 32 && version.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_id && is_other(version, changed)
    }

    fn has_folders(&self) -> bool {
        false
    }

    fn root<'p>(&self, _: &Pattern<'p>) -> Option<&'p str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::matching::provider::tests::{finds, reads};

    const SPEC: &str = r#"{"azurekv": {"vaultUrl": "https://Sample-KV.vault.azure.net/"}}"#;
    const CERTIFICATE: [&str; 3] = ["cert/tls", "secret/tls", "key/tls"];

    #[test]
    fn a_key_is_a_secret_unless_it_says_otherwise() {
        let here = &[("vault", "sample-kv.vault.azure.net")][..];
        let there = &[("vault", "other-kv.vault.azure.net")][..];
        for (key, keys, scope, read) in [
            ("db", &["secret/db"][..], here, true),
            ("secret/DB", &["secret/db"], here, true),
            ("secret/db/0123", &["secret/db"], here, true),
            ("key/db", &["secret/db"], here, false),
            ("db", &["key/db"], here, false),
            ("tls", &CERTIFICATE, here, true),
            ("cert/tls", &CERTIFICATE, here, true),
            ("key/tls", &CERTIFICATE, here, true),
            ("db", &["secret/db"], there, false),
            ("db", &["secret/db"], &[], true),
        ] {
            let found = reads(SPEC, key, ("azure-kv", keys, scope));
            assert_eq!(found, read, "{key} {keys:?} {scope:?}");
        }
        let anywhere = r#"{"azurekv": {}}"#;
        assert!(reads(anywhere, "db", ("azure-kv", &["secret/db"], there)));
    }

    #[test]
    fn a_vault_of_any_cloud_is_known_by_its_name() {
        for (store, event, read) in [
            ("kv.vault.usgovcloudapi.net", "kv.vault.azure.net", true),
            ("kv.vault.azure.cn", "kv.vault.azure.net", true),
            ("kv.vaultcore.azure.net", "kv.vault.azure.net", true),
            ("kv.vault.sovcloud-api.fr", "kv.vault.sovcloud-api.fr", true),
            ("other.vault.azure.cn", "kv.vault.azure.net", false),
            ("kv.vault.azure.example", "kv.vault.azure.net", false),
            ("kv.a.vault.azure.net", "kv.vault.azure.net", false),
        ] {
            let spec = format!(r#"{{"azurekv": {{"vaultUrl": "https://{store}/"}}}}"#);
            let scope = &[("vault", event)][..];
            let found = reads(&spec, "db", ("azure-kv", &["secret/db"], scope));
            assert_eq!(found, read, "{store} {event}");
        }
    }

    #[test]
    fn a_find_goes_by_the_names_of_secrets_whatever_their_case() {
        for (keys, regexp, found) in [
            (&["secret/prod-db"][..], Some("^prod-.*$"), true),
            (&["secret/prod-db"], Some("^db"), false),
            (&["secret/prod-db"], Some("^Prod"), true),
            (&["secret/prod-db"], None, true),
            (&["key/prod-db"], Some("prod"), false),
            (&CERTIFICATE, Some("tls"), true),
        ] {
            let hit = finds(SPEC, Some("ignored"), regexp, ("azure-kv", keys, &[]));
            assert_eq!(hit, found, "{keys:?} {regexp:?}");
        }
    }
}
