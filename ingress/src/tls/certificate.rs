//! The names in a client certificate: <https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6>.

use std::net::IpAddr;

use tracing::warn;
use x509_cert::{
    Certificate,
    der::{self, Decode as _},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// The subject alternative names of a certificate that a CA of `tls.client_ca_file` has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    names: Vec<Name>,
}

/// A name with its type: a URI never equals a DNS name, however it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// In lower case: such names have none.
    Dns(String),
    Uri(String),
    Email(String),
    Ip(IpAddr),
}

impl ClientCertificate {
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// `None` for one that webpki accepts and x509-cert cannot parse: it then has no names.
    pub fn read(certificate: &[u8]) -> Option<Self> {
        match Self::parse(certificate) {
            Ok(read) => Some(read),
            Err(error) => {
                warn!(%error, "cannot read the names of a client certificate of a known CA; it is treated like none");
                None
            }
        }
    }

    fn parse(certificate: &[u8]) -> der::Result<Self> {
        let certificate = Certificate::from_der(certificate)?;
        let found = certificate.tbs_certificate.get::<SubjectAltName>()?;
        let names = found.map_or_else(Vec::new, |(_critical, SubjectAltName(names))| names);
        Ok(Self {
            names: names.iter().filter_map(Name::of).collect(),
        })
    }
}

impl Name {
    /// `None` for types that cannot be configured, such as directory names.
    fn of(name: &GeneralName) -> Option<Self> {
        match name {
            GeneralName::DnsName(name) => Some(Self::Dns(name.as_str().to_ascii_lowercase())),
            GeneralName::UniformResourceIdentifier(uri) => Some(Self::Uri(uri.to_string())),
            GeneralName::Rfc822Name(address) => Some(Self::Email(address.to_string())),
            GeneralName::IpAddress(address) => address_of(address.as_bytes()).map(Self::Ip),
            _ => None,
        }
    }
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// From the configuration: an IP address, a URI if it has a colon, an e-mail address if it has an @, and
/// otherwise a DNS name.
impl From<&str> for Name {
    fn from(text: &str) -> Self {
        match text.parse() {
            Ok(address) => Self::Ip(address),
            Err(_) if text.contains(':') => Self::Uri(text.to_owned()),
            Err(_) if text.contains('@') => Self::Email(text.to_owned()),
            Err(_) => Self::Dns(text.to_ascii_lowercase()),
        }
    }
}

#[cfg(test)]
impl<const N: usize> From<[&str; N]> for ClientCertificate {
    fn from(names: [&str; N]) -> Self {
        Self {
            names: names.into_iter().map(Name::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn signed(names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn every_type() -> Vec<u8> {
        signed(vec![
            SanType::DnsName("Gateway.Example.com".try_into().unwrap()),
            SanType::URI("spiffe://prod/Akeyless".try_into().unwrap()),
            SanType::Rfc822Name("ops@example.com".try_into().unwrap()),
            SanType::IpAddress([192, 0, 2, 7].into()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
            SanType::OtherName((vec![1, 3, 6, 1], "other".into())),
        ])
    }

    #[test]
    fn every_type_of_name_is_read_as_people_write_it() {
        let read = ClientCertificate::parse(&every_type()).unwrap();
        let expected = [
            "gateway.example.COM",
            "spiffe://prod/Akeyless",
            "ops@example.com",
            "192.0.2.7",
            "2001:DB8:0::7",
        ];
        assert_eq!(read, expected.into());
    }

    #[test]
    fn a_certificate_without_names_names_nobody() {
        let read = ClientCertificate::parse(&signed(vec![])).unwrap();
        assert_eq!(read.names(), []);
        assert_eq!(ClientCertificate::read(b"no certificate"), None);
    }

    #[test]
    fn a_name_of_one_type_is_never_one_of_another() {
        let written_as_uri = SanType::DnsName("spiffe://prod/akeyless".try_into().unwrap());
        let read = ClientCertificate::parse(&signed(vec![written_as_uri])).unwrap();
        assert_ne!(read.names(), [Name::from("spiffe://prod/akeyless")]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            ClientCertificate::parse(&bytes).unwrap_err();
        }

        #[test]
        fn no_damage_makes_it_panic(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut damaged = every_type();
            let at = at.index(damaged.len());
            damaged[at] = to;
            ClientCertificate::read(&damaged);
        }
    }
}
