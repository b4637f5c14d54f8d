//! The `CloudTrail` entries of Secrets Manager
//! (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html>), and those of
//! Parameter Store that its own events leave out: changes of tags.

use eso_relay::event::Operation;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{
    DecodeError, Element, Irrelevant, Scalar, UNREAD, changed, checked_type, failed, fields,
    secret, version,
};

const SECRETS_MANAGER: &str = "secretsmanager.amazonaws.com";
/// Parameter Store is a part of Systems Manager.
const SYSTEMS_MANAGER: &str = "ssm.amazonaws.com";

/// The fields that are read. AWS leaves the values of secrets out.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    event_source: Scalar,
    event_name: Scalar,
    error_code: Scalar,
    request_parameters: Option<Request>,
    response_elements: Option<Response>,
    additional_event_data: Option<Rotation>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    /// A name, an ARN, or an ARN without its tail: as the caller wrote it.
    secret_id: Scalar,
    /// Of `CreateSecret`.
    name: Scalar,
    /// Of `PutSecretValue`; without any, AWS moves `AWSCURRENT`.
    #[serde(deserialize_with = "stages")]
    version_stages: Vec<String>,
    /// Of `UpdateSecretVersionStage`.
    version_stage: Scalar,
    move_to_version_id: Scalar,
    /// Of a change of tags in Systems Manager.
    resource_type: Scalar,
    /// The same; for a parameter its name.
    resource_id: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Response {
    arn: Scalar,
    /// As it was called until February 2024.
    #[serde(rename = "aRN")]
    former_arn: Scalar,
    version_id: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rotation {
    #[serde(rename = "SecretId")]
    secret_id: Scalar,
}

/// Anything but a list of texts counts as empty: it is no reason to miss a change.
fn stages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let json = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(json.get()).unwrap_or_default())
}

/// `AWS API Call via CloudTrail`: a user or a service made the call.
pub(super) fn call(at: &str, detail: &RawValue, arn: Option<&str>) -> Result<Element, DecodeError> {
    let entry: Entry = fields(detail, at)?;
    if entry.is_of(SYSTEMS_MANAGER) {
        return tags_of_parameter(at, entry);
    }
    let name = entry.name(SECRETS_MANAGER, at)?;
    let operation = match name.as_deref() {
        Some("CreateSecret") => Operation::Created,
        // RotateSecret is not one of them: it only starts.
        Some("PutSecretValue" | "UpdateSecret" | "UpdateSecretVersionStage") => Operation::Updated,
        Some("DeleteSecret") => Operation::Deleted,
        Some("RestoreSecret") => Operation::Restored,
        // Read by stores with `metadataPolicy: Fetch`, and by a `find` with tags.
        Some("TagResource" | "UntagResource") => Operation::Metadata,
        _ => return Ok(Element::Ignored(Irrelevant::Type)),
    };
    if failed(&entry.error_code) {
        return Ok(Element::Ignored(Irrelevant::Failed));
    }
    let request = entry.request_parameters.unwrap_or_default();
    let response = entry.response_elements.unwrap_or_default();
    let (at_id, at_arn) = (
        format!("{at}.requestParameters.secretId"),
        format!("{at}.responseElements.arn"),
    );
    let stages = &request.version_stages;
    if !stages.is_empty() && stages.iter().all(|stage| UNREAD.contains(&stage.as_str())) {
        return Ok(Element::Ignored(Irrelevant::Version));
    }
    let written = either(request.secret_id, request.name).optional(&at_id)?;
    let answered = either(response.arn, response.former_arn).optional(&at_arn)?;
    let id = either(request.move_to_version_id, response.version_id)
        .optional(format!("{at}.responseElements.versionId"))?;
    let stage = request
        .version_stage
        .optional(format!("{at}.requestParameters.versionStage"))?;
    let said = secret(
        operation,
        written.as_deref(),
        answered.as_deref().or(arn),
        version(id, stage),
        &at_id,
    )?;
    Ok(called(said, name))
}

/// Read by a `find` with tags and by stores with `metadataPolicy: Fetch`, as those of a secret.
fn tags_of_parameter(at: &str, entry: Entry) -> Result<Element, DecodeError> {
    let name = entry.name(SYSTEMS_MANAGER, at)?;
    if !matches!(
        name.as_deref(),
        Some("AddTagsToResource" | "RemoveTagsFromResource")
    ) {
        return Ok(Element::Ignored(Irrelevant::Type));
    }
    if failed(&entry.error_code) {
        return Ok(Element::Ignored(Irrelevant::Failed));
    }
    let request = entry.request_parameters.unwrap_or_default();
    // Documents, instances and patch baselines have tags too.
    if request.resource_type != Scalar::Text("Parameter".to_owned()) {
        return Ok(Element::Ignored(Irrelevant::Type));
    }
    let at = format!("{at}.requestParameters.resourceId");
    let key = request.resource_id.required(&at)?;
    let change = changed("aws-ps", Operation::Metadata, vec![key], None, &at)?;
    Ok(called(change.into(), name))
}

/// `AWS Service Event via CloudTrail`: Secrets Manager acted by itself.
pub(super) fn service(
    at: &str,
    detail: &RawValue,
    arn: Option<&str>,
) -> Result<Element, DecodeError> {
    let entry: Entry = fields(detail, at)?;
    let name = entry.name(SECRETS_MANAGER, at)?;
    if name.as_deref() != Some("RotationSucceeded") {
        return Ok(Element::Ignored(Irrelevant::Type));
    }
    if failed(&entry.error_code) {
        return Ok(Element::Ignored(Irrelevant::Failed));
    }
    let at = format!("{at}.additionalEventData.SecretId");
    let rotated = entry.additional_event_data.unwrap_or_default();
    let written = rotated.secret_id.required(&at)?;
    let said = secret(Operation::Updated, Some(&written), arn, None, &at)?;
    Ok(called(said, name))
}

impl Entry {
    fn is_of(&self, service: &str) -> bool {
        matches!(&self.event_source, Scalar::Text(source) if source == service)
    }

    /// The name of the call, if it was made to `service`.
    fn name(&self, service: &str, at: &str) -> Result<Option<String>, DecodeError> {
        let source = self.event_source.clone();
        if source.required(format!("{at}.eventSource"))? != service {
            return Ok(None);
        }
        let at = format!("{at}.eventName");
        let name = self.event_name.clone().required(&at)?;
        checked_type(name, &at).map(Some)
    }
}

fn either(one: Scalar, other: Scalar) -> Scalar {
    match one {
        Scalar::Missing => other,
        one => one,
    }
}

/// Sets the name of the call as the event's type: it says more than the type that all calls share.
fn called(said: Element, name: Option<String>) -> Element {
    match said {
        Element::Change(mut change) => {
            change.origin.kind = name;
            Element::Change(change)
        }
        ignored @ Element::Ignored(_) => ignored,
    }
}
