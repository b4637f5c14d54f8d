//! IBM Cloud Secrets Manager by way of Event Notifications:
//! <https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-event-notifications>.
//!
//! One notification tells of up to 100 secrets of one type. The envelope of Event Notifications is not
//! documented for webhooks: a notification is read by itself or below `data`. An id in the envelope is ignored,
//! so each delivery is new.

use eso_relay::event::{Keys, Operation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant, checked_type, generic,
    json::{Scalar, Shape, fields, part, place, shape, whole},
    malformed,
    scope::{attribute, scope},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Notification {
    event_type: Scalar,
    secret_type: Scalar,
    source_instance_crn: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    secret_name: Scalar,
    secret_id: Scalar,
    event_time: Scalar,
}

/// What the secrets of a notification have in common.
struct Common {
    event_type: String,
    operation: Operation,
    secret_type: Option<String>,
    instance: Option<String>,
}

pub(super) fn decode(body: &[u8]) -> Result<Decoded, DecodeError> {
    let body = whole(body)?;
    let notification = match (part(body, "event_type"), part(body, "data")) {
        (None, Some(data)) => data,
        _ => body,
    };
    let read: Notification = fields(notification, "the notification")?;
    let event_type = checked_type(read.event_type.required("event_type")?, "event_type")?;
    let operation = match operation(&event_type) {
        Ok(operation) => operation,
        Err(reason) => return Ok(Decoded::one(Element::Ignored(reason))),
    };
    let secret_type = read.secret_type.optional("secret_type")?;
    let instance = attribute(read.source_instance_crn, "source_instance_crn")?;
    let common = Common {
        event_type,
        operation,
        secret_type: secret_type.filter(|kind| !kind.is_empty()),
        instance: instance.as_deref().and_then(instance_of).map(str::to_owned),
    };
    let secrets = part(notification, "secrets").map(shape);
    let Some(Shape::Array(secrets)) = secrets else {
        return Err(malformed("secrets is not an array"));
    };
    Decoded::each(secrets, |index, secret| common.read(&place(index), secret))
}

/// The operation of an event type, with or without the prefix `com.ibm.cloud.secrets-manager`; or why it is
/// ignored.
fn operation(kind: &str) -> Result<Operation, Irrelevant> {
    match kind.rsplit(['.', ':']).next().unwrap_or(kind) {
        "secret_created" => Ok(Operation::Created),
        "secret_rotated" | "secret_revoked" => Ok(Operation::Updated),
        "secret_deleted" | "secret_data_removed" | "secret_version_data_deleted" => {
            Ok(Operation::Deleted)
        }
        "test_event" => Err(Irrelevant::Test),
        kind if kind.ends_with("_failed") || kind.ends_with("_blocked") => Err(Irrelevant::Failed),
        _ => Err(Irrelevant::Type),
    }
}

/// `crn:v1:bluemix:public:secrets-manager:<region>:a/<account>:<instance>:…`
fn instance_of(crn: &str) -> Option<&str> {
    let instance = crn.strip_prefix("crn:")?.split(':').nth(6)?;
    (!instance.is_empty()).then_some(instance)
}

impl Common {
    fn read(&self, place: &str, secret: &RawValue) -> Result<Element, DecodeError> {
        let at = |field: &str| format!("{place}: {field}");
        let item: Item = fields(secret, place)?;
        let name = item.secret_name.required(at("secret_name"))?;
        let crn = attribute(item.secret_id, &at("secret_id"))?;
        let typed = self.secret_type.iter().map(|kind| format!("{kind}/{name}"));
        let mut keys: Vec<String> = typed.collect();
        keys.push(name);
        keys.extend(
            crn.iter()
                .filter_map(|crn| crn.rsplit(':').next())
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
        );
        let keys =
            Keys::new(keys).map_err(|problem| malformed(at(&format!("secret_name: {problem}"))))?;
        let mut change = Change::of(keys);
        change.origin.kind = Some(self.event_type.clone());
        change.operation = self.operation;
        change.time = generic::time(&item.event_time);
        let own = || crn.as_deref().and_then(instance_of).map(str::to_owned);
        change.scope = scope([("instance", self.instance.clone().or_else(own))]);
        Ok(change.into())
    }
}
