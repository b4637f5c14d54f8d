//! What an object of KES reads, by its backend (KES `lib/backends`).

use std::sync::Arc;

use serde_json::Value;

use crate::{
    config::FindPolicy,
    kubernetes::problems::Problems,
    matching::{
        index::{FindSpec, Form, Reference, StoreRef},
        provider::Backend,
    },
};

/// The references of a `spec`, and its malformed fields.
pub(super) fn references(spec: &Value, find: FindPolicy) -> (Vec<Reference>, Vec<String>) {
    let Some(backend) = Backend::of_kes(spec) else {
        let problem = "spec.backendType is not a backend of KES".to_owned();
        return (Vec::new(), vec![problem]);
    };
    let mut reader = Reader {
        by_type: matches!(backend, Backend::Ibm(_)),
        place: StoreRef::Implied(Arc::new(backend)),
        find,
        references: Vec::new(),
        problems: Problems::default(),
    };
    // `properties` is what `data` was called first (KES `lib/poller.js`).
    let data = if spec["data"].is_null() {
        "properties"
    } else {
        "data"
    };
    for (place, entry) in reader.problems.list(spec, data) {
        reader.data(&place, entry);
    }
    for (place, entry) in reader.problems.list(spec, "dataFrom") {
        match entry.as_str() {
            Some(key) => reader.key(key, None, entry),
            None => reader.problems.add(&place, "is not text"),
        }
    }
    for (place, entry) in reader.problems.list(spec, "dataFromWithOptions") {
        reader.named(&place, entry);
    }
    (reader.references, reader.problems.into_texts())
}

struct Reader {
    place: StoreRef,
    /// Whether an entry names the type of its secret beside the key.
    by_type: bool,
    find: FindPolicy,
    references: Vec<Reference>,
    problems: Problems,
}

impl Reader {
    /// Where both are set, the path counts (KES `lib/backends/kv-backend.js`).
    fn data(&mut self, place: &str, entry: &Value) {
        match entry["path"].as_str().filter(|path| !path.is_empty()) {
            Some(path) if self.find == FindPolicy::Match => {
                self.below(path, entry["recursive"] == true);
            }
            Some(_) => {}
            None => self.named(place, entry),
        }
    }

    fn named(&mut self, place: &str, entry: &Value) {
        match entry["key"].as_str() {
            Some(key) => self.key(key, version(entry), entry),
            None => self.problems.add(place, "has no key that is text"),
        }
    }

    fn key(&mut self, key: &str, version: Option<String>, entry: &Value) {
        let kind = entry["secretType"].as_str().filter(|_| self.by_type);
        let key = kind.map_or_else(|| key.to_owned(), |kind| format!("{kind}/{key}"));
        self.add(Form::Key(key), version);
    }

    /// The parameters below a path; not recursive: directly below.
    fn below(&mut self, path: &str, recursive: bool) {
        let folder = path.trim_matches('/');
        let direct = || match folder {
            "" => "^/?[^/]+$".to_owned(),
            folder => format!("^/?{}/[^/]+$", regex::escape(folder)),
        };
        let found = FindSpec {
            path: Some(path.to_owned()),
            regexp: (!recursive).then(direct),
            tags: false,
        };
        self.add(Form::Find(found), None);
    }

    fn add(&mut self, form: Form, version: Option<String>) {
        self.references.push(Reference {
            store: self.place.clone(),
            form,
            version,
            property: None,
        });
    }
}

/// As a reference of ESO would ask for it. Where both are set, AWS wants that the stage is at the id.
fn version(entry: &Value) -> Option<String> {
    let text = |field: &str| entry[field].as_str().filter(|text| !text.is_empty());
    let id = || text("versionId").map(|id| format!("uuid/{id}"));
    let stage = || text("versionStage").map(str::to_owned);
    let number = || match &entry["version"] {
        Value::String(version) if !version.is_empty() => Some(version.clone()),
        Value::Number(version) => Some(version.to_string()),
        _ => None,
    };
    id().or_else(stage).or_else(number)
}
