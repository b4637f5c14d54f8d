//! The `tls:` section, and what its files hold.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use eso_relay::{certificate, config::ConfigError};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::file_version::FileVersion;

const CERT: &str = "tls.cert_file";
const KEY: &str = "tls.key_file";
const CLIENT_CA: &str = "tls.client_ca_file";

/// TLS 1.2 and 1.3 at the public port. Without `cert_file` it is plain HTTP, for a proxy that ends
/// TLS. All files are PEM, and read again when they change.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The server's certificate, then those between it and its CA.
    pub cert_file: Option<PathBuf>,
    /// The certificate's key: PKCS #8, PKCS #1 or SEC1, without a passphrase.
    pub key_file: Option<PathBuf>,
    /// One CA or several: clients are asked for a certificate that one of these has signed. Only sources with
    /// `auth.mtls` require one.
    pub client_ca_file: Option<PathBuf>,
}

/// The files of a [`TlsConfig`] that is complete.
#[derive(Debug, Clone)]
pub struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What the files hold.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: ServerConfig,
    pub(super) expiry: Expiry,
}

/// When the first certificate of a file expires, in seconds since 1970; `None` without one that can
/// be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Of `cert_file`.
    pub server: Option<i64>,
    /// Of `client_ca_file`.
    pub client_ca: Option<i64>,
}

impl TlsConfig {
    /// `None` for plain HTTP. Looks at no file.
    pub fn files(&self) -> Result<Option<Files>, ConfigError> {
        match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => Ok(Some(Files {
                cert: cert.clone(),
                key: key.clone(),
                client_ca: self.client_ca_file.clone(),
            })),
            (None, None) if self.client_ca_file.is_none() => Ok(None),
            (None, None) => Err(ConfigError::Invalid(format!(
                "`{CLIENT_CA}` needs TLS: set `{CERT}` and `{KEY}` too, or remove it"
            ))),
            _ => Err(ConfigError::Invalid(format!(
                "set both `{CERT}` and `{KEY}`, or neither"
            ))),
        }
    }
}

impl Files {
    /// In a fixed order.
    pub(super) fn versions(&self) -> Result<Vec<FileVersion>, ConfigError> {
        let files = [(CERT, Some(&self.cert)), (KEY, Some(&self.key))];
        files
            .into_iter()
            .chain([(CLIENT_CA, self.client_ca.as_ref())])
            .filter_map(|(setting, file)| Some((setting, file?)))
            .map(|(setting, file)| {
                FileVersion::of(file).map_err(|error| unreadable(setting, file, &error))
            })
            .collect()
    }

    pub(super) fn read(&self) -> Result<Loaded, ConfigError> {
        let mut expiry = Expiry::default();
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| ConfigError::Invalid(format!("`tls`: {error}")))?;
        let builder = match &self.client_ca {
            Some(file) => {
                let cas = certificates(CLIENT_CA, file)?;
                expiry.client_ca = certificate::first_expiry(&cas);
                builder.with_client_cert_verifier(client_verifier(file, cas, provider)?)
            }
            None => builder.with_no_client_auth(),
        };
        let chain = certificates(CERT, &self.cert)?;
        expiry.server = certificate::first_expiry(&chain);
        let mut config = builder
            .with_single_cert(chain, self.private_key()?)
            .map_err(|error| self.unfit(&error))?;
        // By preference. A client that names protocols and none of these is refused (RFC 7301 §3.2).
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        if self.client_ca.is_some() {
            // A resumed session would keep a client certificate that is not looked at again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Loaded { config, expiry })
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, ConfigError> {
        // Without the cause: it may quote the file.
        PrivateKeyDer::from_pem_slice(&contents(KEY, &self.key)?).map_err(|_| {
            refuse(
                KEY,
                &self.key,
                "holds no private key: put one there as PEM, without a passphrase",
            )
        })
    }

    /// Each file is readable, but they do not work together.
    fn unfit(&self, error: &rustls::Error) -> ConfigError {
        match error {
            rustls::Error::InconsistentKeys(_) => refuse(
                KEY,
                &self.key,
                &format!(
                    "is not the key of the certificate in {}: name the two of one pair, the server's own certificate first",
                    self.cert.display()
                ),
            ),
            error => refuse(
                CERT,
                &self.cert,
                &format!("and `{KEY}` cannot be used ({error}): renew both"),
            ),
        }
    }
}

/// Asks for a certificate, and admits clients without one.
fn client_verifier(
    file: &Path,
    cas: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let unfit = |error: &dyn std::error::Error| {
        let problem = format!(
            "holds something that is not a CA ({error}): put certificates of CAs there only"
        );
        refuse(CLIENT_CA, file, &problem)
    };
    let mut roots = RootCertStore::empty();
    for certificate in cas {
        roots.add(certificate).map_err(|error| unfit(&error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| unfit(&error))
}

fn certificates(setting: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = contents(setting, file)?;
    match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(refuse(
            setting,
            file,
            "holds no certificate: put one there as PEM",
        )),
    }
}

fn contents(setting: &str, file: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(file).map_err(|error| unreadable(setting, file, &error))
}

fn unreadable(setting: &str, file: &Path, error: &io::Error) -> ConfigError {
    let problem = format!("cannot be read ({error}): mount it, or name another file");
    refuse(setting, file, &problem)
}

fn refuse(setting: &str, file: &Path, problem: &str) -> ConfigError {
    ConfigError::Invalid(format!("`{setting}`: {} {problem}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::fixtures::{Ca, Mounted};

    fn refused(config: &TlsConfig) -> String {
        let read = config.files().and_then(|files| files.unwrap().read());
        read.unwrap_err().to_string()
    }

    #[test]
    fn without_files_the_port_is_plain_http() {
        assert!(TlsConfig::default().files().unwrap().is_none());
    }

    #[test]
    fn one_file_without_those_that_it_needs_is_refused() {
        let file = Some(PathBuf::from("file"));
        let alone = TlsConfig {
            client_ca_file: file.clone(),
            ..TlsConfig::default()
        };
        assert!(refused(&alone).contains("`tls.client_ca_file` needs TLS"));
        for (cert_file, key_file) in [(file.clone(), None), (None, file)] {
            let half = TlsConfig {
                cert_file,
                key_file,
                client_ca_file: None,
            };
            assert!(refused(&half).contains("set both `tls.cert_file` and `tls.key_file`"));
        }
    }

    #[test]
    fn a_bad_file_is_named_with_its_setting_and_a_remedy() {
        let ca = Ca::new("a");
        let mounted = Mounted::new(&ca.localhost(), Some(&ca));
        let (certificate, key) = ca.localhost().pem();
        let (_, of_another) = ca.localhost().pem();
        mounted.config().files().unwrap().unwrap().read().unwrap();
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let no_der = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        for (setting, file, text, expected) in [
            (
                "cert_file",
                "tls.crt",
                Some("hello"),
                "put one there as PEM",
            ),
            (
                "cert_file",
                "tls.crt",
                Some(key.as_str()),
                "holds no certificate",
            ),
            ("cert_file", "tls.crt", Some(no_der), "renew both"),
            ("cert_file", "tls.crt", None, "No such file"),
            (
                "key_file",
                "tls.key",
                Some(&certificate),
                "put one there as PEM",
            ),
            (
                "key_file",
                "tls.key",
                Some(&encrypted),
                "without a passphrase",
            ),
            (
                "key_file",
                "tls.key",
                Some(&of_another),
                "tls.crt: name the two of one pair",
            ),
            (
                "key_file",
                "tls.key",
                None,
                "mount it, or name another file",
            ),
            ("client_ca_file", "ca.crt", Some(""), "put one there as PEM"),
            (
                "client_ca_file",
                "ca.crt",
                Some(no_der),
                "put certificates of CAs there only",
            ),
            ("client_ca_file", "ca.crt", None, "No such file"),
        ] {
            mounted.write("tls.crt", &certificate);
            mounted.write("tls.key", &key);
            mounted.write("ca.crt", &ca.pem());
            let config = mounted.config();
            match text {
                Some(text) => mounted.write(file, text),
                None => fs::remove_file(mounted.path(file)).unwrap(),
            }
            let error = refused(&config);
            let at = format!("`tls.{setting}`: {} ", mounted.path(file).display());
            assert!(error.contains(&at) && error.contains(expected), "{error}");
            assert!(
                !error.contains("hello") && !error.contains("aGVsbG8"),
                "{error}"
            );
        }
    }
}
