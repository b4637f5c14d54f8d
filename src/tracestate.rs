//! W3C trace state: <https://www.w3.org/TR/trace-context/#tracestate-header>.
//!
//! What the tracing systems before us say of a trace. It is carried on as it came, and nothing here reads it.

use std::{collections::HashSet, str::FromStr, sync::Arc};

use serde::{Serialize, Serializer};

/// What every tracing system has to carry on. A longer one is not carried.
const MAX_BYTES: usize = 512;
const MAX_MEMBERS: usize = 32;
const MAX_PART: usize = 256;

/// A well-formed, short `tracestate` that is not empty. Cheap to clone: the events of a request share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceState(Arc<str>);

/// The text is not a `tracestate`, or too long a one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C tracestate of at most {MAX_BYTES} characters")]
pub struct InvalidTraceState;

impl TraceState {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TraceState {
    type Err = InvalidTraceState;

    /// Several header fields are one text, with commas between them.
    fn from_str(text: &str) -> Result<Self, InvalidTraceState> {
        // Members may be empty.
        let members = text
            .split(',')
            .map(|member| member.trim_matches([' ', '\t']));
        let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
        let mut keys = HashSet::new();
        let are_valid = members.iter().all(|member| {
            let parts = member.split_once('=');
            parts.is_some_and(|(key, value)| is_key(key) && is_value(value) && keys.insert(key))
        });
        let is_list = (1..=MAX_MEMBERS).contains(&members.len()) && are_valid;
        let state = members.join(",");
        if is_list && state.len() <= MAX_BYTES {
            Ok(Self(state.into()))
        } else {
            Err(InvalidTraceState)
        }
    }
}

impl Serialize for TraceState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// `vendor`, or `tenant@vendor`.
fn is_key(key: &str) -> bool {
    let begins = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let goes_on = |byte: u8| begins(byte) || b"_-*/@".contains(&byte);
    key.len() <= MAX_PART && key.bytes().next().is_some_and(begins) && key.bytes().all(goes_on)
}

/// Visible characters, and spaces among them.
fn is_value(value: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b' '..=b'~') && !b",=".contains(&byte);
    (1..=MAX_PART).contains(&value.len()) && value.bytes().all(fits) && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        let state: TraceState = text.parse().ok()?;
        Some(state.as_str().to_owned())
    }

    #[test]
    fn a_list_of_members_is_carried_as_it_came() {
        let longest = format!("k={}", "v".repeat(MAX_PART));
        let full = format!("{longest},l={}", "v".repeat(MAX_BYTES - longest.len() - 3));
        for state in [
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "fw529a3039@dt=FfffffffSlYTd0",
            "0@vendor=1",
            "a_-*/0=with spaces: and !~",
            &longest,
            &full,
        ] {
            assert_eq!(parsed(state).as_deref(), Some(state));
        }
        let spaced = parsed("\ta=1 , ,b=2,");
        assert_eq!(spaced.as_deref(), Some("a=1,b=2"));
        let most: Vec<_> = (0..MAX_MEMBERS).map(|at| format!("k{at}=v")).collect();
        assert!(parsed(&most.join(",")).is_some());
        assert!(parsed(&format!("{},more=v", most.join(","))).is_none());
    }

    #[test]
    fn what_the_specification_does_not_allow_is_refused() {
        let long = "v".repeat(MAX_PART + 1);
        let half = "v".repeat(MAX_PART - 1);
        for state in [
            "",
            " , ,",
            "a",
            "=1",
            "a=",
            "a=1=2",
            "A=1",
            "@a=1",
            "a b=1",
            "a=\u{e9}",
            "a=1\n",
            "a=1,a=2",
            &format!("a={long}"),
            &format!("{long}=1"),
            &format!("a={half},b={half}"),
        ] {
            assert_eq!(parsed(state), None, "{state}");
        }
    }
}
