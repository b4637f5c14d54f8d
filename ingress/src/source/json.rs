//! Reads JSON no deeper than needed: other fields, which may hold secret values, are skipped and never stored.

use std::{
    borrow::{Borrow, Cow},
    collections::BTreeMap,
    fmt::{self, Display},
    ops::Deref,
};

use http::{HeaderMap, HeaderValue};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor, value::MapDeserializer},
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
    /// A number stays as it is written: as a float two long ids would become one.
    pub(super) fn of(json: &RawValue) -> Self {
        let json = json.get();
        match json.as_bytes() {
            b"null" => Self::Missing,
            [b'"', ..] => serde_json::from_str(json).map_or(Self::Other, Self::Text),
            [b'-' | b'0'..=b'9', ..] => Self::Text(json.to_owned()),
            _ => Self::Other,
        }
    }

    /// The value of a header.
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
    pub(super) fn optional(self, at: impl Display) -> Result<Option<String>, DecodeError> {
        match self {
            Self::Text(text) => Ok(Some(text)),
            Self::Missing => Ok(None),
            Self::Other => Err(malformed(format!("{at} is neither a string nor a number"))),
        }
    }

    pub(super) fn required(self, at: impl Display) -> Result<String, DecodeError> {
        self.optional(&at)?
            .ok_or_else(|| malformed(format!("{at} is missing")))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::of)
    }
}

/// An object, its values unread.
pub(super) type Object<'a> = BTreeMap<Text<'a>, &'a RawValue>;

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
    if is_object(json) {
        return Ok(vec![json]);
    }
    match shape(json) {
        Shape::Array(elements) if elements.len() > MAX_ELEMENTS => {
            Err(DecodeError::TooMany(elements.len()))
        }
        Shape::Array(elements) => Ok(elements),
        Shape::Object(_) | Shape::Scalar => {
            Err(malformed("the body is neither an object nor an array"))
        }
    }
}

/// The elements of a body of JSON texts one after the other, each an object or an array of objects.
///
/// If the body is anything else, each line is read by itself: text before its JSON is a prefix, and a line
/// without JSON is malformed.
pub(super) fn lines(body: &[u8]) -> Result<Vec<Result<&RawValue, DecodeError>>, DecodeError> {
    let error = match texts(body) {
        Ok(found) => return Ok(found.into_iter().map(Ok).collect()),
        Err(error @ DecodeError::TooMany(_)) => return Err(error),
        Err(error) => error,
    };
    let mut found = Vec::new();
    for (number, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let json = line.iter().position(|byte| b"{[".contains(byte));
        match texts(&line[json.unwrap_or(line.len())..]) {
            Ok(texts) if !texts.is_empty() => found.extend(texts.into_iter().map(Ok)),
            _ => found.push(Err(malformed(format!("line {} is not JSON", number + 1)))),
        }
        if found.len() > MAX_ELEMENTS {
            return Err(DecodeError::TooMany(found.len()));
        }
    }
    if found.iter().all(Result::is_err) {
        return Err(error);
    }
    Ok(found)
}

fn texts(body: &[u8]) -> Result<Vec<&RawValue>, DecodeError> {
    let mut found = Vec::new();
    for text in serde_json::Deserializer::from_slice(body).into_iter() {
        found.extend(elements(text.map_err(|error| not_json(&error))?)?);
        if found.len() > MAX_ELEMENTS {
            return Err(DecodeError::TooMany(found.len()));
        }
    }
    Ok(found)
}

/// The value of an object's field, the last one of a repeated field; `None` when `json` is not an object.
pub(super) fn member<'a>(json: &'a RawValue, field: &str) -> Option<&'a RawValue> {
    if !is_object(json) {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(json.get());
    Member(field).deserialize(&mut json).ok()?
}

/// The value of an object's field; `None` for null, and when `json` is not an object.
pub(super) fn part<'a>(json: &'a RawValue, field: &str) -> Option<&'a RawValue> {
    member(json, field).filter(|part| part.get() != "null")
}

pub(super) fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

/// Finds one field of an object and skips the others.
struct Member<'f>(&'f str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Text(field)) = object.next_key()? {
            if field == self.0 {
                found = Some(object.next_value()?);
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A string; copied only if it has escapes.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A map by text is asked for any text.
impl Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The [`elements`] of a whole body; an array is scanned only once.
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
    if !is_object(json) {
        return Err(malformed(format!("{at} is not an object")));
    }
    // Of a repeated field the last value counts, as in most parsers (RFC 8259 §4); serde refuses it.
    let last_of_each = || match shape(json) {
        Shape::Object(object) => {
            let entries = object.into_iter().map(|(Text(name), value)| (name, value));
            T::deserialize(MapDeserializer::new(entries))
        }
        Shape::Array(_) | Shape::Scalar => Err(serde::de::Error::custom("no object")),
    };
    serde_json::from_str(json.get())
        .or_else(|_: serde_json::Error| last_of_each())
        .map_err(|_: serde_json::Error| malformed(format!("{at} has a field of the wrong type")))
}

/// The element at an index of the body, as messages name it.
pub(super) struct Place(pub(super) usize);

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "element {}", self.0)
    }
}

/// The same as a text.
pub(super) fn place(index: usize) -> String {
    Place(index).to_string()
}
