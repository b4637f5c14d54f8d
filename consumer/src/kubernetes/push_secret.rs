//! Reads PushSecrets: which secrets ESO writes through which stores (ESO `apis/externalsecrets/v1alpha1`).

use eso_relay::event::StoreKind;
use kube::Resource as _;
use serde_json::Value;

use super::{
    object::{Object, carried, place},
    policy::{self, Selection},
};
use crate::{
    matching::index::{ExternalSecret, Form, Reference, StoreRef},
    object::ObjectRef,
};

pub(super) fn target(object: &Object) -> Option<ObjectRef> {
    let (namespace, name) = place(object.meta())?;
    Some(ObjectRef::push_secret(namespace, name))
}

/// Malformed parts are ignored: nothing is pushed for them. Names that `dataTo` derives from the keys in the Secret
/// are unknown, as Secrets are not read.
pub(super) fn push_secret(object: &Object, selection: &Selection) -> Option<ExternalSecret> {
    let target = target(object)?;
    let spec = &object.spec;
    let entry = |store: StoreRef, key: &str| Reference {
        store,
        form: Form::Key(key.to_owned()),
        version: None,
        property: None,
    };
    let stores = list(&spec["secretStoreRefs"]);
    let stores: Vec<StoreRef> = stores
        .filter_map(|reference| store(reference, target.namespace()))
        .collect();
    let keys = list(&spec["data"]).filter_map(|data| remote_key(&data["match"]["remoteRef"]));
    let mut references: Vec<Reference> = keys
        .flat_map(|key| stores.iter().map(move |store| entry(store.clone(), key)))
        .collect();
    references.extend(list(&spec["dataTo"]).filter_map(|bundle| {
        let store = store(&bundle["storeRef"], target.namespace())?;
        Some(entry(store, remote_key(bundle)?))
    }));
    let pushed = object.refresh_time.as_str();
    Some(ExternalSecret {
        value: carried(object.refresh.as_deref()),
        sync: object.sync,
        version: Some(object.version),
        uid: object.uid,
        refreshable: policy::pushable(object, selection),
        sync_windows: false,
        pushed: pushed.and_then(|time| time.parse().ok()),
        ..ExternalSecret::new(target, references)
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn remote_key(parent: &Value) -> Option<&str> {
    parent["remoteKey"].as_str().filter(|key| !key.is_empty())
}

fn store(reference: &Value, namespace: &str) -> Option<StoreRef> {
    let kind = match reference["kind"].as_str() {
        None | Some("" | "SecretStore") => StoreKind::SecretStore,
        Some("ClusterSecretStore") => StoreKind::ClusterSecretStore,
        Some(_) => return None,
    };
    let namespace = namespace.to_owned();
    // The selector takes precedence over the name (ESO `pushsecret_controller.go`).
    if reference["labelSelector"].is_object() {
        return Some(StoreRef::Any { kind, namespace });
    }
    let name = reference["name"].as_str()?.to_owned();
    Some(match kind {
        StoreKind::SecretStore => StoreRef::Namespaced { namespace, name },
        StoreKind::ClusterSecretStore => StoreRef::Cluster { name },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Refreshable, Unrefreshable};

    fn read(json: Value) -> ExternalSecret {
        let object = serde_json::from_value(json).unwrap();
        push_secret(&object, &Selection::default()).unwrap()
    }

    fn spec(spec: &Value) -> Vec<String> {
        let json = json!({ "metadata": { "namespace": "team", "name": "db" }, "spec": spec });
        let shown = |reference: &Reference| match &reference.form {
            Form::Key(key) => format!(
                "{:?}/{} {key}",
                reference.store.kind().unwrap(),
                reference.store.name()
            ),
            Form::Find(find) => format!("{find:?}"),
        };
        read(json).references.iter().map(shown).collect()
    }

    #[test]
    fn each_key_is_pushed_through_each_store() {
        let data = |keys: &[&str]| -> Vec<Value> {
            let entry = |key: &&str| json!({ "match": { "secretKey": "x", "remoteRef": { "remoteKey": key } } });
            keys.iter().map(entry).collect()
        };
        let bundle = json!({ "storeRef": { "name": "c" }, "remoteKey": "all" });
        assert_eq!(
            spec(&json!({
                "secretStoreRefs": [
                    { "name": "a" },
                    { "name": "b", "kind": "ClusterSecretStore" },
                    { "kind": "SecretStore", "labelSelector": { "matchLabels": { "x": "y" } } },
                ],
                "data": data(&["k"]),
                "dataTo": [bundle, { "storeRef": { "name": "a" } }],
            })),
            [
                "SecretStore/a k",
                "ClusterSecretStore/b k",
                "SecretStore/* k",
                "SecretStore/c all"
            ]
        );
        assert_eq!(
            spec(&json!({ "secretStoreRefs": [{ "name": "a" }], "data": data(&["k", "l"]) })).len(),
            2
        );
        for malformed in [
            json!(null),
            json!([]),
            json!({ "secretStoreRefs": [{ "name": "a" }], "data": [7, { "match": [] }, { "match": { "remoteRef": { "remoteKey": 7 } } }] }),
            json!({ "secretStoreRefs": [{ "kind": "Vault", "name": "a" }, {}, 7], "data": data(&["k"]) }),
            json!({ "secretStoreRefs": {}, "data": {}, "dataTo": "x" }),
        ] {
            assert_eq!(spec(&malformed), Vec::<String>::new(), "{malformed}");
        }
    }

    #[test]
    fn its_status_says_when_it_was_pushed() {
        let at = |time: Value| {
            let metadata = json!({ "namespace": "team", "name": "db" });
            read(json!({ "metadata": metadata, "status": { "refreshTime": time } })).pushed
        };
        let time = "2026-01-31T08:00:00Z";
        assert_eq!(at(json!(time)), Some(time.parse().unwrap()));
        assert_eq!(at(json!(null)), None);
        assert_eq!(at(json!("soon")), None);
    }

    #[test]
    fn one_that_has_opted_out_is_not_pushed() {
        let annotations = json!({ crate::object::IGNORE_ANNOTATION: "true" });
        let metadata = json!({ "namespace": "team", "name": "db", "annotations": annotations });
        // A change of the metadata is pushed despite an interval of 0.
        let spec = json!({ "refreshInterval": "0s" });
        let ignored = read(json!({ "metadata": metadata, "spec": spec })).refreshable;
        assert_eq!(ignored, Refreshable::No(Unrefreshable::Ignored));
        let metadata = json!({ "namespace": "team", "name": "db" });
        let pushed = read(json!({ "metadata": metadata, "spec": spec })).refreshable;
        assert_eq!(pushed, Refreshable::Yes);
    }
}
