//! The claims that a token needs (RFC 7519 §4.1).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Claims, Wrong};

#[derive(Debug, Clone)]
pub struct Rules {
    /// `iss` is one of them.
    pub issuers: Vec<String>,
    /// `aud` is or holds one of them.
    pub audiences: Vec<String>,
    /// Further claims, all of them required.
    pub claims: BTreeMap<String, Expected>,
    /// How much the clocks of issuer and ingress may differ.
    pub leeway: Duration,
}

/// Claims that are lists (RFC 9068 §2.2.3.1). A list in any other claim does not match.
const LISTS: [&str; 3] = ["roles", "groups", "entitlements"];

/// The exact value of a claim, or a text that its list holds: of `roles`, `groups` or
/// `entitlements`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Expected {
    Bool(bool),
    Text(String),
}

impl Rules {
    /// `exp` has to be there; `nbf` and `iat` count if they are. A claim of another type than the RFC's is
    /// wrong, not absent.
    pub fn allow(&self, claims: &Claims, now: Timestamp) -> Result<(), Wrong> {
        let allowed = self.is_issuer(claims.get("iss"))
            && self.is_audience(claims.get("aud"))
            && self.is_time(claims, now)
            && self.claims.iter().all(|(name, expected)| {
                claims
                    .get(name)
                    .is_some_and(|claim| expected.fits(name, claim))
            });
        if allowed { Ok(()) } else { Err(Wrong::Token) }
    }

    fn is_issuer(&self, claim: Option<&Value>) -> bool {
        claim.is_some_and(|claim| self.issuers.iter().any(|issuer| claim == issuer))
    }

    fn is_audience(&self, claim: Option<&Value>) -> bool {
        let ours = |claim: &Value| self.audiences.iter().any(|audience| claim == audience);
        match claim {
            Some(Value::Array(several)) => {
                several.iter().all(Value::is_string) && several.iter().any(ours)
            }
            Some(one) => ours(one),
            None => false,
        }
    }

    fn is_time(&self, claims: &Claims, now: Timestamp) -> bool {
        let (now, leeway) = (now.as_duration().as_secs_f64(), self.leeway.as_secs_f64());
        let is = |name, fits: &dyn Fn(f64) -> bool| {
            let claim = claims.get(name);
            claim.map(|claim| claim.as_f64().is_some_and(fits))
        };
        let begun = |time| time <= now + leeway;
        is("exp", &|time| now < time + leeway).unwrap_or(false)
            && is("nbf", &begun).unwrap_or(true)
            && is("iat", &begun).unwrap_or(true)
    }
}

impl Expected {
    fn fits(&self, name: &str, claim: &Value) -> bool {
        match self {
            Self::Bool(expected) => claim == expected,
            Self::Text(expected) if LISTS.contains(&name) => {
                let mut members = claim.as_array().into_iter().flatten();
                claim == expected || members.any(|member| member == expected)
            }
            Self::Text(expected) => claim == expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_the_claim_or_one_of_its_list() {
        let expected = Expected::Text("sender".to_owned());
        for (claim, fits) in [
            (json!("sender"), true),
            (json!(["reader", "sender"]), true),
            (json!(["reader"]), false),
            (json!([["sender"]]), false),
            (json!("senders"), false),
            (json!(true), false),
        ] {
            assert_eq!(expected.fits("roles", &claim), fits, "{claim}");
        }
        assert!(!expected.fits("email", &json!(["sender"])));
    }
}
