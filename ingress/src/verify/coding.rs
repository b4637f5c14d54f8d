//! `Content-Encoding` (RFC 9110 §8.4): decompressed after verification, because a signature covers the bytes as they
//! were sent.

use std::io::{self, Read as _};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header::CONTENT_ENCODING};

use super::Verified;

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    #[error("the body has a Content-Encoding other than gzip: send it plain, or as gzip")]
    Unsupported,
    #[error("the body is larger than this server takes")]
    TooLarge,
    #[error("the body is not the gzip that its Content-Encoding says")]
    Broken,
}

impl Verified {
    /// The body without its compression. `limit`: its most bytes.
    pub fn decompressed(self, headers: &HeaderMap, limit: usize) -> Result<Self, CodingError> {
        let mut codings = headers.get_all(CONTENT_ENCODING).iter();
        let coding = match (codings.next(), codings.next()) {
            (None, _) => return Ok(self),
            (Some(coding), None) => coding.as_bytes().trim_ascii().to_ascii_lowercase(),
            (Some(_), Some(_)) => return Err(CodingError::Unsupported),
        };
        match &coding[..] {
            b"" | b"identity" => Ok(self),
            b"gzip" | b"x-gzip" => gunzip(&self.0, limit).map(Self),
            _ => Err(CodingError::Unsupported),
        }
    }
}

fn gunzip(body: &[u8], limit: usize) -> Result<Bytes, CodingError> {
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(body)
        .take(one_more)
        .read_to_end(&mut plain);
    read.map_err(|_: io::Error| CodingError::Broken)?;
    if plain.len() > limit {
        return Err(CodingError::TooLarge);
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use http::HeaderValue;

    use super::*;

    fn gzip(plain: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap().into()
    }

    fn decoded(codings: &[&'static str], body: Bytes) -> Result<Bytes, CodingError> {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        let plain = Verified(body).decompressed(&headers, 1000)?;
        Ok(plain.0)
    }

    #[test]
    fn gzip_is_decoded_and_plain_stays() {
        for coding in ["gzip", "GZIP", "x-gzip"] {
            assert_eq!(decoded(&[coding], gzip(b"{}")).unwrap(), "{}", "{coding}");
        }
        for codings in [&[][..], &["identity"], &[""]] {
            assert_eq!(decoded(codings, "{}".into()).unwrap(), "{}", "{codings:?}");
        }
    }

    #[test]
    fn what_it_becomes_is_limited() {
        assert!(decoded(&["gzip"], gzip(&[b' '; 1000])).is_ok());
        let bomb = gzip(&vec![b' '; 10_000_000]);
        assert_eq!(decoded(&["gzip"], bomb), Err(CodingError::TooLarge));
    }

    #[test]
    fn other_codings_are_refused_by_name() {
        for codings in [
            &["br"][..],
            &["gzip, gzip"],
            &["gzip", "gzip"],
            &["deflate"],
        ] {
            assert_eq!(
                decoded(codings, gzip(b"{}")),
                Err(CodingError::Unsupported),
                "{codings:?}"
            );
        }
        for body in ["{}".into(), gzip(b"{}").slice(..10)] {
            assert_eq!(decoded(&["gzip"], body), Err(CodingError::Broken));
        }
    }
}
