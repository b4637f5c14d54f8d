//! Azure Key Vault through Event Grid, in Event Grid's own schema or as CloudEvents.
//! <https://learn.microsoft.com/azure/event-grid/event-schema-key-vault>
//!
//! A request holds up to 5,000 events: each is read into fields, never into a map.

use std::collections::BTreeMap;

use eso_relay::event::{Keys, Operation, Version};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Body, Change, DecodeError, Decoded, Element, Handshake, Irrelevant, checked_type,
    element::checked_id,
    generic::timestamp,
    json::{Scalar, Shape, fields, place, shape, whole_elements},
    malformed, usable_id,
};

/// Sent once before all other events; the answer repeats its code.
/// <https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema>
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

/// The fields of an event in both schemas: `eventType` and `eventTime` are Event Grid's own, `type`
/// and `time` those of CloudEvents.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields<'a> {
    id: Scalar,
    subject: Scalar,
    event_type: Scalar,
    event_time: Scalar,
    #[serde(rename = "type")]
    kind: Scalar,
    time: Scalar,
    /// Read only for event types that are not ignored.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The `data` of an event of a vault.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Object {
    id: Scalar,
    #[serde(rename = "VaultName")]
    vault: Scalar,
    #[serde(rename = "ObjectName")]
    name: Scalar,
    version: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Question {
    validation_code: Scalar,
}

/// `https://<host of the vault>/<secrets, keys or certificates>/<name>/<version>`.
#[derive(Default)]
struct Address<'a> {
    host: Option<&'a str>,
    name: Option<&'a str>,
    version: Option<&'a str>,
}

pub(super) fn decode(headers: &HeaderMap, body: &[u8]) -> Result<Body, DecodeError> {
    let events = whole_elements(body)?;
    if let Some(code) = validation(headers, events.first().copied())? {
        return Ok(Body::Handshake(Handshake::Validation { code }));
    }
    let decoded = Decoded::each(events, |index, event| {
        let place = place(index);
        read(fields(event, &place)?).map_err(|error| error.within(&place))
    });
    decoded.map(Body::Decoded)
}

/// The code to repeat, if the body is the validation of the subscription.
fn validation(
    headers: &HeaderMap,
    event: Option<&RawValue>,
) -> Result<Option<String>, DecodeError> {
    let place = place(0);
    let event: Fields<'_> =
        event.map_or_else(|| Ok(Fields::default()), |event| fields(event, &place))?;
    let announced = headers.get("aeg-event-type");
    let announced = announced.is_some_and(|kind| kind == "SubscriptionValidation");
    let typed = matches!(&event.event_type, Scalar::Text(kind) if kind == VALIDATION);
    if !announced && !typed {
        return Ok(None);
    }
    let question = event.data.map_or_else(
        || Ok(Question::default()),
        |data| fields(data, &format!("{place}: data")),
    )?;
    let at = format!("{place}: data.validationCode");
    checked_id(question.validation_code.required(&at)?, &at).map(Some)
}

fn read(event: Fields<'_>) -> Result<Element, DecodeError> {
    let kind = event.event_type.or(event.kind).required("eventType")?;
    let kind = checked_type(kind, "eventType")?;
    let Some(collections) = collections(&kind) else {
        return Ok(Element::Ignored(Irrelevant::Type));
    };
    let object = Object::read(event.data)?;
    let url = text(object.id, "data.Id")?;
    let address = url.as_deref().map_or_else(Address::default, Address::of);

    let name = text(object.name, "data.ObjectName")?;
    let subject = text(event.subject, "subject")?;
    let name = name.as_deref().or(address.name).or(subject.as_deref());
    let name = name.ok_or_else(|| malformed("data.ObjectName is missing"))?;
    if !is_name(name) {
        return Err(malformed(
            "data.ObjectName is not a name of 1 to 127 letters, digits and -",
        ));
    }
    // Names have no case in Key Vault.
    let name = name.to_ascii_lowercase();
    let keys = collections
        .iter()
        .map(|collection| format!("{collection}/{name}"));
    let keys = Keys::new(keys.collect())
        .map_err(|problem| malformed(format!("data.ObjectName: {problem}")))?;

    let vault_name = text(object.vault, "data.VaultName")?;
    // A name alone does not tell the cloud; consumers compare the names of vaults.
    let vault = address.host.map(str::to_ascii_lowercase).or_else(|| {
        let name = vault_name.filter(|name| is_name(name))?;
        Some(format!("{}.vault.azure.net", name.to_ascii_lowercase()))
    });
    let version = text(object.version, "data.Version")?;
    let version = version.as_deref().or(address.version);
    let time = event.event_time.or(event.time).optional("eventTime");

    let mut change = Change::of(keys).identified(usable_id(event.id));
    change.origin.kind = Some(kind);
    change.operation = Operation::Updated;
    // A time that cannot be read is no reason to miss a change.
    change.time = time.ok().flatten().as_deref().and_then(timestamp);
    change.version = version.filter(|id| is_name(id)).map(|id| Version {
        id: Some(id.to_owned()),
        labels: Vec::new(),
    });
    change.scope = BTreeMap::from_iter(vault.map(|vault| ("vault".to_owned(), vault)));
    Ok(change.into())
}

/// The key types of a store for which this type of event is a new version. All other types are about expiry and
/// access. A certificate is also a key and a secret of the same name.
fn collections(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Microsoft.KeyVault.SecretNewVersionCreated" => Some(&["secret"]),
        "Microsoft.KeyVault.KeyNewVersionCreated" => Some(&["key"]),
        "Microsoft.KeyVault.CertificateNewVersionCreated" => Some(&["cert", "key", "secret"]),
        _ => None,
    }
}

impl Object {
    fn read(data: Option<&RawValue>) -> Result<Self, DecodeError> {
        let Some(data) = data else {
            return Ok(Self::default());
        };
        let mut object: Self = fields(data, "data")?;
        if object.is_whole() {
            return Ok(object);
        }
        // The documented samples have stray blanks, as in "ObjectName " and " Version", and the
        // documented lists of properties begin in lower case.
        if let Shape::Object(entries) = shape(data) {
            for (name, value) in entries {
                let field = match name.trim().to_ascii_lowercase().as_str() {
                    "id" => &mut object.id,
                    "vaultname" => &mut object.vault,
                    "objectname" => &mut object.name,
                    "version" => &mut object.version,
                    _ => continue,
                };
                if *field == Scalar::Missing {
                    *field = serde_json::from_str(value.get()).unwrap_or(Scalar::Other);
                }
            }
        }
        Ok(object)
    }

    fn is_whole(&self) -> bool {
        let all = [&self.id, &self.vault, &self.name, &self.version];
        all.into_iter().all(|field| *field != Scalar::Missing)
    }
}

impl<'a> Address<'a> {
    /// The parts that are present.
    fn of(url: &'a str) -> Self {
        let mut parts = url
            .split_once("://")
            .map_or("", |(_, rest)| rest)
            .split('/');
        let host = parts.next().and_then(|host| host.split(':').next());
        let (name, version) = (parts.nth(1), parts.next());
        Self {
            host: host.filter(|host| is_host(host)),
            name: name.filter(|name| is_name(name)),
            version,
        }
    }
}

/// Without blanks around it; `None` when nothing is left.
fn text(field: Scalar, at: &str) -> Result<Option<String>, DecodeError> {
    let mut text = field.optional(at)?;
    if let Some(untidy) = text.as_mut().filter(|text| text.trim().len() < text.len()) {
        *untidy = untidy.trim().to_owned();
    }
    Ok(text.filter(|text| !text.is_empty()))
}

/// A valid name of an object in a vault.
/// <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=127).contains(&name.len()) && name.bytes().all(fits)
}

fn is_host(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (1..=253).contains(&host.len()) && host.bytes().all(fits)
}
