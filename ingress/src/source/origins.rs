//! The origins that may ask whether they may send ([`crate::preflight`]).

use http::HeaderValue;

/// The longest name in the DNS (RFC 1035 §2.3.4).
const MAX_ORIGIN_BYTES: usize = 255;

/// The origins that a source accepts: DNS names of sending systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origins {
    Any,
    Only(&'static [&'static str]),
}

impl Origins {
    pub(crate) fn allow(self, origin: &HeaderValue) -> bool {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.".contains(byte);
        let origin = origin.as_bytes();
        let is_name = (1..=MAX_ORIGIN_BYTES).contains(&origin.len()) && origin.iter().all(fits);
        let is_one = match self {
            Self::Any => true,
            Self::Only(names) => names
                .iter()
                .any(|name| origin.eq_ignore_ascii_case(name.as_bytes())),
        };
        is_name && is_one
    }
}
