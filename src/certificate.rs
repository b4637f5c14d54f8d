//! When certificates expire.

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_cert::{Certificate, der::Decode as _};

/// When the first of them expires, in seconds since 1970; ignores those that cannot be parsed.
pub fn first_expiry(certificates: &[CertificateDer<'_>]) -> Option<i64> {
    let expiry = |certificate: &CertificateDer<'_>| {
        let certificate = Certificate::from_der(certificate).ok()?;
        let until = certificate.tbs_certificate.validity.not_after;
        i64::try_from(until.to_unix_duration().as_secs()).ok()
    };
    certificates.iter().filter_map(expiry).min()
}

/// The same of the certificates in a PEM file.
pub fn first_expiry_in(pem: &[u8]) -> Option<i64> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .collect();
    first_expiry(&certificates)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn pem(year: i32) -> String {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn the_first_certificate_that_expires_counts() {
        let chain = format!("{}{}", pem(2040), pem(2030));
        assert_eq!(first_expiry_in(chain.as_bytes()), Some(1_893_456_000));
        assert_eq!(first_expiry_in(b"no certificate"), None);
    }
}
