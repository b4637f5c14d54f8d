//! The servers and credentials in `nats.url`.

use std::borrow::Cow;

use anyhow::{Context as _, bail, ensure};
use percent_encoding::percent_decode_str;
use serde::Serializer;

use super::login::Login;

/// The parsed `nats.url`: one server, or several of one cluster with commas between them.
pub(super) struct Servers {
    /// Without credentials, so that they can be shown.
    pub(super) addresses: Vec<String>,
    /// Of `nats://USER:PASSWORD@HOST`, or `nats://TOKEN@HOST`.
    pub(super) login: Option<Login>,
}

impl Servers {
    pub(super) fn parse(urls: &str) -> anyhow::Result<Self> {
        let mut logins = Vec::new();
        let mut addresses = Vec::new();
        for url in urls.split(',').map(str::trim) {
            let (scheme, _) = url.split_once("://").unwrap_or(("nats", url));
            ensure!(
                matches!(scheme, "nats" | "tls"),
                "`nats.url`: {scheme}:// is not supported: write nats:// or tls://"
            );
            let (login, address) = split(url);
            addresses.push(address.into_owned());
            logins.extend(login);
        }
        // The client uses the same credentials for every server.
        logins.dedup();
        ensure!(
            logins.len() <= 1,
            "`nats.url`: the servers have different credentials: give all of them the same"
        );
        let login = logins.first().map(|text| login(text)).transpose()?;
        Ok(Self { addresses, login })
    }
}

/// Of what stands before the `@`.
fn login(text: &str) -> anyhow::Result<Login> {
    let decoded = |text| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.context("`nats.url`: the credentials are not UTF-8 once they are percent-decoded")
    };
    Ok(match text.split_once(':') {
        Some(("", _)) => bail!("`nats.url` has a password and no user"),
        Some((name, password)) => Login::User {
            name: decoded(name)?.into_owned(),
            password: decoded(password)?.into_owned().into(),
        },
        None => Login::Token(decoded(text)?.into_owned().into()),
    })
}

/// The credentials before the `@`, and the URL without them.
fn split(url: &str) -> (Option<&str>, Cow<'_, str>) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let authority = url[start..]
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    match authority.rsplit_once('@') {
        None => (None, url.into()),
        Some((login, host)) => {
            let rest = &url[start + authority.len()..];
            (Some(login), format!("{}{host}{rest}", &url[..start]).into())
        }
    }
}

/// The addresses without credentials.
pub(super) fn shown(urls: &str) -> String {
    let addresses: Vec<_> = urls.split(',').map(|url| split(url.trim()).1).collect();
    addresses.join(",")
}

pub(super) fn serialize<S: Serializer>(urls: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(urls))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(urls: &str) -> Option<(String, String)> {
        let login = Servers::parse(urls).unwrap().login?;
        let auth = login.answer(b"").unwrap();
        let secret = auth.password.or(auth.token).unwrap();
        Some((auth.username.unwrap_or_default(), secret))
    }

    #[test]
    fn credentials_are_decoded_and_taken_out() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (urls, expected) in [
            ("nats://n:4222", None),
            ("nats://eso:pass@n:4222", pair("eso", "pass")),
            ("tls://eso:p%40ss%2F%3A@n:4222", pair("eso", "p@ss/:")),
            ("nats://a@b:c:d@n", pair("a@b", "c:d")),
            ("nats://tok%20en@n", pair("", "tok en")),
            ("nats://u:p@n1, nats://u:p@n2", pair("u", "p")),
            ("nats://u:p@n1,nats://n2", pair("u", "p")),
            ("eso:pass@n", pair("eso", "pass")),
        ] {
            assert_eq!(login(urls), expected, "{urls}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        for (urls, expected) in [
            ("nats://eso:hunter2@n:4222", "nats://n:4222"),
            (
                "nats://u:hunter2@n1, tls://u:hunter2@n2/",
                "nats://n1,tls://n2/",
            ),
            ("hunter2@n", "n"),
        ] {
            assert_eq!(shown(urls), expected);
            let addresses = Servers::parse(urls).unwrap().addresses;
            assert_eq!(addresses.join(","), expected);
        }
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (urls, expected) in [
            ("ws://n:8080", "ws:// is not supported"),
            ("wss://u:hunter2@n", "wss:// is not supported"),
            (
                "nats://a:hunter2@n1,nats://b:hunter2@n2",
                "different credentials",
            ),
            ("nats://:hunter2@n", "no user"),
            ("nats://u:%ff@n", "not UTF-8"),
        ] {
            let error = Servers::parse(urls).err().unwrap().to_string();
            assert!(
                error.contains("`nats.url`") && error.contains(expected),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
