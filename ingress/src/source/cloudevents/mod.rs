//! CloudEvents 1.0 over HTTP: binary, structured and batch mode.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>
//!
//! Our own types (`secret.changed`, …) with our own `data` pass through; the key of any other event is its
//! subject, or in its data where the configuration points.

mod own;

use std::{borrow::Cow, fmt::Display};

use eso_relay::event::{Keys, Kind, Origin};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    DecodeError, Decoded, Element, Irrelevant, checked_type, generic,
    json::{Scalar, Shape, elements, fields, place, shape, whole},
    malformed,
    meaning::{Meaning, keys},
    pointer::Document,
    usable_id,
};

/// What the configuration adds to an event.
pub(super) struct Mapping {
    /// For events of other types: pointers into `data`. Without pointers to keys, the subject is the key.
    pub meaning: Meaning,
    /// The types that are not ignored. Empty: all.
    pub kinds: Vec<String>,
}

/// The attributes of one event, from its JSON or from headers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    specversion: Scalar,
    id: Scalar,
    source: Scalar,
    #[serde(rename = "type")]
    kind: Scalar,
    subject: Scalar,
    time: Scalar,
}

impl Mapping {
    pub(super) fn decode(&self, headers: &HeaderMap, body: &[u8]) -> Result<Decoded, DecodeError> {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = content_type
            .and_then(|value| value.split(';').next())
            .unwrap_or_default();
        match media_type.trim().to_ascii_lowercase().as_str() {
            "application/cloudevents-batch+json" => self.batch(body),
            "application/cloudevents+json" => self.structured(0, whole(body)?).map(Decoded::one),
            _ if headers.contains_key("ce-specversion") => {
                self.binary(headers, body).map(Decoded::one)
            }
            _ => Err(malformed(
                "not a CloudEvent: send Content-Type application/cloudevents+json, application/cloudevents-batch+json, or ce- headers",
            )),
        }
    }

    fn batch(&self, body: &[u8]) -> Result<Decoded, DecodeError> {
        let body = whole(body)?;
        let Shape::Array(_) = shape(body) else {
            return Err(malformed("the body is not an array of events"));
        };
        Decoded::each(elements(body)?, |index, event| {
            self.structured(index, event)
        })
    }

    fn structured(&self, index: usize, event: &RawValue) -> Result<Element, DecodeError> {
        let attributes = fields(event, &place(index))?;
        let data = match shape(event) {
            Shape::Object(mut object) => object.remove("data"),
            Shape::Array(_) | Shape::Scalar => None,
        };
        self.change(index, attributes, || Ok(data))
    }

    fn binary(&self, headers: &HeaderMap, body: &[u8]) -> Result<Element, DecodeError> {
        let attribute = |name: &str| match headers.get(name) {
            None => Scalar::Missing,
            Some(value) => {
                let value = unquoted(value.as_bytes());
                percent_decoded(&value).map_or(Scalar::Other, Scalar::Text)
            }
        };
        let attributes = Attributes {
            specversion: attribute("ce-specversion"),
            id: attribute("ce-id"),
            source: attribute("ce-source"),
            kind: attribute("ce-type"),
            subject: attribute("ce-subject"),
            time: attribute("ce-time"),
        };
        // Data has to be JSON only if something is read from it.
        self.change(0, attributes, || match body {
            [] => Ok(None),
            body => whole(body).map(Some),
        })
    }

    fn change<'a>(
        &self,
        index: usize,
        attributes: Attributes,
        data: impl FnOnce() -> Result<Option<&'a RawValue>, DecodeError>,
    ) -> Result<Element, DecodeError> {
        let place = place(index);
        let at = |field: &str| format!("{place}: {field}");
        let version = attributes.specversion.required(at("specversion"))?;
        if version != "1" && !version.starts_with("1.") {
            return Err(malformed(at("specversion is not 1.x")));
        }
        let kind = checked_type(attributes.kind.required(at("type"))?, at("type"))?;
        let own_kind = own::kind(&kind);
        if own_kind.is_none() && !generic::allowed(&self.kinds, Some(&kind)) {
            return Ok(Element::Ignored(Irrelevant::Type));
        }
        let event_id = usable_id(attributes.id);
        // Both together identify an event (CloudEvents §3.1.1), and many producers may share a source of ours.
        let id = match (&attributes.source, &event_id) {
            (Scalar::Text(source), Some(id)) => usable_id(Scalar::Text(joined(source, id))),
            _ => None,
        };
        let subject = attributes.subject.optional(at("subject"))?;
        let wanted = own_kind.is_some() || self.meaning.reads();
        let data = if wanted { data()? } else { None };
        let own = match own_kind.and(data) {
            Some(data) => own::change(data, self.meaning.allow_all, &place)?,
            None => None,
        };
        let mut change = if let Some(change) = own {
            change
        } else {
            let data = data.map(Document::of);
            let meaning = self.meaning.read(data.as_ref(), &place)?;
            meaning.change(&place, || self.alias(subject, data.as_ref(), &place))?
        };
        // `mapping.template` makes every event a change of a template source.
        if change.kind != Kind::TemplateChanged {
            change.kind = own_kind.unwrap_or(change.kind);
        }
        if change.kind == Kind::TemplateChanged && !change.matches.names_template_sources() {
            return Err(malformed(format!(
                "{place}: it is about templates, and has to match exactly by keys such as ConfigMap/NAME and Secret/NAME"
            )));
        }
        change.id = id;
        change.origin = Origin {
            event_id,
            kind: Some(kind),
            ..Origin::default()
        };
        change.time = generic::time(&attributes.time);
        Ok(change.into())
    }

    /// The keys of an event that does not carry our data.
    fn alias(
        &self,
        subject: Option<String>,
        data: Option<&Document<'_>>,
        place: &dyn Display,
    ) -> Result<Keys, DecodeError> {
        match (&self.meaning.keys[..], data) {
            ([], _) => {
                let subject =
                    subject.ok_or_else(|| malformed(format!("{place}: subject is missing")))?;
                Keys::one(subject)
                    .map_err(|problem| malformed(format!("{place}: subject: {problem}")))
            }
            (pointers, Some(data)) => keys(pointers, data, place),
            (_, None) => Err(malformed(format!("{place}: data is missing"))),
        }
    }
}

/// Both as one text. Slashes in the id are escaped, so that no other pair gives the same text.
fn joined(source: &str, id: &str) -> String {
    format!("{source}/{}", id.replace('%', "%25").replace('/', "%2F"))
}

/// Double quotes around a value are removed first (HTTP binding §3.1.3.2).
fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = value else {
        return value.into();
    };
    let mut unquoted = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        // A backslash escapes the next byte (RFC 9110 §5.6.4).
        let escaped = if *byte == b'\\' { bytes.next() } else { None };
        unquoted.push(*escaped.unwrap_or(byte));
    }
    unquoted.into()
}

/// Attribute values in headers are percent-encoded UTF-8 (HTTP binding §3.1.3.2).
fn percent_decoded(value: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            let mut digit = || char::from(*bytes.next()?).to_digit(16);
            decoded.push(u8::try_from(digit()? << 4 | digit()?).ok()?);
        } else {
            decoded.push(*byte);
        }
    }
    String::from_utf8(decoded).ok()
}
