//! Create, merge patch and delete.

use http::StatusCode;
use jiff::Timestamp;
use json_patch::merge;
use serde_json::{Map, Value, json};

use super::{
    call::Call,
    failure::Failure,
    objects::{Objects, Write},
    read::key,
    stored::{Form, Key, Stored},
};
use crate::cluster::{Fixture, Kind};

pub(super) fn create(
    objects: &Objects,
    call: &Call,
    body: &[u8],
    now: Timestamp,
) -> Result<String, Failure> {
    let mut object: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    let name = object
        .get("metadata")
        .and_then(|metadata| metadata["name"].as_str())
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            Failure::about(
                StatusCode::UNPROCESSABLE_ENTITY,
                call,
                "metadata.name: Required value",
            )
        })?
        .to_owned();
    let named = Call {
        name: Some(name),
        ..call.clone()
    };
    if call.kind.is_namespaced() {
        let namespace = call.namespace.as_deref().ok_or_else(Failure::method)?;
        if objects
            .get(Kind::Namespace, &Key::new("", namespace))
            .is_none()
        {
            return Err(Failure::about(
                StatusCode::NOT_FOUND,
                call,
                format!("namespaces \"{namespace}\" not found"),
            ));
        }
    }
    if call.kind.has_status() {
        // A status arrives through its own path only.
        object.remove("status");
    }
    let key = key(&named);
    let stored = objects.write(call.kind, &key.clone(), |current, version| match current {
        Some(_) => Err(Failure::already_exists(&named)),
        None => Ok(Write::Put(born(call.kind, key, version, object, now))),
    })?;
    Ok(stored.written(&Form::asked_by(call)))
}

/// Applies a merge patch. An object that comes out as it was keeps its version, and no watch hears of it.
pub(super) fn patch(
    objects: &Objects,
    call: &Call,
    patch: &Map<String, Value>,
) -> Result<(String, bool), Failure> {
    let mut changed = false;
    let stored = objects.write(call.kind, &key(call), |current, version| {
        let current = current.ok_or_else(|| Failure::not_found(call))?;
        let before = current.parse();
        if let Some(wanted) = patch.get("metadata").and_then(|metadata| metadata["resourceVersion"].as_str())
            && wanted != current.version.to_string()
        {
            return Err(Failure::about(
                StatusCode::CONFLICT,
                call,
                "the object has been modified; please apply your changes to the latest version and try again",
            ));
        }
        let after = patched(call, &before, patch);
        changed = after != before;
        Ok(if changed {
            Write::Put(Stored::new(current.key.clone(), version, after))
        } else {
            Write::Keep(current.clone())
        })
    })?;
    Ok((stored.written(&Form::asked_by(call)), changed))
}

/// What may change does: the status through `/status`, everything else otherwise; identity never.
fn patched(
    call: &Call,
    before: &Map<String, Value>,
    patch: &Map<String, Value>,
) -> Map<String, Value> {
    let mut after = before.clone();
    for (field, change) in patch {
        match field.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" if call.status => {}
            "metadata" => merge_metadata(&mut after["metadata"], change),
            _ if call.kind.has_status() && call.status != (field == "status") => {}
            _ if change.is_null() => drop(after.remove(field)),
            _ => merge(after.entry(field).or_insert(Value::Null), change),
        }
    }
    if call.kind.has_status() && after.get("spec") != before.get("spec") {
        let generation = &mut after["metadata"]["generation"];
        *generation = (generation.as_u64().unwrap_or_default() + 1).into();
    }
    after
}

fn merge_metadata(metadata: &mut Value, change: &Value) {
    let changes = change.as_object().into_iter().flatten();
    let allowed = ["annotations", "labels", "finalizers", "ownerReferences"];
    let changes: Map<_, _> = changes
        .filter(|(field, _)| allowed.contains(&field.as_str()))
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    merge(metadata, &Value::Object(changes));
}

pub(super) fn delete(objects: &Objects, call: &Call) -> Result<String, Failure> {
    objects.write(call.kind, &key(call), |current, version| {
        let current = current.ok_or_else(|| Failure::not_found(call))?;
        let last = Stored::new(current.key.clone(), version, current.parse());
        Ok(Write::Remove(last))
    })?;
    Ok(json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": call.details() }).to_string())
}

/// Puts an object there, whatever was there before, with its namespace.
pub(super) fn load(objects: &Objects, fixture: Fixture, now: Timestamp) {
    let (kind, key) = (
        fixture.kind(),
        Key::new(fixture.namespace().unwrap_or_default(), fixture.name()),
    );
    if let Some(namespace) = fixture.namespace()
        && objects
            .get(Kind::Namespace, &Key::new("", namespace))
            .is_none()
    {
        load(objects, Fixture::namespace_named(namespace), now);
    }
    let Value::Object(object) = fixture.into_json() else {
        return;
    };
    let loaded = objects.write(kind, &key.clone(), |_, version| {
        Ok(Write::Put(born(kind, key, version, object, now)))
    });
    debug_assert!(loaded.is_ok(), "nothing refuses a loaded object");
}

/// A new object with what the API adds to it.
fn born(
    kind: Kind,
    key: Key,
    version: u64,
    mut object: Map<String, Value>,
    now: Timestamp,
) -> Stored {
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    metadata["name"] = (*key.name).into();
    if kind.is_namespaced() {
        metadata["namespace"] = (*key.namespace).into();
    }
    if kind.has_status() {
        metadata["generation"] = 1.into();
    }
    // Versions are never used twice, so they make identities too.
    metadata["uid"] = format!("00000000-0000-4000-8000-{version:012x}").into();
    metadata["creationTimestamp"] = format!("{now:.0}").into();
    Stored::new(key, version, object)
}
