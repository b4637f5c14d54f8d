//! A finished object, on its way into an API or into the stand-in's memory.

use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Client,
    api::{DynamicObject, ObjectMeta, PostParams},
};
use serde_json::{Value, json};

use super::{Kind, objects};
use crate::standin::synced_resource_version;

/// Some time.
const SYNCED_AT: &str = "2026-01-01T00:00:00Z";

#[derive(Debug, Clone)]
pub struct Fixture {
    kind: Kind,
    namespace: Option<String>,
    name: String,
    pub(super) json: Value,
}

impl Fixture {
    /// `spec` is taken as it is; `namespace` is for the kinds that have one.
    pub fn new(kind: Kind, namespace: Option<&str>, name: &str, spec: Value) -> Self {
        let api_version = match kind.group() {
            "" => "v1".to_owned(),
            group => format!("{group}/{}", kind.version()),
        };
        let mut json = json!({
            "apiVersion": api_version,
            "kind": kind.name(),
            "metadata": { "name": name },
        });
        if kind.has_status() {
            json["spec"] = spec;
        }
        let fixture = Self {
            kind,
            namespace: None,
            name: name.to_owned(),
            json,
        };
        match namespace {
            Some(namespace) => fixture.in_namespace(namespace),
            None => fixture,
        }
    }

    pub(super) fn in_namespace(mut self, namespace: &str) -> Self {
        self.json["metadata"]["namespace"] = namespace.into();
        self.namespace = Some(namespace.to_owned());
        self
    }

    pub fn namespace_named(name: &str) -> Self {
        Self::new(Kind::Namespace, None, name, Value::Null)
    }

    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.json["metadata"]["annotations"][key] = value.into();
        self
    }

    #[must_use]
    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.json["metadata"]["labels"][key] = value.into();
        self
    }

    /// With the status that ESO leaves after its first sync.
    #[must_use]
    pub(super) fn synced(mut self) -> Self {
        let metadata = serde_json::from_value(self.json["metadata"].clone());
        let metadata = ObjectMeta {
            generation: Some(1),
            ..metadata.unwrap_or_default()
        };
        self.json["status"] = json!({
            "binding": { "name": self.name },
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "SecretSynced",
                "message": "secret synced",
                "lastTransitionTime": SYNCED_AT,
            }],
            "refreshTime": SYNCED_AT,
            "syncedResourceVersion": synced_resource_version(&metadata),
        });
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn json(&self) -> &Value {
        &self.json
    }

    pub fn into_json(self) -> Value {
        self.json
    }

    /// Creates it; the namespace must be there.
    pub async fn create(self, client: &Client) -> anyhow::Result<DynamicObject> {
        let object: DynamicObject = serde_json::from_value(self.json)?;
        let api = objects(client, self.kind, self.namespace.as_deref());
        Ok(api.create(&PostParams::default(), &object).await?)
    }
}

/// Creates many, this many at a time.
pub async fn create_all<F: Into<Fixture>>(
    client: &Client,
    fixtures: impl IntoIterator<Item = F>,
    concurrency: usize,
) -> anyhow::Result<()> {
    let creations = fixtures
        .into_iter()
        .map(|fixture| fixture.into().create(client));
    stream::iter(creations)
        .buffer_unordered(concurrency)
        .try_for_each(|_| async { Ok(()) })
        .await
}

/// Creates the namespace unless it is there.
pub async fn create_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let existing = objects(client, Kind::Namespace, None).get_opt(name).await?;
    if existing.is_none() {
        Fixture::namespace_named(name).create(client).await?;
    }
    Ok(())
}
