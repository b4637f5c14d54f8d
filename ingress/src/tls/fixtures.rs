//! CAs and what they sign, as files that are replaced the way Kubernetes does it.

use std::{fs, path::PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use super::TlsConfig;

pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(super) struct Pair {
    certificate: Certificate,
    key: KeyPair,
}

impl Ca {
    /// CAs of different names.
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// For the server.
    pub(super) fn localhost(&self) -> Pair {
        self.sign(&CertificateParams::new(vec!["localhost".to_owned()]).unwrap())
    }

    /// For a client.
    pub(super) fn client(&self, uri: &str) -> Pair {
        self.sign(&named(uri, ExtendedKeyUsagePurpose::ClientAuth))
    }

    /// For a client that should have renewed it long ago.
    pub(super) fn expired_client(&self, uri: &str) -> Pair {
        let mut params = named(uri, ExtendedKeyUsagePurpose::ClientAuth);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(&params)
    }

    /// For servers only, in the hands of a client.
    pub(super) fn server_only(&self, uri: &str) -> Pair {
        self.sign(&named(uri, ExtendedKeyUsagePurpose::ServerAuth))
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate, key }
    }
}

fn named(uri: &str, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.extended_key_usages = vec![purpose];
    params
}

impl Pair {
    pub(super) fn pem(&self) -> (String, String) {
        (self.certificate.pem(), self.key.serialize_pem())
    }

    pub(super) fn der(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        (self.certificate.der().clone(), key)
    }
}

/// A mounted Secret: `tls.crt`, `tls.key` and `ca.crt`.
pub(super) struct Mounted(TempDir);

impl Mounted {
    pub(super) fn new(server: &Pair, client_ca: Option<&Ca>) -> Self {
        let mounted = Self(TempDir::new().unwrap());
        mounted.put(server);
        if let Some(ca) = client_ca {
            mounted.write("ca.crt", &ca.pem());
        }
        mounted
    }

    pub(super) fn put(&self, server: &Pair) {
        let (certificate, key) = server.pem();
        self.write("tls.crt", &certificate);
        self.write("tls.key", &key);
    }

    /// Written aside, then moved over the old one.
    pub(super) fn write(&self, name: &str, text: &str) {
        let aside = self.path("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.path(name)).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// With a `client_ca_file` if there is one.
    pub(super) fn config(&self) -> TlsConfig {
        let client_ca = self.path("ca.crt");
        TlsConfig {
            cert_file: Some(self.path("tls.crt")),
            key_file: Some(self.path("tls.key")),
            client_ca_file: client_ca.exists().then_some(client_ca),
        }
    }
}
