//! IBM Cloud Secrets Manager: a key is `name`, `type/name` or `group/type/name`, with an id in place
//! of the name or not (ESO `providers/v1/ibm/provider.go`, `parseSecretReference`).

use std::borrow::Cow;

use serde_json::Value;

use super::rules::{Query, Reading, RemoteRef, Rules, Scope, agree, host, setting};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ibm {
    /// The instance's id, the first label of its endpoint's host.
    instance: Option<String>,
}

impl Ibm {
    pub(super) fn of(spec: &Value) -> Self {
        let host = setting(spec, "serviceUrl").and_then(|url| host(&url));
        let instance = host.as_deref().and_then(|host| host.split('.').next());
        Self {
            instance: instance.filter(|id| is_guid(id)).map(str::to_owned),
        }
    }
}

/// `01234567-89ab-cdef-0123-456789abcdef`; another host is a proxy.
fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .all(|letter| letter.is_ascii_hexdigit() || letter == b'-')
}

/// Type and name. A key of more than three parts is a name.
fn parse(key: &str) -> (Option<&str>, &str) {
    let mut parts = key.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(name), None, None) | (Some(_), Some(kind), Some(name), None) => {
            (Some(kind), name)
        }
        _ => (None, key),
    }
}

pub(super) fn query_names<'e>(key: &'e str, _: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    names.push(Cow::Borrowed(parse(key).1));
}

impl Rules for Ibm {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(parse(key).1);
    }

    fn reaches(&self, _: &Reading<'_>, query: &Query<'_>) -> bool {
        let theirs = query.scope.get("instance").map(str::to_ascii_lowercase);
        agree(self.instance.as_deref(), theirs.as_deref())
    }

    /// A reference's type is `arbitrary` by default; an event may have none.
    fn reads(&self, RemoteRef { key, .. }: RemoteRef<'_>, query: &Query<'_>) -> bool {
        let (kind, name) = parse(key);
        let kind = kind.unwrap_or("arbitrary");
        let mut kinds = query.keys.iter().filter_map(|key| parse(key).0).peekable();
        let of_the_kind = kinds.peek().is_none() || kinds.any(|other| other == kind);
        of_the_kind && query.names.iter().any(|other| other == name)
    }
}

#[cfg(test)]
mod tests {
    use crate::matching::provider::tests::reads;

    const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    #[test]
    fn a_secret_is_named_by_type_and_name_or_id() {
        let keys = &["kv/db", "db", ID][..];
        for (key, keys, read) in [
            ("kv/db", keys, true),
            ("group/kv/db", keys, true),
            ("db", keys, false),
            ("arbitrary/db", keys, false),
            ("kv/0123", keys, false),
            (&format!("kv/{ID}"), keys, true),
            ("db", &["arbitrary/db", "db"], true),
            ("kv/db", &["db"], true),
            ("kv/web", keys, false),
        ] {
            assert_eq!(
                reads(r#"{"ibm": {}}"#, key, ("ibm", keys, &[])),
                read,
                "{key} {keys:?}"
            );
        }
    }

    #[test]
    fn an_instance_shows_in_the_host_of_its_endpoint() {
        let url = |host: &str| format!(r#"{{"ibm": {{"serviceUrl": "https://{host}"}}}}"#);
        let own = url(&format!("{ID}.eu-de.secrets-manager.appdomain.cloud"));
        let proxy = url("secrets.example.com");
        let here = ("ibm", &["arbitrary/db"][..], &[("instance", ID)][..]);
        let there = [("instance", "99999999-89ab-cdef-0123-456789abcdef")];
        let there = ("ibm", &["arbitrary/db"][..], &there[..]);
        assert!(reads(&own, "db", here) && !reads(&own, "db", there));
        assert!(reads(&proxy, "db", here) && reads(&proxy, "db", there));
    }
}
