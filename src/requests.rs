//! What the HTTP clients of both daemons share: the CAs that they trust, and why a request failed.

use std::{error::Error, io, iter::successors, path::Path};

use reqwest::Certificate;
use rustls::CertificateError;

use crate::config::ConfigError;

/// The CAs in a file (PEM); `setting` names it.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn authorities(path: &Path, setting: &str) -> Result<Vec<Certificate>, ConfigError> {
    let pem = std::fs::read(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(authorities) if !authorities.is_empty() => Ok(authorities),
        _ => Err(ConfigError::Invalid(format!(
            "{} holds no CA certificate in PEM (setting `{setting}`)",
            path.display()
        ))),
    }
}

/// The innermost cause is the most specific, such as "Connection refused".
pub fn cause(error: &reqwest::Error) -> String {
    let innermost = causes(error).last();
    innermost.map_or_else(String::new, ToString::to_string)
}

/// Whether the server has a certificate of a CA that is unknown here.
pub fn is_untrusted(error: &reqwest::Error) -> bool {
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    causes(error).any(|error| error.downcast_ref() == Some(&unknown))
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let outermost: &(dyn Error + 'static) = error;
    successors(Some(outermost), |&error| {
        // What it was made from is none of its sources.
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}
