//! Event notifications of Vault Enterprise, as a bridge forwards them from its websocket:
//! <https://developer.hashicorp.com/vault/docs/concepts/events>.
//!
//! They resemble CloudEvents: `type` is that of the subscription, the event's own is in the data.

use eso_relay::event::{Keys, Operation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant, generic,
    json::{Scalar, elements, fields, part, place, whole},
    malformed,
    scope::scope,
    usable_id,
    vault::{Version2, is_in, namespace, trimmed},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Notification {
    id: Scalar,
    time: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    event_type: Scalar,
    namespace: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    data_path: Scalar,
    path: Scalar,
    modified: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Plugin {
    mount_path: Scalar,
}

pub(super) fn decode(body: &[u8]) -> Result<Decoded, DecodeError> {
    Decoded::each(elements(whole(body)?)?, |index, notification| {
        read(&place(index), notification)
    })
}

fn read(place: &str, json: &RawValue) -> Result<Element, DecodeError> {
    let at = |field: &str| format!("{place}: {field}");
    let missing = |field: &str| malformed(at(&format!("{field} is missing")));
    let notification: Notification = fields(json, place)?;
    let data = part(json, "data").ok_or_else(|| missing("data"))?;
    let Data {
        event_type,
        namespace: space,
    } = fields(data, &at("data"))?;
    let kind = event_type.required(at("data.event_type"))?;
    let Some(operation) = operation(&kind) else {
        return Ok(Element::Ignored(Irrelevant::Type));
    };
    let metadata = part(data, "event").and_then(|event| part(event, "metadata"));
    let metadata = metadata.ok_or_else(|| missing("data.event.metadata"))?;
    let metadata: Metadata = fields(metadata, &at("data.event.metadata"))?;
    // Old versions lack it; the type tells it too.
    let modified = metadata
        .modified
        .optional(at("data.event.metadata.modified"))?;
    if modified.is_some_and(|modified| modified != "true") {
        return Ok(Element::Ignored(Irrelevant::Type));
    }

    let mount = match part(data, "plugin_info") {
        Some(plugin) => fields::<Plugin>(plugin, &at("data.plugin_info"))?.mount_path,
        None => Scalar::Missing,
    };
    let mount = trimmed(mount, &at("data.plugin_info.mount_path"))?;
    // `delete`, `undelete` and `destroy` have no `data_path`.
    let path = metadata
        .data_path
        .optional(at("data.event.metadata.data_path"))?;
    let path = match path.filter(|path| !path.is_empty()) {
        Some(path) => path,
        None => metadata.path.required(at("data.event.metadata.path"))?,
    };
    let keys = Keys::one(key(path.trim_matches('/'), mount.as_deref(), &kind))
        .map_err(|problem| malformed(at(&format!("data.event.metadata.path: {problem}"))))?;
    let space = namespace(space, &at("data.namespace"))?;
    let mut change = Change::of(keys).identified(usable_id(notification.id));
    change.origin.kind = Some(kind);
    change.operation = operation;
    change.time = generic::time(&notification.time);
    change.scope = scope([("namespace", space), ("mount", mount)]);
    Ok(change.into())
}

/// The operation of the event types after which a store may read something else; metadata is read by stores
/// with `metadataPolicy: Fetch`.
fn operation(kind: &str) -> Option<Operation> {
    Some(match kind {
        "kv-v1/write" | "kv-v2/data-write" | "kv-v2/data-patch" => Operation::Updated,
        "kv-v1/delete"
        | "kv-v2/data-delete"
        | "kv-v2/delete"
        | "kv-v2/destroy"
        | "kv-v2/metadata-delete" => Operation::Deleted,
        "kv-v2/undelete" => Operation::Restored,
        "kv-v2/metadata-write" | "kv-v2/metadata-patch" => Operation::Metadata,
        _ => return None,
    })
}

/// The path at which the secret is read. Old versions give it from the mount on.
fn key(path: &str, mount: Option<&str>, kind: &str) -> String {
    let below = mount.map(|mount| format!("{mount}/{path}"));
    if kind.starts_with("kv-v2/") {
        let paths = [Some(path), below.as_deref()].into_iter().flatten();
        let mut found = paths.filter_map(|path| Version2::parse(path, mount));
        if let Some(version2) = found.next() {
            return version2.data();
        }
    }
    match (mount, below) {
        (Some(mount), Some(below)) if !is_in(mount, path) => below,
        _ => path.to_owned(),
    }
}
