//! Audit entries of Vault and OpenBao: <https://developer.hashicorp.com/vault/docs/audit/schema>.
//!
//! OpenBao's HTTP device sends each entry by itself, log shippers send arrays or JSON lines. Values
//! are in an entry as HMACs only, and are not read.

use eso_relay::event::{Keys, Operation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant, generic,
    json::{Scalar, Shape, fields, lines, part, place, shape, whole},
    malformed,
    scope::scope,
    usable_id,
    vault::{Area, ROOT, Version2, is_in, namespace, trimmed},
};

/// The KV engine by its names: `generic` is what it was called before it had versions, `kv-v1` and
/// `kv-v2` are aliases of old versions, and the last is that of its plugin.
const KV: [&str; 5] = ["kv", "kv-v1", "kv-v2", "generic", "vault-plugin-secrets-kv"];
/// The fields in which log shippers put the original line.
const LINES: [&str; 2] = ["log", "message"];
/// Vault's own mounts, which hold no secrets of a KV engine (`protectedMounts` in its source).
const OWN_MOUNTS: [&str; 4] = ["auth", "cubbyhole", "identity", "sys"];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    #[serde(rename = "type")]
    kind: Scalar,
    time: Scalar,
    error: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request {
    id: Scalar,
    operation: Scalar,
    path: Scalar,
    mount_point: Scalar,
    mount_type: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Namespace {
    id: Scalar,
    path: Scalar,
}

pub(super) fn decode(body: &[u8]) -> Result<Decoded, DecodeError> {
    Decoded::each(lines(body)?, |index, entry| {
        let (place, entry) = (place(index), entry?);
        match shipped(entry) {
            None => read(&place, entry),
            Some(text) => read(
                &place,
                whole(text.as_bytes()).map_err(|_| {
                    malformed(format!("{place}: the text of the log line is not JSON"))
                })?,
            ),
        }
    })
}

/// The text of the entry in a log shipper's record; `None` if it is an entry itself.
fn shipped(entry: &RawValue) -> Option<String> {
    let Shape::Object(object) = shape(entry) else {
        return None;
    };
    if object.contains_key("type") && object.contains_key("request") {
        return None;
    }
    let mut lines = LINES.iter().filter_map(|name| object.get(name as &str));
    let text: String = lines.find_map(|line| serde_json::from_str(line.get()).ok())?;
    let json = text.find('{')?;
    Some(text[json..].to_owned())
}

fn read(place: &str, entry: &RawValue) -> Result<Element, DecodeError> {
    let at = |field: &str| format!("{place}: {field}");
    let Entry { kind, time, error } = fields(entry, place)?;
    if kind.required(at("type"))? != "response" {
        return Ok(Element::Ignored(Irrelevant::Type));
    }
    if error != Scalar::Missing && error != Scalar::Text(String::new()) {
        return Ok(Element::Ignored(Irrelevant::Failed));
    }
    let json = part(entry, "request").ok_or_else(|| malformed(at("request is missing")))?;
    let request: Request = fields(json, &at("request"))?;
    let operation = request.operation.required(at("request.operation"))?;
    match operation.as_str() {
        "create" | "update" | "patch" | "delete" => {}
        "read" | "list" | "scan" | "header" => return Ok(Element::Ignored(Irrelevant::Read)),
        _ => return Ok(Element::Ignored(Irrelevant::Type)),
    }
    let path = request.path.required(at("request.path"))?;
    let path = path.trim_matches('/');
    let engine = request.mount_type.optional(at("request.mount_type"))?;
    if !may_be_kv(engine.as_deref(), path) {
        return Ok(Element::Ignored(Irrelevant::Type));
    }

    let space = space(json, &at)?;
    let mount = trimmed(request.mount_point, &at("request.mount_point"))?;
    let mount = mount.map(|mount| own_mount(&mount, space.as_deref(), path).to_owned());
    let version2 = Version2::parse(path, mount.as_deref());
    let keys = Keys::new(keys(path, version2))
        .map_err(|problem| malformed(at(&format!("request.path: {problem}"))))?;
    let mut change = Change::of(keys).identified(usable_id(request.id));
    change.operation = meaning(&operation, version2);
    change.origin.kind = Some(operation);
    change.time = generic::time(&time);
    change.scope = scope([("namespace", space), ("mount", mount)]);
    Ok(change.into())
}

/// Old versions do not tell the engine. Then every path outside Vault's own mounts counts: a path of version 1
/// looks like any other engine's, and an unnecessary event costs a message, a missed one leaves a stale value.
fn may_be_kv(engine: Option<&str>, path: &str) -> bool {
    match engine {
        Some(engine) => KV.contains(&engine),
        None => !OWN_MOUNTS.iter().any(|own| is_in(own, path)),
    }
}

/// `None` when the entry does not tell it.
fn space(request: &RawValue, at: &impl Fn(&str) -> String) -> Result<Option<String>, DecodeError> {
    let Some(json) = part(request, "namespace") else {
        return Ok(None);
    };
    let Namespace { id, path } = fields(json, &at("request.namespace"))?;
    let path = namespace(path, &at("request.namespace.path"))?;
    let is_root = id == Scalar::Text("root".to_owned());
    Ok(path.or_else(|| is_root.then(|| ROOT.to_owned())))
}

/// The mount as it is named in its namespace: Vault writes `mount_point` with the namespace before it, and the
/// path without.
fn own_mount<'a>(mount: &'a str, space: Option<&str>, path: &str) -> &'a str {
    let within = space.and_then(|space| mount.strip_prefix(space)?.strip_prefix('/'));
    within.filter(|within| is_in(within, path)).unwrap_or(mount)
}

/// Neither `mount_class` nor `mount_running_version`, which is the plugin's, tells version 1 from
/// version 2, so the path has to. `mount/data/p` is read under the same name in both. Any other
/// area may be version 2's, or part of the name of a secret of version 1: both names are aliases.
fn keys(path: &str, version2: Option<Version2<'_>>) -> Vec<String> {
    let other = version2.filter(|version2| version2.area != Area::Data);
    let data = other.map(|version2| version2.data());
    data.into_iter().chain([path.to_owned()]).collect()
}

fn meaning(operation: &str, version2: Option<Version2<'_>>) -> Operation {
    match (version2.map(|version2| version2.area), operation) {
        (Some(Area::Undelete), _) => Operation::Restored,
        (Some(Area::Delete | Area::Destroy), _) | (_, "delete") => Operation::Deleted,
        (Some(Area::Metadata), _) => Operation::Metadata,
        (_, "create") => Operation::Created,
        _ => Operation::Updated,
    }
}
