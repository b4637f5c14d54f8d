//! The uid of an object: two objects may have the same name one after the other.

use std::{fmt, str::FromStr};

/// `metadata.uid`, a UUID (Kubernetes, "Object Names and IDs"), in 16 bytes instead of 36.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uid([u8; 16]);

/// Not a UUID in the form that Kubernetes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the form 01234567-89ab-cdef-0123-456789abcdef")]
pub struct InvalidUid;

/// Where the hyphens are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl FromStr for Uid {
    type Err = InvalidUid;

    fn from_str(text: &str) -> Result<Self, InvalidUid> {
        let hyphens = text.bytes().enumerate().filter(|(_, byte)| *byte == b'-');
        if !hyphens.map(|(at, _)| at).eq(HYPHENS) || text.len() != 36 {
            return Err(InvalidUid);
        }
        let digits = text.replace('-', "");
        let lowercase = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if !digits.bytes().all(lowercase) {
            return Err(InvalidUid);
        }
        let number = u128::from_str_radix(&digits, 16).map_err(|_| InvalidUid)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", u128::from_be_bytes(self.0));
        let part = |from, to| &digits[from..to];
        let (time, middle, high) = (part(0, 8), part(8, 12), part(12, 16));
        write!(
            f,
            "{time}-{middle}-{high}-{}-{}",
            part(16, 20),
            part(20, 32)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_comes_back_as_it_was_written() {
        let text = "00f47fe3-c0b2-55b6-dd80-47cdffa77258";
        assert_eq!(text.parse::<Uid>().unwrap().to_string(), text);
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "uid-1",
            "00F47FE3-c0b2-55b6-dd80-47cdffa77258",
            "00f47fe3c0b255b6dd8047cdffa77258----",
            "00f47fe3-c0b2-55b6-dd80-47cdffa7725\u{fc}",
        ] {
            assert!(text.parse::<Uid>().is_err(), "{text}");
        }
    }
}
