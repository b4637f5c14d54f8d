//! What carries a proof: a header or a query parameter. A repeated one proves nothing, so no request can show
//! two proofs in the same.

use std::{collections::BTreeSet, fmt};

use eso_relay::config::ConfigError;
use http::header::AUTHORIZATION;

use super::Scheme;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carrier {
    /// By its name in small letters.
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
/// Two of `all` can never hold together.
pub(super) fn together(all: &[Scheme]) -> Result<(), ConfigError> {
    let mut taken = BTreeSet::new();
    for carrier in all.iter().flat_map(needed) {
        if taken.contains(&carrier) {
            return Err(ConfigError::Invalid(format!(
                "auth.all: two of its schemes look at {carrier}, and no request can show both: leave one of them out, or write `any`"
            )));
        }
        taken.insert(carrier);
    }
    Ok(())
}

/// What a request has to have, whichever way the scheme holds.
fn needed(scheme: &Scheme) -> BTreeSet<Carrier> {
    let header = |name: &str| BTreeSet::from([Carrier::Header(name.to_owned())]);
    match scheme {
        Scheme::Basic(_) | Scheme::Bearer(_) | Scheme::Jwt(_) => header(AUTHORIZATION.as_str()),
        Scheme::Header(fixed) => BTreeSet::from([fixed.carrier()]),
        Scheme::Hmac(hmac) => header(hmac.form.header().as_str()),
        // Several signatures may stand in one header of Standard Webhooks.
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
