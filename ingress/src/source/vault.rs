//! The paths of Vault's KV engine, which its audit entries and its event notifications share.
//! <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2>

use super::{DecodeError, json::Scalar, scope::attribute};

/// The name of the root namespace in an event.
pub(super) const ROOT: &str = "root";

/// What a path of version 2 does to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    Data,
    Metadata,
    Delete,
    Undelete,
    Destroy,
}

/// `mount/area/secret`, a path of version 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version2<'a> {
    mount: &'a str,
    pub(super) area: Area,
    secret: &'a str,
}

impl Area {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "data" => Self::Data,
            "metadata" => Self::Metadata,
            "delete" => Self::Delete,
            "undelete" => Self::Undelete,
            "destroy" => Self::Destroy,
            _ => return None,
        })
    }
}

impl<'a> Version2<'a> {
    /// `None` when it cannot be a path of version 2. Where the mount is unknown it ends before the
    /// first name of an area.
    pub(super) fn parse(path: &'a str, mount: Option<&str>) -> Option<Self> {
        let mut found = path.match_indices('/').filter_map(|(at, _)| {
            let (mount, rest) = (path.get(..at)?, path.get(at + 1..)?);
            let (area, secret) = rest.split_once('/')?;
            let area = Area::named(area)?;
            Some(Self {
                mount,
                area,
                secret,
            })
        });
        found.find(|found| mount.is_none_or(|mount| mount == found.mount))
    }

    /// The path at which the secret is read.
    pub(super) fn data(&self) -> String {
        format!("{}/data/{}", self.mount, self.secret)
    }
}

/// An attribute that is a path, without the slashes around it.
pub(super) fn trimmed(field: Scalar, at: &str) -> Result<Option<String>, DecodeError> {
    let path = attribute(field, at)?;
    let path = path.map(|path| path.trim_matches('/').to_owned());
    Ok(path.filter(|path| !path.is_empty()))
}

/// The attribute `namespace`: [`ROOT`] when it is empty, `None` when the sender does not tell it.
pub(super) fn namespace(field: Scalar, at: &str) -> Result<Option<String>, DecodeError> {
    let is_told = field != Scalar::Missing;
    let path = trimmed(field, at)?;
    Ok(path.or_else(|| is_told.then(|| ROOT.to_owned())))
}

/// Whether a path lies in a mount.
pub(super) fn is_in(mount: &str, path: &str) -> bool {
    path.strip_prefix(mount)
        .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_version_2_leads_to_where_the_secret_is_read() {
        for (path, mount, data) in [
            ("kv/data/a/b", None, Some("kv/data/a/b")),
            ("kv/metadata/a", None, Some("kv/data/a")),
            ("kv/delete/a", Some("kv"), Some("kv/data/a")),
            ("kv/undelete/a", Some("kv"), Some("kv/data/a")),
            ("team/kv/destroy/a", Some("team/kv"), Some("team/kv/data/a")),
            ("team/kv/destroy/a", None, Some("team/kv/data/a")),
            // Names of areas in the mount's path and in the secret's.
            ("kv/data/destroy/a", Some("kv"), Some("kv/data/destroy/a")),
            ("kv/data/destroy/a", Some("kv/data"), Some("kv/data/data/a")),
            ("kv/a", None, None),
            ("kv/a/data/b", Some("kv"), None),
            ("data/a", None, None),
            ("kv/metadata", None, None),
            ("", None, None),
        ] {
            let found = Version2::parse(path, mount).map(|path| path.data());
            assert_eq!(found.as_deref(), data, "{path} {mount:?}");
        }
    }
}
