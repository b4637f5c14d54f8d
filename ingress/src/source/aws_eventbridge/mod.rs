//! Changes of AWS's secrets and parameters, as `EventBridge` sends them:
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>.

mod arn;
mod cloudtrail;

use eso_relay::event::{Keys, Kind, Operation, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use self::arn::Arn;
use super::{
    Change, DecodeError, Decoded, Element, Irrelevant, checked_type,
    generic::timestamp,
    json::{Scalar, Shape, elements, fields, place, shape, whole},
    malformed, slug, usable_id,
};

/// The stages of versions that ESO does not read by default:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version>.
const UNREAD: [&str; 2] = ["AWSPENDING", "AWSPREVIOUS"];

/// What every event has.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    id: Scalar,
    #[serde(rename = "detail-type")]
    kind: Scalar,
    account: Scalar,
    region: Scalar,
    time: Scalar,
    #[serde(borrow)]
    resources: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

/// Of `Secret Label Updated`:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/secret-event-notifications.html>.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Moved {
    name: Scalar,
    label_updated: Scalar,
    version_id: Scalar,
}

/// Of `Parameter Store Change`:
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html>.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameter {
    name: Scalar,
    operation: Scalar,
    exception: Scalar,
}

/// One event, or an array of them: some pipes batch.
pub(super) fn decode(body: &[u8]) -> Result<Decoded, DecodeError> {
    Decoded::each(elements(whole(body)?)?, |index, element| {
        read(&place(index), element)
    })
}

fn read(place: &str, element: &RawValue) -> Result<Element, DecodeError> {
    let at = |field: &str| format!("{place}: {field}");
    let envelope: Envelope<'_> = fields(element, place)?;
    let kind = envelope.kind.required(at("detail-type"))?;
    let kind = checked_type(kind, at("detail-type"))?;
    let said = match kind.as_str() {
        "Secret Label Updated" => label,
        "Parameter Store Change" => parameter,
        "AWS API Call via CloudTrail" => cloudtrail::call,
        "AWS Service Event via CloudTrail" => cloudtrail::service,
        _ => return Ok(Element::Ignored(Irrelevant::Type)),
    };
    let detail = envelope
        .detail
        .ok_or_else(|| malformed(at("detail is missing")))?;
    let arn = envelope.resources.and_then(first);
    let change = match said(&at("detail"), detail, arn.as_deref())? {
        Element::Change(change) => change,
        ignored @ Element::Ignored(_) => return Ok(ignored),
    };
    let mut change = change.identified(usable_id(envelope.id));
    change.origin.kind.get_or_insert(kind);
    change.time = match envelope.time {
        Scalar::Text(time) => timestamp(&time),
        // A time that cannot be read is no reason to miss a change.
        Scalar::Missing | Scalar::Other => None,
    };
    // The ARN takes precedence: an event may be about another account's secret.
    for (name, value) in [("account", envelope.account), ("region", envelope.region)] {
        if let Some(value) = value.optional(at(name))? {
            change.scope.entry(name.to_owned()).or_insert(value);
        }
    }
    Ok(change.into())
}

/// The first of `resources`, where it is text.
fn first(resources: &RawValue) -> Option<String> {
    let Shape::Array(resources) = shape(resources) else {
        return None;
    };
    serde_json::from_str(resources.first()?.get()).ok()
}

fn label(at: &str, detail: &RawValue, arn: Option<&str>) -> Result<Element, DecodeError> {
    let detail: Moved = fields(detail, at)?;
    let label = detail
        .label_updated
        .optional(format!("{at}.labelUpdated"))?;
    let name = detail.name.required(format!("{at}.name"))?;
    let id = detail.version_id.optional(format!("{at}.versionId"))?;
    secret(
        Operation::Updated,
        Some(&name),
        arn,
        version(id, label),
        &format!("{at}.name"),
    )
}

fn parameter(at: &str, detail: &RawValue, arn: Option<&str>) -> Result<Element, DecodeError> {
    let detail: Parameter = fields(detail, at)?;
    if failed(&detail.exception) {
        return Ok(Element::Ignored(Irrelevant::Failed));
    }
    let at_name = format!("{at}.name");
    let mut keys = vec![detail.name.required(&at_name)?];
    let arn = arn.and_then(Arn::parse);
    keys.extend(arn.as_ref().map(|arn| arn.text.to_owned()));
    let operation = match &detail.operation {
        Scalar::Text(operation) => match operation.as_str() {
            "Create" => Operation::Created,
            "Update" => Operation::Updated,
            "Delete" => Operation::Deleted,
            "LabelParameterVersion" => Operation::Metadata,
            _ => Operation::Unknown,
        },
        Scalar::Missing | Scalar::Other => Operation::Unknown,
    };
    changed("aws-ps", operation, keys, arn, &at_name).map(Element::Change)
}

/// A change of a secret. `written`: the name or ARN that the caller used; `arn`: the one that AWS reports.
///
/// `at`: the field of the name, for the message.
fn secret(
    operation: Operation,
    written: Option<&str>,
    arn: Option<&str>,
    version: Option<Version>,
    at: &str,
) -> Result<Element, DecodeError> {
    let mut labels = version.iter().flat_map(|version| &version.labels);
    if labels.any(|label| UNREAD.contains(&label.as_str())) {
        return Ok(Element::Ignored(Irrelevant::Version));
    }
    // The caller's text is parsed as an ARN only if AWS reports none.
    let arn = arn.or(written).and_then(Arn::parse);
    let mut keys: Vec<String> = Vec::new();
    let aliases = arn.iter().flat_map(Arn::of_secret);
    for alias in written.into_iter().chain(aliases) {
        if !keys.iter().any(|key| key == alias) {
            keys.push(alias.to_owned());
        }
    }
    if keys.is_empty() {
        return Err(malformed(format!("{at} is missing")));
    }
    let change = changed("aws-sm", operation, keys, arn, at)?;
    Ok(Change { version, ..change }.into())
}

fn changed(
    provider: &'static str,
    operation: Operation,
    keys: Vec<String>,
    arn: Option<Arn<'_>>,
    at: &str,
) -> Result<Change, DecodeError> {
    let keys = Keys::new(keys).map_err(|problem| malformed(format!("{at}: {problem}")))?;
    let kind = match operation {
        Operation::Deleted => Kind::SecretDeleted,
        _ => Kind::SecretChanged,
    };
    Ok(Change {
        kind,
        operation,
        provider: Some(slug(provider)),
        scope: arn.map(|arn| arn.scope()).unwrap_or_default(),
        ..Change::of(keys)
    })
}

fn version(id: Option<String>, label: Option<String>) -> Option<Version> {
    let labels = Vec::from_iter(label);
    (id.is_some() || !labels.is_empty()).then_some(Version { id, labels })
}

/// Whether a field that only failures have is set.
fn failed(error: &Scalar) -> bool {
    !matches!(error, Scalar::Missing) && *error != Scalar::Text(String::new())
}
