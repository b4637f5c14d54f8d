//! JSON read no deeper than asked for: payloads beside the fields that matter, which may hold secret
//! values, are skipped and never stored.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use http::{HeaderMap, HeaderValue};
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{DecodeError, MAX_ELEMENTS, malformed};

/// A string or a number, as text; anything else is [`Scalar::Other`], so that the caller can say
/// which field is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Scalar {
    Text(String),
    #[default]
    Missing,
    Other,
}

impl Scalar {
    /// What a header tells.
    pub(super) fn of_header(headers: &HeaderMap, name: &str) -> Self {
        match headers.get(name).map(HeaderValue::to_str) {
            Some(Ok(text)) => Self::Text(text.to_owned()),
            Some(Err(_)) => Self::Other,
            None => Self::Missing,
        }
    }

    /// The other one when this is missing or null.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::Missing => other,
            found => found,
        }
    }

    /// `None` when it is missing or null.
    pub(super) fn optional(self, at: &str) -> Result<Option<String>, DecodeError> {
        match self {
            Self::Text(text) => Ok(Some(text)),
            Self::Missing => Ok(None),
            Self::Other => Err(malformed(format!("{at} is neither a string nor a number"))),
        }
    }

    pub(super) fn required(self, at: &str) -> Result<String, DecodeError> {
        self.optional(at)?
            .ok_or_else(|| malformed(format!("{at} is missing")))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Text(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Text(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Text(number.to_string()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Scalar, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// An object, its values unread.
pub(super) type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// A JSON text, one step deep.
pub(super) enum Shape<'a> {
    Object(Object<'a>),
    Array(Vec<&'a RawValue>),
    Scalar,
}

/// The whole of a body; an error when any part of it is not JSON.
pub(super) fn whole(body: &[u8]) -> Result<&RawValue, DecodeError> {
    serde_json::from_slice(body).map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> DecodeError {
    DecodeError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}

pub(super) fn shape(json: &RawValue) -> Shape<'_> {
    let text = json.get();
    match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str(text).map_or(Shape::Scalar, Shape::Object),
        Some(b'[') => serde_json::from_str(text).map_or(Shape::Scalar, Shape::Array),
        _ => Shape::Scalar,
    }
}

/// The elements of a body that is an array of objects or a single object.
pub(super) fn elements(json: &RawValue) -> Result<Vec<&RawValue>, DecodeError> {
    match shape(json) {
        Shape::Object(_) => Ok(vec![json]),
        Shape::Array(elements) if elements.len() > MAX_ELEMENTS => {
            Err(DecodeError::TooMany(elements.len()))
        }
        Shape::Array(elements) => Ok(elements),
        Shape::Scalar => Err(malformed("the body is neither an object nor an array")),
    }
}

/// The elements of a body of JSON texts one after the other, each an object or an array of objects.
pub(super) fn lines(body: &[u8]) -> Result<Vec<&RawValue>, DecodeError> {
    let mut found = Vec::new();
    for text in serde_json::Deserializer::from_slice(body).into_iter() {
        found.extend(elements(text.map_err(|error| not_json(&error))?)?);
        if found.len() > MAX_ELEMENTS {
            return Err(DecodeError::TooMany(found.len()));
        }
    }
    Ok(found)
}

/// What an object has at a field; `None` for null, and when `json` is no object.
pub(super) fn part<'a>(json: &'a RawValue, field: &str) -> Option<&'a RawValue> {
    match shape(json) {
        Shape::Object(mut object) => object.remove(field).filter(|part| part.get() != "null"),
        Shape::Array(_) | Shape::Scalar => None,
    }
}

/// The same of a whole body, which is scanned only once where it is an array.
pub(super) fn whole_elements(body: &[u8]) -> Result<Vec<&RawValue>, DecodeError> {
    match serde_json::from_slice::<Vec<&RawValue>>(body) {
        Ok(elements) if elements.len() > MAX_ELEMENTS => Err(DecodeError::TooMany(elements.len())),
        Ok(elements) => Ok(elements),
        Err(_) => elements(whole(body)?),
    }
}

/// Reads the fields that `T` names out of an object and skips the others.
///
/// `at`: the place in the body, for the message. serde's own text can quote the payload.
pub(super) fn fields<'a, T: Deserialize<'a>>(
    json: &'a RawValue,
    at: &str,
) -> Result<T, DecodeError> {
    if !json.get().starts_with('{') {
        return Err(malformed(format!("{at} is not an object")));
    }
    serde_json::from_str(json.get())
        .map_err(|_| malformed(format!("{at} has a field twice or of the wrong type")))
}

/// How messages call the element at `index`.
pub(super) fn place(index: usize) -> String {
    format!("element {index}")
}
