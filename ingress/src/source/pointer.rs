//! JSON pointers (RFC 6901) into a text that is read no deeper than the pointer goes.
//!
//! Queues, topics and log shippers put JSON into a string. A pointer goes through it: the step after a string
//! leads into the object or array whose JSON text the string is. By RFC 6901 such a pointer finds nothing, so
//! it has no other meaning.

use std::borrow::Cow;

use eso_relay::config::ConfigError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json::{self, Shape, Text, is_object, shape};

/// `""` is the whole; `/a/0/b` goes into objects and arrays; `~1` stands for `/`, `~0` for `~`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer(String);

impl TryFrom<String> for Pointer {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        if text.is_empty() || text.starts_with('/') {
            Ok(Self(text))
        } else {
            Err(ConfigError::Invalid(format!(
                "`{text}` is not a JSON pointer: write `/{text}`"
            )))
        }
    }
}

impl JsonSchema for Pointer {
    fn schema_name() -> Cow<'static, str> {
        "Pointer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "json-pointer", "pattern": "^(/.*)?$" })
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> Self {
        pointer.0
    }
}

impl Pointer {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `None` when there is nothing at that place. A string at the end stays one.
    pub(super) fn find<'a>(&self, json: &'a RawValue) -> Option<Cow<'a, RawValue>> {
        steps(json, self.0.split('/').skip(1))
    }

    /// The same in a text whose fields are read already.
    pub(super) fn find_in<'a>(&self, document: &Document<'a>) -> Option<Cow<'a, RawValue>> {
        let mut tokens = self.0.split('/').skip(1);
        match (&document.shape, tokens.next()) {
            (Shape::Object(fields), Some(first)) => steps(fields.get(&*unescaped(first))?, tokens),
            _ => self.find(document.json),
        }
    }
}

/// A JSON text that several pointers go into: its own fields are read once for all of them.
pub(super) struct Document<'a> {
    json: &'a RawValue,
    shape: Shape<'a>,
}

impl<'a> Document<'a> {
    pub(super) fn of(json: &'a RawValue) -> Self {
        let shape = shape(json);
        Self { json, shape }
    }

    pub(super) fn json(&self) -> &'a RawValue {
        self.json
    }
}

fn steps<'a, 't>(
    json: &'a RawValue,
    mut tokens: impl Iterator<Item = &'t str>,
) -> Option<Cow<'a, RawValue>> {
    tokens.try_fold(Cow::Borrowed(json), |json, token| {
        let token = unescaped(token);
        match open(json) {
            Cow::Borrowed(json) => member(json, &token).map(Cow::Borrowed),
            Cow::Owned(json) => member(&json, &token).map(|found| Cow::Owned(found.to_owned())),
        }
    })
}

fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        token.replace("~1", "/").replace("~0", "~").into()
    } else {
        token.into()
    }
}

fn member<'a>(json: &'a RawValue, token: &str) -> Option<&'a RawValue> {
    if is_object(json) {
        return json::member(json, token);
    }
    match shape(json) {
        Shape::Array(array) => array.get(token.parse::<usize>().ok()?).copied(),
        Shape::Object(_) | Shape::Scalar => None,
    }
}

/// The object or array whose JSON text a string is; any other value as it is.
pub(super) fn open(json: Cow<'_, RawValue>) -> Cow<'_, RawValue> {
    inside(&json).map_or(json, Cow::Owned)
}

fn inside(json: &RawValue) -> Option<Box<RawValue>> {
    if !json.get().starts_with('"') {
        return None;
    }
    let text: Cow<'_, str> = serde_json::from_str::<Text<'_>>(json.get()).ok()?.0;
    if !text.trim_ascii_start().starts_with(['{', '[']) {
        return None;
    }
    RawValue::from_string(text.into_owned()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_rfc_6901_lead_where_it_says() {
        let json = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2," ":7,"m~n":8}"#;
        let json: &RawValue = serde_json::from_str(json).unwrap();
        for (pointer, expected) in [
            ("/foo", Some(r#"["bar","baz"]"#)),
            ("/foo/0", Some(r#""bar""#)),
            ("/", Some("0")),
            ("/a~1b", Some("1")),
            ("/c%d", Some("2")),
            ("/ ", Some("7")),
            ("/m~0n", Some("8")),
            ("", Some(json.get())),
            ("/foo/2", None),
            ("/foo/bar", None),
            ("/a~1b/c", None),
        ] {
            let pointer = Pointer::try_from(pointer.to_owned()).unwrap();
            assert_eq!(
                pointer.find(json).as_deref().map(RawValue::get),
                expected,
                "{pointer:?}"
            );
        }
    }

    #[test]
    fn a_name_without_a_slash_is_refused_with_what_to_write() {
        let error = Pointer::try_from("name".to_owned()).unwrap_err();
        assert!(error.to_string().ends_with("write `/name`"), "{error}");
    }

    #[test]
    fn a_string_that_holds_json_is_gone_through() {
        let record = json!({ "detail": { "name": "prod/db", "count": "7" }, "list": ["a", 1] });
        let twice = json!({ "Message": record.to_string() }).to_string();
        let json = json!({ "body": format!(" {record}"), "twice": twice, "plain": "{not json", "number": "7" });
        let json: Box<RawValue> = serde_json::value::to_raw_value(&json).unwrap();
        for (pointer, expected) in [
            ("/body/detail/name", Some(r#""prod/db""#)),
            ("/body/list/1", Some("1")),
            ("/twice/Message/detail/name", Some(r#""prod/db""#)),
            // A text inside of a text is one more step, and what is no object or array holds nothing.
            ("/body/detail/count/0", None),
            ("/plain/not", None),
            ("/number/0", None),
            ("/number", Some(r#""7""#)),
        ] {
            let pointer = Pointer::try_from(pointer.to_owned()).unwrap();
            let found = pointer.find(&json);
            assert_eq!(found.as_deref().map(RawValue::get), expected, "{pointer:?}");
        }
        let body = Pointer::try_from("/body".to_owned())
            .unwrap()
            .find(&json)
            .unwrap();
        assert!(body.get().starts_with('"'), "a string at the end stays one");
        assert!(open(body).get().starts_with('{'));
    }

    proptest! {
        #[test]
        fn a_wrapped_text_is_found_like_a_bare_one(pointer in "(/(a|b|0|1|~1)){1,4}", wraps in 1_usize..4) {
            let value = json!({ "a": { "b": [1, { "0": "x" }], "/": { "a": null } }, "0": [[3], { "1": 4 }] });
            let mut text = value.to_string();
            for _ in 0..wraps {
                text = json!({ "w": text }).to_string();
            }
            let wrapped = Pointer::try_from(format!("{}{pointer}", "/w".repeat(wraps))).unwrap();
            let found = wrapped.find(serde_json::from_str(&text).unwrap())
                .map(|raw| serde_json::from_str::<serde_json::Value>(raw.get()).unwrap());
            prop_assert_eq!(found.as_ref(), value.pointer(&pointer));
        }

        #[test]
        fn it_agrees_with_serde_json(pointer in "(/(a|b|0|1|~0|~1)){0,4}") {
            let json = r#"{"a":{"b":[1,{"0":"x","~":[2]}],"/":{"a":null}},"0":[[3],{"1":4}]}"#;
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            let found = Pointer::try_from(pointer.clone()).unwrap().find(serde_json::from_str(json).unwrap())
                .map(|raw| serde_json::from_str::<serde_json::Value>(raw.get()).unwrap());
            prop_assert_eq!(found.as_ref(), value.pointer(&pointer));
        }
    }
}
