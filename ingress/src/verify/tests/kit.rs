//! A scheme as the configuration makes it, and what a request that is sent to it shows.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use eso_relay::config::{ConfigError, SecretFile};
use futures::executor::block_on;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::*;
use crate::outgoing::{Outgoing, OutgoingConfig};

/// When everything happens, in milliseconds and in seconds.
pub(super) const NOW_MS: i64 = 1_700_000_000_000;
pub(super) const NOW: i64 = NOW_MS / 1000;

/// Once: it reads all of the system's CAs.
static OUTGOING: LazyLock<Outgoing> =
    LazyLock::new(|| Outgoing::new(&OutgoingConfig::default()).unwrap());

/// What stands in a configuration for the list of secret files.
pub(super) const FILES: &str = "the files";

/// A directory of its own, removed at the end.
pub(in crate::verify) struct Directory(pub(in crate::verify) PathBuf);

impl Directory {
    pub(in crate::verify) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("eso-relay-{name}-{process}-{count}"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(in crate::verify) fn file(&self, name: &str) -> SecretFile {
        SecretFile::new(self.0.join(name))
    }

    pub(in crate::verify) fn write(&self, name: &str, secret: &str) -> SecretFile {
        // As editors and Kubernetes do it: written aside, then moved over the old one.
        let aside = self.0.join("aside");
        fs::write(&aside, secret).unwrap();
        fs::rename(aside, self.0.join(name)).unwrap();
        self.file(name)
    }

    /// The scheme of an `auth:` section; its secrets are read from files `0`, `1`, ….
    pub(super) fn open(&self, auth: &Value, secrets: &[&str]) -> Result<Scheme, ConfigError> {
        let files = secrets.iter().enumerate();
        let files: Vec<_> = files
            .map(|(at, secret)| self.write(&at.to_string(), secret))
            .collect();
        let auth = auth
            .to_string()
            .replace(&json!(FILES).to_string(), &json!(files).to_string());
        let auth: AuthConfig = serde_json::from_str(&auth).unwrap();
        auth.open(&OUTGOING, &[])
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A scheme whose files are gone when it is asked, so that its secrets stay what they are.
pub(super) fn scheme(auth: &Value, secrets: &[&str]) -> Scheme {
    Directory::new("scheme").open(auth, secrets).unwrap()
}

/// Why a configuration is not accepted.
pub(super) fn problem(auth: &Value, secrets: &[&str]) -> String {
    let opened = Directory::new("problem").open(auth, secrets);
    opened.err().unwrap().to_string()
}

/// What a request shows, besides its body.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub headers: Vec<(&'static str, String)>,
    pub query: Option<String>,
}

pub(super) fn headers<const N: usize>(headers: [(&'static str, &str); N]) -> Shown {
    let headers = headers.map(|(name, value)| (name, value.to_owned()));
    Shown {
        headers: headers.to_vec(),
        query: None,
    }
}

/// The result for a request that arrives at [`NOW`].
pub(super) fn outcome(scheme: &Scheme, shown: &Shown, body: &[u8]) -> Result<(), Refused> {
    let mut headers = HeaderMap::new();
    for (name, value) in &shown.headers {
        let value = HeaderValue::from_str(value).unwrap();
        headers.append(HeaderName::from_static(name), value);
    }
    let request = Request {
        headers: &headers,
        certificate: None,
        query: shown.query.as_deref(),
        now: Timestamp::from_second(NOW).unwrap(),
    };
    let verified = async {
        let admitted = scheme.admit(&request).await?;
        admitted.verify(Bytes::copy_from_slice(body)).await
    };
    block_on(verified).map(|verified| assert_eq!(verified.bytes(), body))
}

pub(super) fn check(scheme: &Scheme, shown: &Shown, body: &[u8]) -> bool {
    outcome(scheme, shown, body).is_ok()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}
