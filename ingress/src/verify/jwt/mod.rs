//! JSON Web Tokens (RFC 7519), signed by an issuer whose keys are fetched or in a file.
//!
//! ```text
//! Authorization ─▶ Token ──(a key that fits)──▶ Claims ──Rules──▶ let in
//!                            Keys ◀── Issuer, cached ◀── HTTPS
//!                                 ◀── File
//! ```
//!
//! [`verify`] is everything but the fetching: no clock, no network.
//!
//! Signatures are checked with ring itself. The crate jsonwebtoken has no provider on ring since
//! version 10 (one would be ours, and global to the process), reads the system's clock by itself,
//! and 9.x takes a token whose `nbf` is a string (GHSA-h395-gr6q-cpjc).

mod config;
mod file;
mod issuer;
mod keys;
mod rules;
mod token;

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use jiff::Timestamp;
use tokio::time::Instant;

pub use self::{
    config::{JwtConfig, Preset},
    keys::{Keys, NoKeys},
    rules::{Expected, Rules},
    token::{Claims, Token},
};
use self::{file::File, issuer::Issuer};
use super::{Refused, Unauthorized, authorization};

/// The scheme `jwt`.
pub struct Jwt {
    rules: Rules,
    keys: Source,
    /// See [`Jwt::admits_any_app`].
    any_app: bool,
}

enum Source {
    File(File),
    Issuer(Arc<Issuer>),
}

/// Why a token is refused. Deliberately without details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The token is invalid.
    Token,
    /// No known key has signed it; a newer one may have.
    Key,
}

/// A change of the keys since the last check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The first keys, different ones, or the first after a failure.
    Keys { origin: String, count: usize },
    /// They cannot be loaded; known keys stay valid for a while. Reported once per failure.
    Failure { origin: String, reason: String },
}

/// The state of the keys that an issuer publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IssuerKeys {
    /// Since their fetch; `None`: there are none yet.
    pub(crate) age: Option<Duration>,
    /// How many fetches have failed.
    pub(crate) failures: u64,
}

/// Whether `token` is signed by one of `keys` and says what `rules` demand.
pub fn verify(token: &str, keys: &Keys, rules: &Rules, now: Timestamp) -> Result<(), Wrong> {
    rules.allow(&Token::parse(token)?.claims(keys)?, now)
}

impl Jwt {
    /// Whether no claim has to tell which app of the directory has sent the token.
    pub fn admits_any_app(&self) -> bool {
        self.any_app
    }

    /// Waits for the issuer's keys only if without them the request would be refused.
    pub async fn check(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), Refused> {
        let token = Token::parse(authorization(headers, "Bearer")?)?;
        let claims = match &self.keys {
            Source::File(file) => token.claims(&file.keys())?,
            Source::Issuer(issuer) => match issuer.known().map(|keys| token.claims(&keys)) {
                None | Some(Err(Wrong::Key)) => {
                    let asked = Instant::now();
                    let newer = issuer.newer().await.ok_or(Refused::Unavailable)?;
                    match token.claims(&newer) {
                        // The key may have been published after that fetch.
                        Err(Wrong::Key) if !issuer.fetched_since(asked) => {
                            return Err(Refused::Unavailable);
                        }
                        claims => claims?,
                    }
                }
                Some(claims) => claims?,
            },
        };
        Ok(self.rules.allow(&claims, now)?)
    }

    /// `None`: the keys are in a file.
    pub(crate) fn issuer_keys(&self) -> Option<IssuerKeys> {
        match &self.keys {
            Source::File(_) => None,
            Source::Issuer(issuer) => Some(issuer.state()),
        }
    }

    /// To be called once a second within a runtime: reads a changed file, starts to fetch keys that are missing
    /// or old. Blocks on the file system only.
    pub fn refresh(&self) -> Option<News> {
        match &self.keys {
            Source::File(file) => file.refresh(),
            Source::Issuer(issuer) => issuer.refresh(),
        }
    }
}

impl From<Wrong> for Refused {
    fn from(_: Wrong) -> Self {
        Self::Unauthorized(Unauthorized)
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
