//! The input of a target: headers, a NUL byte, the body. Without a NUL byte all of it is the body.

use http::{HeaderMap, HeaderName, HeaderValue};

pub struct Input<'a> {
    pub headers: HeaderMap,
    pub query: Option<&'a str>,
    pub body: &'a [u8],
}

impl<'a> Input<'a> {
    /// `default`: the head of an input that has none.
    pub fn read(input: &'a [u8], default: &'a str) -> Self {
        match input.iter().position(|byte| *byte == 0) {
            None => Self::of(default.as_bytes(), input),
            Some(end) => Self::of(&input[..end], &input[end + 1..]),
        }
    }

    /// Each line of `head` is `name: value`, or the query after a question mark. Lines that HTTP
    /// does not let through are left out.
    pub fn of(head: &'a [u8], body: &'a [u8]) -> Self {
        let (mut headers, mut query) = (HeaderMap::new(), None);
        for line in head.split(|byte| *byte == b'\n') {
            if let Some(text) = line.strip_prefix(b"?") {
                query = str::from_utf8(text).ok().or(query);
            } else if let Some(colon) = line.iter().position(|byte| *byte == b':') {
                let name = HeaderName::from_bytes(&line[..colon]);
                let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
                if let (Ok(name), Ok(value)) = (name, value) {
                    headers.append(name, value);
                }
            }
        }
        Self {
            headers,
            query,
            body,
        }
    }
}
