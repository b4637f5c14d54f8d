//! A client certificate, pinned by name: <https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6>.

use eso_relay::config::{ConfigError, OneOrMany};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Unauthorized;
use crate::tls::{ClientCertificate, Name};

/// The handshake has shown that the client holds the certificate and that a CA of `tls.client_ca_file` signed
/// it; here its names are compared with those of the source.
#[derive(Debug)]
pub struct Mtls {
    names: Vec<Name>,
}

/// A client certificate (RFC 8446 §4.4.2) whose subject alternative names hold one of `san`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MtlsConfig {
    /// One name or several: DNS names (without case), URIs, e-mail or IP addresses. Compared whole,
    /// without patterns.
    pub san: OneOrMany<String>,
}

impl MtlsConfig {
    /// No name at all, or an empty one, is an error.
    pub fn open(&self) -> Result<Mtls, ConfigError> {
        let names = self.san.as_slice();
        if names.is_empty()
            || names
                .iter()
                .any(|name| name.trim() != name || name.is_empty())
        {
            return Err(ConfigError::Invalid(
                "auth.mtls.san is empty or holds an empty name or spaces: write each name as the client certificate has it, such as spiffe://prod/akeyless".to_owned(),
            ));
        }
        Ok(Mtls {
            names: names.iter().map(|name| Name::from(name.as_str())).collect(),
        })
    }
}

impl Mtls {
    /// `certificate`: of the connection; `None` if the client showed none.
    pub(super) fn check(
        &self,
        certificate: Option<&ClientCertificate>,
    ) -> Result<(), Unauthorized> {
        let shown = certificate.map_or(&[][..], ClientCertificate::names);
        if shown.iter().any(|name| self.names.contains(name)) {
            Ok(())
        } else {
            Err(Unauthorized)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(san: &Value) -> MtlsConfig {
        serde_json::from_value(json!({ "san": san })).unwrap()
    }

    #[test]
    fn one_pinned_name_among_the_certificates_is_enough_and_the_whole_of_it() {
        let pinned = json!(["spiffe://prod/akeyless", "Gateway.example.com", "192.0.2.7"]);
        let mtls = config(&pinned).open().unwrap();
        let check = |certificate: ClientCertificate| mtls.check(Some(&certificate));
        for right in [
            ["spiffe://prod/akeyless", "x.example.com"],
            ["x.example.com", "gateway.EXAMPLE.com"],
            ["192.0.2.7", "192.0.2.8"],
        ] {
            assert_eq!(check(right.into()), Ok(()), "{right:?}");
        }
        for wrong in [
            "spiffe://prod/akeyless/x",
            "spiffe://prod/akeyles",
            "spiffe://prod/Akeyless",
            "spiffe:",
            "x.gateway.example.com",
            "*.example.com",
            "example.com",
            "gateway@example.com",
            "192.0.2.70",
            "",
        ] {
            assert_eq!(check([wrong].into()), Err(Unauthorized), "{wrong}");
        }
        assert_eq!(check([].into()), Err(Unauthorized));
        assert_eq!(mtls.check(None), Err(Unauthorized));
    }

    #[test]
    fn one_name_needs_no_list_and_a_star_is_no_pattern() {
        let mtls = config(&json!("*.example.com")).open().unwrap();
        assert!(mtls.check(Some(&["a.example.com"].into())).is_err());
        assert!(mtls.check(Some(&["*.example.com"].into())).is_ok());
    }

    #[test]
    fn no_name_or_an_empty_one_is_an_error_at_the_start() {
        for san in [json!([]), json!(""), json!(["a", ""]), json!(" a")] {
            let error = config(&san).open().unwrap_err().to_string();
            assert!(error.contains("auth.mtls.san"), "{san}: {error}");
        }
        assert!(serde_json::from_value::<MtlsConfig>(json!({})).is_err());
    }
}
