//! The `jwt:` section of `auth:`.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use eso_relay::config::{ConfigError, OneOrMany, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Expected, File, Issuer, Jwt, Rules, Source};
use crate::{
    clouds::microsoft::Cloud,
    outgoing::{Https, Outgoing},
};

/// A longer leeway would extend the life of a stolen token.
const LONGEST_LEEWAY: Duration = Duration::from_secs(10 * 60);

/// A JSON Web Token (RFC 7519) as bearer token, signed with RS256 or ES256.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// A known issuer, in place of `issuer` and `jwks_url`. Default: none.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// `entra`: the id of the directory.
    #[serde(default)]
    pub tenant: Option<String>,
    /// `entra`: the cloud that the directory is in. Default: `public`.
    #[serde(default)]
    pub cloud: Option<Cloud>,
    /// The claim `iss`; one or several.
    #[serde(default)]
    pub issuer: Option<OneOrMany<String>>,
    /// The claim `aud` is or holds it; one or several.
    #[serde(default)]
    pub audience: Option<OneOrMany<String>>,
    /// Further claims, with their exact values; of a list (`roles`, `groups`,
    /// `entitlements`) a text that it holds.
    #[serde(default)]
    pub claims: BTreeMap<String, Expected>,
    /// Where the issuer publishes its keys (RFC 7517), over https. Or:
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// a file with its keys, read again when it changes.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// Default `1m`: how much the clocks may differ.
    #[serde(default = "leeway", with = "duration::or_zero")]
    #[schemars(with = "duration::Written")]
    pub leeway: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Pub/Sub push:
    /// <https://docs.cloud.google.com/pubsub/docs/authenticate-push-subscriptions>.
    Google,
    /// Microsoft Entra ID, for Event Grid:
    /// <https://learn.microsoft.com/azure/event-grid/secure-webhook-delivery>.
    Entra,
}

fn leeway() -> Duration {
    Duration::from_secs(60)
}

impl JwtConfig {
    /// Reads the keys of a file. Those of an issuer are fetched later: it may be unreachable.
    pub fn open(&self, outgoing: &Outgoing) -> Result<Jwt, ConfigError> {
        let rules = self.rules().map_err(invalid)?;
        let keys = match &self.jwks_file {
            Some(_) if self.jwks_url.is_some() => {
                return Err(invalid("jwks_url and jwks_file are both set: remove one"));
            }
            Some(path) => Source::File(File::open(path)?),
            None => {
                let url = self.jwks_url().map_err(invalid)?;
                outgoing.check()?;
                Source::Issuer(Arc::new(Issuer::new(outgoing, url)))
            }
        };
        let any_app = self.admits_any_app();
        Ok(Jwt {
            rules,
            keys,
            any_app,
        })
    }

    /// A directory gives each of its apps a token for any audience that does not require an assignment.
    fn admits_any_app(&self) -> bool {
        let pins = ["azp", "appid", "oid", "sub", "roles"];
        self.preset == Some(Preset::Entra) && !pins.iter().any(|pin| self.claims.contains_key(*pin))
    }

    fn rules(&self) -> Result<Rules, &'static str> {
        if self.leeway > LONGEST_LEEWAY {
            return Err("leeway is longer than 10m: set the clocks right and lower it");
        }
        Ok(Rules {
            issuers: self.issuers()?,
            audiences: filled(self.audience.as_ref()).ok_or(
                "audience is missing: name what the sender puts into the claim `aud`, otherwise a token for another service would be accepted",
            )?,
            claims: self.claims()?,
            leeway: self.leeway,
        })
    }

    fn issuers(&self) -> Result<Vec<String>, &'static str> {
        if self.cloud.is_some() && self.preset != Some(Preset::Entra) {
            return Err("cloud belongs to preset entra: remove it");
        }
        match self.preset {
            Some(_) if self.issuer.is_some() => Err("the preset knows the issuer: remove issuer"),
            None if self.tenant.is_some() => Err("tenant belongs to preset entra: remove it"),
            None => filled(self.issuer.as_ref())
                .ok_or("issuer is missing: name what the sender puts into the claim `iss`"),
            Some(Preset::Google) if self.tenant.is_some() => {
                Err("tenant belongs to preset entra: remove it")
            }
            Some(Preset::Google) => Ok(["https://accounts.google.com", "accounts.google.com"]
                .map(str::to_owned)
                .into()),
            Some(Preset::Entra) => {
                let (tenant, cloud) = (self.tenant()?, self.cloud.unwrap_or_default());
                let first = cloud.sts().map(|sts| format!("https://{sts}/{tenant}/"));
                let second = format!("https://{}/{tenant}/v2.0", cloud.login());
                Ok([second].into_iter().chain(first).collect())
            }
        }
    }

    fn claims(&self) -> Result<BTreeMap<String, Expected>, &'static str> {
        let mut claims = self.claims.clone();
        if self.preset == Some(Preset::Google) {
            if !matches!(claims.get("email"), Some(Expected::Text(email)) if email.contains('@')) {
                return Err(
                    "preset google needs claims.email, the service account of the push subscription: any Google service account can get a token for any audience",
                );
            }
            let verified = claims.insert("email_verified".to_owned(), Expected::Bool(true));
            if verified.is_some_and(|verified| verified != Expected::Bool(true)) {
                return Err("preset google demands that claims.email_verified is true: remove it");
            }
        }
        Ok(claims)
    }

    fn jwks_url(&self) -> Result<Https, &'static str> {
        let url = match (&self.jwks_url, self.preset) {
            (Some(url), _) => url.clone(),
            (None, Some(Preset::Google)) => "https://www.googleapis.com/oauth2/v3/certs".to_owned(),
            (None, Some(Preset::Entra)) => format!(
                "https://{}/{}/discovery/v2.0/keys",
                self.cloud.unwrap_or_default().login(),
                self.tenant()?
            ),
            (None, None) => {
                return Err("the keys are missing: set jwks_url or jwks_file, or a preset");
            }
        };
        Https::parse(&url).map_err(|_| "jwks_url is not an https URL without user and password")
    }

    /// Only an id: `common` would admit every directory, and tokens never name a domain.
    fn tenant(&self) -> Result<&str, &'static str> {
        let shape = [8, 4, 4, 4, 12];
        let is_id = |text: &str| {
            text.split('-').map(str::len).eq(shape)
                && text
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
        };
        self.tenant.as_deref().filter(|text| is_id(text)).ok_or(
            "preset entra needs tenant, the directory's id in small letters, such as 72f988bf-86f1-41af-91ab-2d7cd011db47",
        )
    }
}

/// `None` also for an empty list or an empty text: both would be a mistake.
fn filled(values: Option<&OneOrMany<String>>) -> Option<Vec<String>> {
    let values = values?.as_slice();
    let filled = !values.is_empty() && values.iter().all(|value| !value.is_empty());
    filled.then(|| values.to_vec())
}

fn invalid(problem: &str) -> ConfigError {
    ConfigError::Invalid(format!("auth.jwt: {problem}"))
}

#[cfg(test)]
mod tests;
