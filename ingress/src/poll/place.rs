//! Where secrets and folders are: in which mount, which only the store knows.

use std::fmt;

use eso_relay::event::MAX_KEY_BYTES;

/// The most parts of a path that may be its mount.
const DEEPEST: usize = 8;

/// A secret in a mount of version 2 of the KV engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) mount: String,
    /// Below the mount. As a folder it may be empty: all of the mount.
    pub(super) rest: String,
}

/// Why a text is no path of a secret or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidPath {
    #[error("it is empty")]
    Empty,
    #[error("it has an empty part, `.` or `..`")]
    Part,
    #[error("it has a control character")]
    Control,
    #[error("it is longer than {MAX_KEY_BYTES} bytes")]
    TooLong,
    #[error("`>>` makes something new at each request, which has no versions")]
    Dynamic,
    #[error("write it without `v1/`")]
    Api,
}

impl Place {
    /// The path of the API at which the secret is read.
    pub(super) fn key(&self) -> String {
        format!("{}/data/{}", self.mount, self.rest)
    }

    /// The parts of the path of its metadata.
    pub(super) fn metadata(&self) -> impl Iterator<Item = &str> {
        let (mount, rest) = (self.mount.split('/'), self.rest.split('/'));
        let rest = rest.filter(|part| !part.is_empty());
        mount.chain(["metadata"]).chain(rest)
    }

    /// The same with a name that the store lists in this folder.
    pub(super) fn within(&self, name: &str) -> Self {
        let rest = match self.rest.as_str() {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        };
        Self {
            mount: self.mount.clone(),
            rest,
        }
    }

    /// Whether it is below a folder.
    pub(super) fn is_below(&self, folder: &Self) -> bool {
        let below = |rest: &str| folder.rest.is_empty() || rest.starts_with('/');
        let rest = self.rest.strip_prefix(&folder.rest);
        self.mount == folder.mount && rest.is_some_and(below)
    }

    /// The path in the mount, with the `data` of the API or without.
    pub(super) fn in_mount(mount: &str, path: &str) -> Option<Self> {
        let rest = path.strip_prefix(mount)?;
        let rest = match rest.strip_prefix('/') {
            Some(rest) => rest.strip_prefix("data/").unwrap_or(rest),
            None if rest.is_empty() => rest,
            None => return None,
        };
        let rest = if rest == "data" { "" } else { rest };
        Some(Self {
            mount: mount.to_owned(),
            rest: rest.to_owned(),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

/// A path without the slashes around it, each part of which a URL takes as it is.
pub(super) fn clean(path: &str) -> Result<String, InvalidPath> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Err(InvalidPath::Empty);
    }
    if path.starts_with(">>") {
        return Err(InvalidPath::Dynamic);
    }
    if path.starts_with("v1/") {
        return Err(InvalidPath::Api);
    }
    if path.chars().any(char::is_control) {
        return Err(InvalidPath::Control);
    }
    // With the `data/` that it may lack.
    if path.len() + 5 > MAX_KEY_BYTES {
        return Err(InvalidPath::TooLong);
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(InvalidPath::Part);
    }
    Ok(path.to_owned())
}

/// The mounts that a path may be in: first those before a `data`, as paths of the API have it.
pub(super) fn mounts(path: &str) -> Vec<&str> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    let ends: Vec<usize> = ends.chain([path.len()]).take(DEEPEST).collect();
    let before_data = |end: &&usize| {
        let rest = path.get(**end + 1..).unwrap_or_default();
        rest == "data" || rest.starts_with("data/")
    };
    let first: Vec<usize> = ends.iter().filter(before_data).copied().collect();
    let others = ends.iter().filter(|end| !first.contains(end));
    let all = first.iter().chain(others);
    all.filter_map(|end| path.get(..*end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(mount: &str, rest: &str) -> Place {
        Place {
            mount: mount.to_owned(),
            rest: rest.to_owned(),
        }
    }

    #[test]
    fn a_path_of_the_api_names_its_mount_first() {
        assert_eq!(mounts("secret/data/app/db")[0], "secret");
        assert_eq!(mounts("team/kv/data/db")[0], "team/kv");
        assert_eq!(
            mounts("secret/app/db"),
            ["secret", "secret/app", "secret/app/db"]
        );
        assert_eq!(mounts("kv"), ["kv"]);
        assert_eq!(mounts(&"a/".repeat(100)).len(), DEEPEST);
    }

    #[test]
    fn a_path_has_data_or_not() {
        for (path, rest) in [
            ("team/kv/data/a/b", "a/b"),
            ("team/kv/a/b", "a/b"),
            ("team/kv/data", ""),
            ("team/kv", ""),
            ("team/kv/database/a", "database/a"),
        ] {
            let found = Place::in_mount("team/kv", path);
            assert_eq!(found, Some(place("team/kv", rest)), "{path}");
        }
        assert_eq!(Place::in_mount("kv", "kv2/a"), None);
        assert_eq!(place("kv", "a/b").key(), "kv/data/a/b");
        let mount = place("team/kv", "");
        let metadata: Vec<_> = mount.metadata().collect();
        assert_eq!(metadata, ["team", "kv", "metadata"]);
    }

    #[test]
    fn a_folder_ends_at_a_slash() {
        let folder = place("kv", "app");
        assert!(place("kv", "app/db").is_below(&folder));
        assert!(!place("kv", "apple/db").is_below(&folder));
        assert!(!place("kv2", "app/db").is_below(&folder));
        assert!(place("kv", "a").is_below(&place("kv", "")));
        assert_eq!(folder.within("db"), place("kv", "app/db"));
        assert_eq!(place("kv", "").within("db"), place("kv", "db"));
    }

    #[test]
    fn a_path_is_what_a_url_takes() {
        assert_eq!(clean("/secret/data/a b/"), Ok("secret/data/a b".to_owned()));
        for (path, problem) in [
            ("/", InvalidPath::Empty),
            ("secret//a", InvalidPath::Part),
            ("secret/../sys", InvalidPath::Part),
            ("secret/a\n", InvalidPath::Control),
            (">>pki/issue/a", InvalidPath::Dynamic),
            ("v1/secret/data/a", InvalidPath::Api),
        ] {
            assert_eq!(clean(path), Err(problem), "{path}");
        }
        assert_eq!(clean(&"a".repeat(2048)), Err(InvalidPath::TooLong));
    }
}
