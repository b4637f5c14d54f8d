//! Converts objects of the API into changes of the index. A malformed field is reported, and the rest counts.

use eso_relay::event::{TemplateKind, TemplateSource};
use kube::Resource as _;
use serde_json::Value;
use tracing::warn;

use super::{
    object::{Object, carried},
    policy::{self, Selection},
    problems::Problems,
    push_secret::{self, push_secret},
};
use crate::{
    config::FindPolicy,
    matching::{
        index::{Change, ExternalSecret, FindSpec, Form, Reference, Store, StoreRef, Writes},
        provider::Backend,
        workload::ValuesRef,
    },
    object::{ListKind, ObjectRef},
};

/// An object that exists. `None` if it has no name, which no API server serves.
pub(super) fn applied(kind: ListKind, object: &Object, selection: &Selection) -> Option<Change> {
    match kind {
        ListKind::ExternalSecrets => external_secret(object, selection).map(Change::Applied),
        ListKind::ClusterExternalSecrets if object.deleting => {
            owner(object).map(Change::OwnerDeleted)
        }
        ListKind::ClusterExternalSecrets => Some(Change::OwnerApplied {
            owner: owner(object)?,
            value: carried(object.force_sync.as_deref()),
            uid: object.uid,
        }),
        ListKind::PushSecrets => push_secret(object, selection).map(Change::Applied),
        // Read as objects of other types.
        ListKind::KesExternalSecrets | ListKind::Namespaces | ListKind::Workloads(_) => None,
        ListKind::SecretStores | ListKind::ClusterSecretStores => {
            Some(Change::StoreApplied(Store {
                name: store(kind, object)?,
                backend: Backend::of_store(&object.spec["provider"]),
                admits: policy::admits(object, kind == ListKind::ClusterSecretStores, selection),
            }))
        }
    }
}

/// An object that was deleted.
pub(super) fn deleted(kind: ListKind, object: &Object) -> Option<Change> {
    match kind {
        ListKind::ExternalSecrets => target(object).map(Change::Deleted),
        ListKind::ClusterExternalSecrets => owner(object).map(Change::OwnerDeleted),
        ListKind::PushSecrets => push_secret::target(object).map(Change::Deleted),
        ListKind::KesExternalSecrets | ListKind::Namespaces | ListKind::Workloads(_) => None,
        ListKind::SecretStores | ListKind::ClusterSecretStores => {
            store(kind, object).map(Change::StoreDeleted)
        }
    }
}

fn target(object: &Object) -> Option<ObjectRef> {
    let meta = object.meta();
    let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
    let target = namespace.zip(name);
    if target.is_none() {
        warn!(
            ?namespace,
            ?name,
            "ignoring an ExternalSecret without namespace or name"
        );
    }
    target.map(|(namespace, name)| ObjectRef::new(namespace, name))
}

fn owner(object: &Object) -> Option<ObjectRef> {
    object.meta().name.as_deref().map(ObjectRef::owner)
}

fn store(kind: ListKind, object: &Object) -> Option<StoreRef> {
    let meta = object.meta();
    let name = meta.name.clone()?;
    Some(if kind == ListKind::ClusterSecretStores {
        StoreRef::Cluster { name }
    } else {
        StoreRef::Namespaced {
            namespace: meta.namespace.clone()?,
            name,
        }
    })
}

fn external_secret(object: &Object, selection: &Selection) -> Option<ExternalSecret> {
    let target = target(object)?;
    let mut reader = Reader {
        namespace: target.namespace(),
        find: selection.find,
        references: Vec::new(),
        templates: Vec::new(),
        problems: Problems::default(),
    };
    reader.spec(&object.spec);
    let Reader {
        references,
        templates,
        problems,
        ..
    } = reader;
    Some(ExternalSecret {
        writes: selection
            .workloads
            .then(|| writes(object, &target))
            .flatten(),
        value: carried(object.refresh.as_deref()),
        mirrored: carried(object.force_sync.as_deref()),
        sync: object.sync,
        version: Some(object.version),
        uid: object.uid,
        owner: object.owner.as_deref().map(ObjectRef::owner),
        refreshable: policy::refreshable(object, selection),
        forced: policy::is_forced(object, selection),
        sync_windows: !object.spec["syncWindows"].is_null(),
        claims: policy::claims(&object.spec, selection),
        target,
        references,
        templates,
        pushed: None,
        problems: problems.into_texts(),
    })
}

/// What ESO writes; `None`: a Secret of the object's own name (ESO `externalsecret_controller.go`, `Reconcile`, and
/// `externalsecret_controller_template.go`, `setMetadata`).
fn writes(object: &Object, target: &ObjectRef) -> Option<Writes> {
    let to = &object.spec["target"];
    let name = |name: &Value| -> Option<Box<str>> {
        let name = name.as_str().filter(|name| !name.is_empty());
        name.map(Into::into)
    };
    let wanted = || name(&to["name"]).unwrap_or_else(|| target.name().into());
    let manifest = &to["manifest"];
    let values = match manifest["kind"].as_str() {
        _ if to["creationPolicy"] == "None" => None,
        None => Some(ValuesRef::Secret(
            object.bound.clone().unwrap_or_else(wanted),
        )),
        Some("ConfigMap") if manifest["apiVersion"] == "v1" => Some(ValuesRef::ConfigMap(wanted())),
        Some("Secret") if manifest["apiVersion"] == "v1" => Some(ValuesRef::Secret(wanted())),
        Some(_) => None,
    };
    let writes = Writes {
        values,
        ignored: object.reloader.ignored,
        matched: object.reloader.matched,
    };
    (writes != Writes::own_name(target)).then_some(writes)
}

struct Reader<'a> {
    namespace: &'a str,
    find: FindPolicy,
    references: Vec<Reference>,
    templates: Vec<TemplateSource>,
    problems: Problems,
}

impl Reader<'_> {
    fn spec(&mut self, spec: &Value) {
        if !spec.is_object() {
            return self.problems.add("spec", "is not an object");
        }
        let default = &spec["secretStoreRef"];
        for (place, entry) in self.problems.list(spec, "data") {
            // An entry without a key is no error: an old CRD allows it.
            self.key(&place, entry, default, &entry["remoteRef"]);
        }
        for (place, entry) in self.problems.list(spec, "dataFrom") {
            self.key(&place, entry, default, &entry["extract"]);
            let find = &entry["find"];
            if find.is_object() && self.find == FindPolicy::Match {
                let found = FindSpec {
                    path: self.text(find, "path", &place),
                    regexp: self.text(&find["name"], "regexp", &place),
                    tags: !find["tags"].is_null(),
                };
                self.reference(&place, entry, default, Form::Find(found), [None, None]);
            }
        }
        for (place, entry) in self
            .problems
            .list(&spec["target"]["template"], "templateFrom")
        {
            self.template(&place, &entry["configMap"], TemplateKind::ConfigMap);
            self.template(&place, &entry["secret"], TemplateKind::Secret);
        }
    }

    fn template(&mut self, place: &str, source: &Value, kind: TemplateKind) {
        if let Some(name) = self.text(source, "name", place) {
            match TemplateSource::new(kind, &name) {
                Ok(source) => self.templates.push(source),
                Err(_) => self.problems.add(place, "has an invalid name"),
            }
        }
    }

    fn key(&mut self, place: &str, entry: &Value, default: &Value, remote: &Value) {
        if let Some(key) = self.text(remote, "key", place) {
            let version = self.text(remote, "version", place);
            // Tags and labels belong to the secret, not to one of its versions (ESO `GetSecret` of each provider).
            let metadata = remote["metadataPolicy"] == "Fetch";
            let version = version.filter(|version| !version.is_empty() && !metadata);
            let property = self.text(remote, "property", place);
            let property = property.filter(|property| !property.is_empty());
            self.reference(place, entry, default, Form::Key(key), [version, property]);
        }
    }

    /// `sourceRef.storeRef` takes precedence over `spec.secretStoreRef` (ESO `client_manager.go`).
    fn reference(
        &mut self,
        place: &str,
        entry: &Value,
        default: &Value,
        form: Form,
        [version, property]: [Option<String>; 2],
    ) {
        let own = &entry["sourceRef"]["storeRef"];
        let reference = if own.is_object() { own } else { default };
        let Some(name) = reference["name"].as_str().map(str::to_owned) else {
            return self.problems.add(place, "names no store");
        };
        let store = match reference["kind"].as_str() {
            None | Some("" | "SecretStore") => StoreRef::Namespaced {
                namespace: self.namespace.to_owned(),
                name,
            },
            Some("ClusterSecretStore") => StoreRef::Cluster { name },
            Some(_) => return self.problems.add(place, "names a store of unknown kind"),
        };
        self.references.push(Reference {
            store,
            form,
            version,
            property,
        });
    }

    fn text(&mut self, parent: &Value, field: &str, place: &str) -> Option<String> {
        match &parent[field] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            _ => {
                self.problems
                    .add(place, &format!("has a {field} that is not text"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
