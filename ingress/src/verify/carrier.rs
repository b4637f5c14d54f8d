//! Where a request carries its credentials: a header or a query parameter. A repeated one is refused, so no
//! request can carry two credentials in the same.

use std::{collections::BTreeSet, fmt};

use eso_relay::config::ConfigError;
use http::header::AUTHORIZATION;

use super::Scheme;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carrier {
    /// The name in lower case.
    Header(String),
    Query(String),
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Query(name) => write!(f, "the query parameter `{name}`"),
        }
    }
}

/// # Errors
/// Two of `all` exclude each other.
pub(super) fn together(all: &[Scheme]) -> Result<(), ConfigError> {
    let mut taken = BTreeSet::new();
    for carrier in all.iter().flat_map(needed) {
        if taken.contains(&carrier) {
            return Err(ConfigError::Invalid(format!(
                "auth.all: two of its schemes look at {carrier}, and no request can carry both: leave one of them out, or write `any`"
            )));
        }
        taken.insert(carrier);
    }
    Ok(())
}

/// What a request needs in any case for the scheme to succeed.
fn needed(scheme: &Scheme) -> BTreeSet<Carrier> {
    let header = |name: &str| BTreeSet::from([Carrier::Header(name.to_owned())]);
    match scheme {
        Scheme::Basic(_) | Scheme::Bearer(_) | Scheme::Jwt(_) => header(AUTHORIZATION.as_str()),
        Scheme::Header(fixed) => BTreeSet::from([fixed.carrier()]),
        Scheme::Hmac(hmac) => header(hmac.form.header().as_str()),
        // One header of Standard Webhooks may hold several signatures.
        Scheme::None | Scheme::Mtls(_) | Scheme::StandardWebhooks(_) | Scheme::Sns(_) => {
            BTreeSet::new()
        }
        Scheme::All(schemes) => schemes.iter().flat_map(needed).collect(),
        Scheme::Any(schemes) => {
            let ways = schemes.iter().map(needed);
            ways.reduce(|one, other| &one & &other).unwrap_or_default()
        }
    }
}
