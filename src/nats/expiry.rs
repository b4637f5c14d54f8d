//! When the client certificate and the credentials for NATS expire.

use std::fs;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::{Metrics, NatsConfig, login::Login};
use crate::certificate;

#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
}

/// Shows when the certificate expires. Blocks on the file system.
pub(super) fn show(config: &NatsConfig, metrics: &Metrics) {
    let file = config.tls.cert_file.as_ref();
    let pem = file.and_then(|file| fs::read(file).ok());
    let expiry = pem.and_then(|pem| certificate::first_expiry_in(&pem));
    metrics.certificate.set(expiry);
}

/// When the JWT of these credentials expires, in seconds since 1970. `None`: never, or there is none.
pub(super) fn of_login(login: &Login) -> Option<i64> {
    let claims = login.jwt()?.split('.').nth(1)?;
    let claims = BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    exp.filter(|exp| *exp > 0)
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::*;
    use crate::nats::login::Seed;

    fn expiry(jwt: &str) -> Option<i64> {
        let seed = KeyPair::new_user().seed().unwrap();
        of_login(&Login::Jwt {
            jwt: jwt.to_owned().into(),
            seed: Seed::parse(&seed).unwrap(),
        })
    }

    #[test]
    fn the_expiry_of_the_jwt_is_read() {
        for (claims, expected) in [
            (r#"{"exp":1900000000,"name":"east"}"#, Some(1_900_000_000)),
            (r#"{"name":"east"}"#, None),
            (r#"{"exp":0}"#, None),
            (r#"{"exp":"soon"}"#, None),
            ("no JSON", None),
        ] {
            let encoded = BASE64URL_NOPAD.encode(claims.as_bytes());
            assert_eq!(expiry(&format!("e30.{encoded}.c2ln")), expected, "{claims}");
        }
        for jwt in ["a", "a.=.c"] {
            assert_eq!(expiry(jwt), None, "{jwt}");
        }
        assert_eq!(of_login(&Login::Token("a.e30.c".to_owned().into())), None);
    }
}
