//! The parts of an X.509 certificate (RFC 5280) that are used: its key and its validity.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_cert::der::Decode as _;

use super::{Unauthorized, envelope::Signature};

/// A certificate that came from AWS over TLS: the CA that signed it is not checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// An `RSAPublicKey` (RFC 8017 §A.1.1).
    key: Vec<u8>,
    /// Seconds since 1970.
    valid: RangeInclusive<i64>,
}

impl Certificate {
    /// The first certificate of the text.
    pub(super) fn parse(pem: &[u8]) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        let certificate = x509_cert::Certificate::from_der(&der).ok()?.tbs_certificate;
        let seconds =
            |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
        let valid = certificate.validity;
        let key = certificate.subject_public_key_info.subject_public_key;
        Some(Self {
            key: key.as_bytes()?.to_vec(),
            valid: seconds(valid.not_before)?..=seconds(valid.not_after)?,
        })
    }

    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        self.valid.contains(&now.as_second())
    }

    pub(super) fn verify(&self, text: &[u8], signature: &Signature) -> Result<(), Unauthorized> {
        let verified = match signature {
            Signature::Sha1(signature) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, &self.key)
                    .verify(text, signature)
            }
            Signature::Sha256(signature) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key)
                    .verify(text, signature)
            }
        };
        verified.map_err(|_| Unauthorized)
    }
}
