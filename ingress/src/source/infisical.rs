//! Infisical: <https://infisical.com/docs/documentation/platform/webhooks>.
//!
//! An event names the folder that changed, not the secret. It has no id, and is not retried. Its author, which
//! may be an e-mail address, is not read.

use eso_relay::event::Operation;
use serde::Deserialize;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant, generic,
    json::{Scalar, fields, part, whole},
    malformed,
    scope::{Projects, attribute, scope},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Webhook {
    event: Scalar,
    timestamp: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Place {
    project_id: Scalar,
    workspace_id: Scalar,
    project_name: Scalar,
    environment: Scalar,
    secret_path: Scalar,
}

/// `projects`: the event's project → its slug, which is what stores name.
pub(super) fn decode(projects: &Projects, body: &[u8]) -> Result<Decoded, DecodeError> {
    let body = whole(body)?;
    let Webhook { event, timestamp } = fields(body, "the body")?;
    let kind = event.required("event")?;
    match kind.as_str() {
        "secrets.modified" => {}
        "test" => return Ok(Decoded::one(Element::Ignored(Irrelevant::Test))),
        _ => return Ok(Decoded::one(Element::Ignored(Irrelevant::Type))),
    }
    let project = part(body, "project").ok_or_else(|| malformed("project is missing"))?;
    let place: Place = fields(project, "project")?;
    // None of these is the slug: without an entry in `projects` the project is unknown.
    let names = [place.project_id, place.workspace_id, place.project_name];
    let slug = names.iter().find_map(|name| match name {
        Scalar::Text(name) => projects.get(name).cloned(),
        Scalar::Missing | Scalar::Other => None,
    });
    let environment = attribute(place.environment, "project.environment")?;
    let environment = environment.ok_or_else(|| malformed("project.environment is missing"))?;
    let mut change = Change::in_scope(scope([
        ("project", slug),
        ("environment", Some(environment)),
        ("path", attribute(place.secret_path, "project.secretPath")?),
    ]));
    change.origin.kind = Some(kind);
    change.operation = Operation::Updated;
    change.time = generic::time(&timestamp);
    Ok(Decoded::one(change.into()))
}
