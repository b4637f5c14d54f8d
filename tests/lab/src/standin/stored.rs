//! One object at one version, kept as text: 100,000 of them are to fit into a test.

use serde_json::{Map, Value};

use super::call::Call;
use crate::cluster::Kind;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    /// Empty for a kind without namespaces.
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
}

impl Key {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Whether it is of this namespace; `None` is all of them.
    pub(super) fn is_in(&self, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| *namespace == *self.namespace)
    }
}

/// The metadata apart from the rest, so that a metadata-only answer needs no parsing.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) key: Key,
    pub(super) version: u64,
    metadata: Box<str>,
    /// `{"spec":…,"status":…}`: everything but `apiVersion`, `kind` and `metadata`.
    rest: Box<str>,
}

/// How an object is to be written out.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) api_version: String,
    pub(super) kind: Kind,
    pub(super) metadata_only: bool,
}

impl Form {
    pub(super) fn asked_by(call: &Call) -> Self {
        Self {
            api_version: call.api_version.clone(),
            kind: call.kind,
            metadata_only: call.metadata_only,
        }
    }

    /// `apiVersion` and `kind` of one object.
    pub(super) fn types(&self) -> (&str, &str) {
        if self.metadata_only {
            ("meta.k8s.io/v1", "PartialObjectMetadata")
        } else {
            (&self.api_version, self.kind.name())
        }
    }
}

impl Stored {
    /// Keeps the object under this version, which goes into its metadata.
    pub(super) fn new(key: Key, version: u64, mut object: Map<String, Value>) -> Self {
        let mut metadata = object.remove("metadata").unwrap_or_default();
        metadata["resourceVersion"] = version.to_string().into();
        object.remove("apiVersion");
        object.remove("kind");
        Self {
            key,
            version,
            metadata: metadata.to_string().into(),
            rest: Value::Object(object).to_string().into(),
        }
    }

    /// The object, parsed again, without `apiVersion` and `kind`.
    pub(super) fn parse(&self) -> Map<String, Value> {
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let Value::Object(mut object) = parsed(&self.rest) else {
            return Map::new();
        };
        object.insert("metadata".to_owned(), parsed(&self.metadata));
        object
    }

    pub(super) fn write(&self, form: &Form, out: &mut String) {
        let (api_version, kind) = form.types();
        out.push_str("{\"apiVersion\":\"");
        out.push_str(api_version);
        out.push_str("\",\"kind\":\"");
        out.push_str(kind);
        out.push_str("\",\"metadata\":");
        out.push_str(&self.metadata);
        match self.rest.strip_prefix('{') {
            Some(fields) if fields != "}" && !form.metadata_only => {
                out.push(',');
                out.push_str(fields);
            }
            _ => out.push('}'),
        }
    }

    pub(super) fn written(&self, form: &Form) -> String {
        let mut out = String::with_capacity(self.metadata.len() + self.rest.len() + 128);
        self.write(form, &mut out);
        out
    }
}
