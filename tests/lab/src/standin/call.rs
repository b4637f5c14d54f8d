//! What a request asks for: a verb on a kind, in a namespace, by name.

use std::collections::HashMap;

use http::{Method, header::ACCEPT, header::AUTHORIZATION, request::Parts};

use serde_json::{Value, json};

use super::{Serving, failure::Failure};
use crate::cluster::Kind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Patch,
    Delete,
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) verb: Verb,
    pub(super) kind: Kind,
    pub(super) api_version: String,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    /// Whether it is about the `/status` of the object.
    pub(super) status: bool,
    pub(super) metadata_only: bool,
    pub(super) token: Option<String>,
    pub(super) query: HashMap<String, String>,
}

impl Call {
    /// # Errors
    /// 404 for a path that no kind has, 405 for a method that it does not take.
    pub(super) fn parse(parts: &Parts, serving: Serving) -> Result<Self, Failure> {
        let path = parts.uri.path();
        let not_found = || Failure::no_such_path(path);
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(not_found()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (plural, name, status) = match rest {
            [plural] => (*plural, None, false),
            [plural, name] => (*plural, Some(*name), false),
            [plural, name, "status"] => (*plural, Some(*name), true),
            _ => return Err(not_found()),
        };
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.group() == group && kind.plural() == plural)
            .filter(|kind| serving.version_of(*kind) == Some(version))
            .filter(|kind| kind.is_namespaced() || namespace.is_none())
            .filter(|kind| kind.has_status() || !status)
            .ok_or_else(not_found)?;
        let query: HashMap<String, String> =
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        Ok(Self {
            verb: verb(&parts.method, name.is_some(), &query).ok_or_else(Failure::method)?,
            kind,
            api_version: format!("{group}/{version}")
                .trim_start_matches('/')
                .to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            status,
            metadata_only: header(parts, &ACCEPT)
                .is_some_and(|accept| accept.contains("as=PartialObjectMetadata")),
            token: header(parts, &AUTHORIZATION)
                .and_then(|value| value.strip_prefix("Bearer "))
                .map(str::to_owned),
            query,
        })
    }

    /// As a `Status` says what it is about.
    pub(super) fn details(&self) -> Value {
        json!({
            "name": self.name.as_deref().unwrap_or_default(),
            "group": self.kind.group(),
            "kind": self.kind.plural(),
        })
    }

    pub(super) fn flag(&self, parameter: &str) -> bool {
        self.query
            .get(parameter)
            .is_some_and(|value| matches!(value.as_str(), "true" | "1"))
    }
}

fn verb(method: &Method, named: bool, query: &HashMap<String, String>) -> Option<Verb> {
    let watch = query
        .get("watch")
        .is_some_and(|value| matches!(value.as_str(), "true" | "1"));
    match (method.as_str(), named) {
        ("GET", true) => Some(Verb::Get),
        ("GET", false) if watch => Some(Verb::Watch),
        ("GET", false) => Some(Verb::List),
        ("POST", false) => Some(Verb::Create),
        ("PATCH", true) => Some(Verb::Patch),
        ("DELETE", true) => Some(Verb::Delete),
        _ => None,
    }
}

fn header<'a>(parts: &'a Parts, name: &http::HeaderName) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}
