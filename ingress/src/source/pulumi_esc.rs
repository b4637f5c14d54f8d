//! Pulumi ESC: <https://www.pulumi.com/docs/esc/concepts/webhooks/>.
//!
//! The headers tell the type of the event, the body the place. An event names the environment that changed, not
//! the property.

use eso_relay::event::Operation;
use http::HeaderMap;
use serde::Deserialize;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant,
    json::{Scalar, fields, part, whole},
    malformed,
    scope::{attribute, scope},
    usable_id,
};

const ID: &str = "Pulumi-Webhook-ID";
const KIND: &str = "Pulumi-Webhook-Kind";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Webhook {
    project_name: Scalar,
    environment_name: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Organization {
    github_login: Scalar,
    name: Scalar,
}

pub(super) fn decode(headers: &HeaderMap, body: &[u8]) -> Result<Decoded, DecodeError> {
    let kind = Scalar::of_header(headers, KIND).required(KIND)?;
    match kind.as_str() {
        "environment_revision" | "imported_environment_changed" => {}
        "ping" | "test" => return Ok(Decoded::one(Element::Ignored(Irrelevant::Test))),
        _ => return Ok(Decoded::one(Element::Ignored(Irrelevant::Type))),
    }
    let id = usable_id(Scalar::of_header(headers, ID));
    let body = whole(body)?;
    let webhook: Webhook = fields(body, "the body")?;
    let organization: Organization = match part(body, "organization") {
        Some(organization) => fields(organization, "organization")?,
        None => Organization::default(),
    };
    // The login is the name in URLs, whatever the identity provider, and the one that stores use; `name` is for
    // display, as "Crazy Adventures" of `crazy-adventures`.
    let login = attribute(organization.github_login, "organization.githubLogin")?;
    let organization = match login {
        Some(login) => Some(login),
        None => attribute(organization.name, "organization.name")?,
    };
    let environment = attribute(webhook.environment_name, "environmentName")?;
    let environment = environment.ok_or_else(|| malformed("environmentName is missing"))?;
    let mut change = Change::in_scope(scope([
        ("organization", organization),
        ("project", attribute(webhook.project_name, "projectName")?),
        ("environment", Some(environment)),
    ]))
    .identified(id);
    change.origin.kind = Some(kind);
    change.operation = Operation::Updated;
    Ok(Decoded::one(change.into()))
}
