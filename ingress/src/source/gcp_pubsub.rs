//! GCP Secret Manager's notifications, pushed by Pub/Sub.
//! <https://docs.cloud.google.com/secret-manager/docs/event-notifications>
//!
//! Attributes tell what happened. They are in the body, or in headers if the subscription unwraps its messages.
//! The data, which is the changed resource, is never read.

use std::collections::BTreeMap;

use eso_relay::event::{Keys, Kind, Operation, Version};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant, checked_type,
    generic::timestamp,
    json::{Scalar, fields, place, whole},
    malformed,
    scope::Projects,
    usable_id,
};

/// The longest id of a project, a location or a secret.
const MAX_PART_BYTES: usize = 255;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Push<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// Pub/Sub writes some names in two ways.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(rename = "messageId")]
    id: Scalar,
    #[serde(rename = "message_id")]
    old_id: Scalar,
    #[serde(rename = "publishTime")]
    published: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Attributes {
    event_type: Scalar,
    secret_id: Scalar,
    version_id: Scalar,
    timestamp: Scalar,
}

/// The parts of a notification that are read.
struct Notification {
    attributes: Attributes,
    id: Scalar,
    published: Scalar,
}

/// `projects/P/secrets/S`, or `projects/P/locations/L/secrets/S` of a regional one.
struct Secret<'a> {
    project: &'a str,
    location: Option<&'a str>,
    name: &'a str,
}

pub(super) fn decode(
    projects: &Projects,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    let notification = if headers.contains_key("eventtype") {
        Notification::unwrapped(headers)
    } else {
        Notification::wrapped(whole(body)?)?
    };
    let element = notification.read(projects);
    element
        .map(Decoded::one)
        .map_err(|error| error.within(&place(0)))
}

impl Notification {
    fn wrapped(body: &RawValue) -> Result<Self, DecodeError> {
        let push: Push<'_> = fields(body, "the body")?;
        let message = push.message.ok_or_else(|| {
            malformed("message is missing: let the subscription wrap its messages, or write their metadata into headers")
        })?;
        let message: Message<'_> = fields(message, "message")?;
        // Messages of other senders have none.
        let attributes = message.attributes.map_or_else(
            || Ok(Attributes::default()),
            |attributes| fields(attributes, "message.attributes"),
        )?;
        Ok(Self {
            attributes,
            id: message.id.or(message.old_id),
            published: message.published,
        })
    }

    /// With the metadata in headers: <https://docs.cloud.google.com/pubsub/docs/payload-unwrapping>.
    fn unwrapped(headers: &HeaderMap) -> Self {
        let header = |name| Scalar::of_header(headers, name);
        Self {
            attributes: Attributes {
                event_type: header("eventtype"),
                secret_id: header("secretid"),
                version_id: header("versionid"),
                timestamp: header("timestamp"),
            },
            id: header("x-goog-pubsub-message-id"),
            published: header("x-goog-pubsub-publish-time"),
        }
    }

    fn read(self, projects: &Projects) -> Result<Element, DecodeError> {
        let attributes = self.attributes;
        // A message published by hand, as in the guide's test. If it were refused, Pub/Sub would retry for
        // days.
        let Some(event_type) = attributes.event_type.optional("eventType")? else {
            return Ok(Element::Ignored(Irrelevant::Test));
        };
        let event_type = checked_type(event_type, "eventType")?;
        let (kind, operation) = match meaning(&event_type) {
            Ok(meaning) => meaning,
            Err(reason) => return Ok(Element::Ignored(reason)),
        };
        let secret_id = attributes.secret_id.required("secretId")?;
        let secret = Secret::of(&secret_id).ok_or_else(|| {
            malformed("secretId is not projects/P/secrets/S or projects/P/locations/L/secrets/S")
        })?;
        // An unreadable version or time is no reason to miss a change.
        let version = attributes.version_id.optional("versionId").ok().flatten();
        let time = attributes.timestamp.or(self.published);

        let (number, project) = secret.projects(projects);
        let keys = Keys::new(secret.keys(number, project))
            .map_err(|problem| malformed(format!("secretId: {problem}")))?;
        let mut change = Change::of(keys).identified(usable_id(self.id));
        change.kind = kind;
        change.operation = operation;
        change.origin.kind = Some(event_type);
        change.time = time
            .optional("timestamp")
            .ok()
            .flatten()
            .as_deref()
            .and_then(timestamp);
        change.version = version.as_deref().and_then(number_of).map(|id| Version {
            id: Some(id.to_owned()),
            labels: Vec::new(),
        });
        let scope = [
            ("project_number", number),
            ("project", project),
            ("location", secret.location),
        ];
        change.scope = scope
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect::<BTreeMap<_, _>>();
        Ok(change.into())
    }
}

/// A secret that is created has no version to read yet; a rotation is a reminder to rotate.
fn meaning(event_type: &str) -> Result<(Kind, Operation), Irrelevant> {
    match event_type {
        "SECRET_VERSION_ADD" => Ok((Kind::SecretChanged, Operation::Updated)),
        "SECRET_VERSION_ENABLE" => Ok((Kind::SecretChanged, Operation::Restored)),
        // A version whose destruction is scheduled is disabled at once.
        "SECRET_VERSION_DISABLE"
        | "SECRET_VERSION_DESTROY"
        | "SECRET_VERSION_DESTROY_SCHEDULED" => Ok((Kind::SecretChanged, Operation::Deleted)),
        // Aliases of versions and labels.
        "SECRET_UPDATE" => Ok((Kind::SecretChanged, Operation::Metadata)),
        "SECRET_DELETE" => Ok((Kind::SecretDeleted, Operation::Deleted)),
        "TOPIC_CONFIGURED" => Err(Irrelevant::Test),
        _ => Err(Irrelevant::Type),
    }
}

impl<'a> Secret<'a> {
    fn of(full_name: &'a str) -> Option<Self> {
        let parts: Vec<&str> = full_name.split('/').collect();
        let (project, location, name) = match parts[..] {
            ["projects", project, "secrets", name] => (project, None, name),
            ["projects", project, "locations", location, "secrets", name] => {
                (project, Some(location), name)
            }
            _ => return None,
        };
        let mut parts = [project, name].into_iter().chain(location);
        parts.all(is_part).then_some(Self {
            project,
            location,
            name,
        })
    }

    /// The project's number and its id. A notification has one of them, mostly the number; stores mostly have
    /// the id.
    fn projects<'b>(&self, known: &'b Projects) -> (Option<&'b str>, Option<&'b str>)
    where
        'a: 'b,
    {
        let given = Some(self.project);
        if self.project.bytes().all(|byte| byte.is_ascii_digit()) {
            return (given, known.get(self.project).map(String::as_str));
        }
        let mut numbers = known.iter().filter(|(_, id)| *id == self.project);
        (numbers.next().map(|(number, _)| number.as_str()), given)
    }

    fn keys(&self, number: Option<&str>, project: Option<&str>) -> Vec<String> {
        let location = self
            .location
            .map_or_else(String::new, |location| format!("/locations/{location}"));
        let full = |project: &str| format!("projects/{project}{location}/secrets/{}", self.name);
        let full = number.into_iter().chain(project).map(full);
        std::iter::once(self.name.to_owned()).chain(full).collect()
    }
}

/// The version's number at the end of its full name.
fn number_of(version: &str) -> Option<&str> {
    let (_, number) = version.rsplit_once("/versions/")?;
    is_part(number).then_some(number)
}

fn is_part(part: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=MAX_PART_BYTES).contains(&part.len()) && part.bytes().all(fits)
}
