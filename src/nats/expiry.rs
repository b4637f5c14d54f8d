//! When the client certificate and the credentials file for NATS expire.

use std::fs;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::{Metrics, NatsConfig};
use crate::certificate;

/// What comes before the JWT in a credentials file (`nsc generate creds`).
const BEGIN: &str = "-----BEGIN NATS USER JWT-----";

#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
}

/// Shows when both expire. Blocks on the file system.
pub(super) fn show_all(config: &NatsConfig, metrics: &Metrics) {
    show_certificate(config, metrics);
    // Read at the start only, as the credentials are.
    let file = config.credentials_file.as_ref();
    let text = file.and_then(|file| fs::read_to_string(file).ok());
    metrics.credentials.set(text.and_then(|text| of(&text)));
}

/// Shows when the certificate expires. Blocks on the file system.
pub(super) fn show_certificate(config: &NatsConfig, metrics: &Metrics) {
    let file = config.tls.cert_file.as_ref();
    let pem = file.and_then(|file| fs::read(file).ok());
    let expiry = pem.and_then(|pem| certificate::first_expiry_in(&pem));
    metrics.certificate.set(expiry);
}

/// Of the JWT in this credentials file, in seconds since 1970. `None`: never, or there is none.
fn of(credentials: &str) -> Option<i64> {
    let (_, rest) = credentials.split_once(BEGIN)?;
    let claims = rest.split_whitespace().next()?.split('.').nth(1)?;
    let claims = BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    exp.filter(|exp| *exp > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(claims: &str) -> String {
        let claims = BASE64URL_NOPAD.encode(claims.as_bytes());
        format!(
            "{BEGIN}\ne30.{claims}.c2ln\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\nSU\n"
        )
    }

    #[test]
    fn the_expiry_of_the_jwt_is_read() {
        for (claims, expiry) in [
            (r#"{"exp":1900000000,"name":"east"}"#, Some(1_900_000_000)),
            (r#"{"name":"east"}"#, None),
            (r#"{"exp":0}"#, None),
            (r#"{"exp":"soon"}"#, None),
            ("no JSON", None),
        ] {
            assert_eq!(of(&credentials(claims)), expiry, "{claims}");
        }
        for text in ["", BEGIN, "-----BEGIN NATS USER JWT-----\na.!.c"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
