//! Where a document is, in a form in which two ways to write it are equal: without scheme, userinfo, fragment and
//! default port, percent-decoded once, with `+` as a space, and without empty folders.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Of a document that an event names by its URL or by the path of that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// `None` for a path.
    pub(super) host: Option<String>,
    /// Without slashes at the ends.
    pub(super) path: String,
    /// `None` when it has none, which stands for any.
    pub(super) query: Option<String>,
}

impl Address {
    /// `None` if the key is neither a URL nor begins with a slash.
    pub(super) fn of(key: &str) -> Option<Self> {
        let (host, rest) = match split_scheme(key) {
            Some((scheme, rest)) => {
                let (authority, rest) = split_authority(rest);
                (Some(Host::of(scheme, authority).to_string()), rest)
            }
            None if key.starts_with('/') => (None, key),
            None => return None,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Some(Self {
            host,
            path: path_of(path),
            query: (!query.is_empty()).then(|| decoded(query)),
        })
    }

    /// What a hash is made of, without the query.
    pub(super) fn base(&self) -> String {
        match &self.host {
            Some(host) => format!("{host}/{}", self.path),
            None => self.path.clone(),
        }
    }
}

/// The host of a URL, and its port as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: Option<String>,
    /// Whether the port is that of the scheme.
    default: bool,
}

impl Host {
    /// `scheme`: empty when unknown.
    pub(super) fn of(scheme: &str, authority: &str) -> Self {
        let host = authority.rsplit('@').next().unwrap_or_default();
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (name, port),
            _ => (host, ""),
        };
        let usual = match scheme.to_ascii_lowercase().as_str() {
            "https" => "443",
            "http" => "80",
            _ => "",
        };
        let port = if port.is_empty() { usual } else { port };
        Self {
            name: name.to_ascii_lowercase(),
            port: (!port.is_empty()).then(|| port.to_owned()),
            default: port == usual,
        }
    }

    /// Of an attribute of a scope: a URL, or a host with or without its port.
    pub(super) fn of_scope(host: &str) -> Self {
        let (scheme, rest) = split_scheme(host).unwrap_or(("", host));
        Self::of(scheme, split_authority(rest).0)
    }

    pub(super) fn agrees(&self, other: &Self) -> bool {
        let ports = self.port.as_ref().zip(other.port.as_ref());
        self.name == other.name && ports.is_none_or(|(mine, theirs)| mine == theirs)
    }
}

/// As in an [`Address`].
impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.port {
            Some(port) if !self.default => write!(f, "{}:{port}", self.name),
            _ => f.write_str(&self.name),
        }
    }
}

/// The scheme of a URL, and what follows `://`.
pub(super) fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    url.split_once("://")
        .filter(|(scheme, _)| is_scheme(scheme))
}

/// The authority, and the rest of the URL.
pub(super) fn split_authority(text: &str) -> (&str, &str) {
    text.split_at(text.find(ENDS_AUTHORITY).unwrap_or(text.len()))
}

pub(super) const ENDS_AUTHORITY: [char; 3] = ['/', '?', '#'];

/// `+` is a space only in a query, but Go's `url.QueryEscape`, by which ESO writes a key, makes it everywhere.
pub(super) fn decoded(text: &str) -> String {
    unescaped(text).replace('+', " ")
}

/// Percent-decoded once.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

pub(super) fn path_of(path: &str) -> String {
    let path = decoded(path);
    let folders = path.split('/').filter(|folder| !folder.is_empty());
    folders.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_writing_is_equal() {
        for (one, other) in [
            ("https://h/s/a%2Fb", "http://user:word@H/s/a/b/#top"),
            ("https://h:443/s", "http://h:80/s"),
            ("https://h", "https://h/"),
            ("https://h/?q=x+y", "https://h?q=x%20y"),
            ("https://h/s?", "https://h//s"),
            ("/s/a%2fb", "//s/a/b/"),
        ] {
            assert_eq!(Address::of(one), Address::of(other), "{one} {other}");
            assert!(Address::of(one).is_some(), "{one}");
        }
        for (one, other) in [
            ("https://h/s", "https://h:8443/s"),
            ("https://h/s", "https://h.example/s"),
            ("https://h/s?a&b", "https://h/s?b&a"),
            ("https://h/S", "https://h/s"),
            ("https://h/s", "/s"),
            ("/a%252Fb", "/a/b"),
        ] {
            assert_ne!(Address::of(one), Address::of(other), "{one} {other}");
        }
        for key in ["", "a/b", "h/s", "://h/s", "a b://h", "arn:aws:x"] {
            assert_eq!(Address::of(key), None, "{key}");
        }
    }

    #[test]
    fn an_unknown_port_excludes_none() {
        for (url, scope, agrees) in [
            ("https://h:8443", "h", true),
            ("https://h:8443", "H:8443", true),
            ("https://h:8443", "h:443", false),
            ("https://h", "h:443", true),
            ("https://h", "https://h/x", true),
            ("https://h", "http://h", false),
            ("https://h", "i", false),
            ("https://[::1]:8443", "[::1]", true),
        ] {
            let (scheme, rest) = split_scheme(url).unwrap();
            let host = Host::of(scheme, rest);
            assert_eq!(host.agrees(&Host::of_scope(scope)), agrees, "{url} {scope}");
        }
    }
}
