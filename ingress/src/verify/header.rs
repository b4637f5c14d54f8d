//! A secret in a header of any name, or in a query parameter for senders that cannot set a header.

use eso_relay::config::{ConfigError, SecretFiles};
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Credentials, Fit, Request, Unauthorized, Unsignable, Unsigned, carrier::Carrier, credentials,
    equal, sign, single,
};

pub struct Header {
    place: Place,
    pub(super) values: Credentials,
}

enum Place {
    Header(HeaderName),
    Query(String),
}

/// A fixed value in a header (an API key), or in a query parameter. Set exactly one of both.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderConfig {
    /// The header, such as `X-API-Key`.
    #[serde(default)]
    pub name: Option<String>,
    /// The query parameter, such as `token`. URLs end up in the logs of proxies: only for senders
    /// that cannot send a header.
    #[serde(default)]
    pub query: Option<String>,
    /// One file or several; the value of each is valid.
    pub value_file: SecretFiles,
}

impl HeaderConfig {
    pub fn open(&self) -> Result<Header, ConfigError> {
        let invalid = |problem: &str| Err(ConfigError::Invalid(problem.to_owned()));
        let place = match (&self.name, &self.query) {
            (Some(name), None) => match name.parse() {
                Ok(name) => Place::Header(name),
                Err(_) => {
                    return invalid(
                        "auth.header.name is not the name of a header: set one such as X-API-Key",
                    );
                }
            },
            (None, Some(query)) if !query.is_empty() => Place::Query(query.clone()),
            _ => {
                return invalid(
                    "auth.header needs either `name`, the header's name, or `query`, the name of a query parameter",
                );
            }
        };
        let values = match place {
            Place::Header(_) => Credentials::open_if(&self.value_file, credentials::fits_a_header)?,
            Place::Query(_) => Credentials::open(&self.value_file)?,
        };
        Ok(Header { place, values })
    }
}

impl Header {
    pub(super) fn carrier(&self) -> Carrier {
        match &self.place {
            Place::Header(name) => Carrier::Header(name.as_str().to_owned()),
            Place::Query(name) => Carrier::Query(name.clone()),
        }
    }

    pub(super) fn sign(&self, request: &mut Unsigned) -> Result<(), Unsignable> {
        let value = self.values.first(str::to_owned);
        match &self.place {
            Place::Header(name) => {
                request.headers.insert(name, sign::secret(&value)?);
            }
            Place::Query(name) => {
                let query = request.query.take().unwrap_or_default();
                let mut query = form_urlencoded::Serializer::new(query);
                request.query = Some(query.append_pair(name, &value).finish());
            }
        }
        Ok(())
    }

    pub(super) fn check(&self, request: &Request<'_>) -> Result<Fit<'_>, Unauthorized> {
        let right = |presented: &[u8]| self.values.fit(|value| equal(presented, value.as_bytes()));
        let fit = match &self.place {
            Place::Header(name) => {
                single(request.headers, name).and_then(|value| right(value.as_bytes()))
            }
            Place::Query(name) => {
                let query = request.query.unwrap_or_default().as_bytes();
                let mut values = form_urlencoded::parse(query).filter(|(key, _)| key == name);
                let value = values.next();
                // A repeated parameter is refused, like a repeated header.
                let fit = value.and_then(|(_, value)| right(value.as_bytes()));
                fit.filter(|_| values.next().is_none())
            }
        };
        fit.ok_or(Unauthorized)
    }
}
