//! ExternalSecrets.

use kube::{Client, api::DynamicObject};
use serde_json::{Value, json};

use super::{Fixture, Kind};

/// An ExternalSecret in the making: in `default`, from no store, refreshed hourly. What is added
/// goes into one entry each; entries of `data` are called `value`, `value-2`, `value-3`.
#[derive(Debug, Clone)]
#[must_use]
pub struct ExternalSecretBuilder {
    fixture: Fixture,
    synced: bool,
    /// The list that got the last entry.
    last: &'static str,
}

pub fn external_secret(name: &str) -> ExternalSecretBuilder {
    let spec = json!({ "refreshInterval": "1h0m0s", "target": { "name": name } });
    ExternalSecretBuilder {
        fixture: Fixture::new(Kind::ExternalSecret, Some("default"), name, spec),
        synced: false,
        last: "data",
    }
}

impl ExternalSecretBuilder {
    fn spec(&mut self) -> &mut Value {
        &mut self.fixture.json["spec"]
    }

    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.fixture = self.fixture.in_namespace(namespace);
        self
    }

    /// From the SecretStore of its namespace.
    pub fn from_store(mut self, store: &str) -> Self {
        self.spec()["secretStoreRef"] = json!({ "kind": "SecretStore", "name": store });
        self
    }

    pub fn cluster_store(mut self, store: &str) -> Self {
        self.spec()["secretStoreRef"] = json!({ "kind": "ClusterSecretStore", "name": store });
        self
    }

    /// One entry of `data`.
    pub fn key(mut self, key: &str) -> Self {
        let secret_key = match self.spec()["data"].as_array().map_or(0, Vec::len) {
            0 => "value".to_owned(),
            others => format!("value-{}", others + 1),
        };
        let entry = json!({ "secretKey": secret_key, "remoteRef": { "key": key } });
        self.push("data", entry);
        self
    }

    /// One `dataFrom[].extract`.
    pub fn extract(mut self, key: &str) -> Self {
        self.push("dataFrom", json!({ "extract": { "key": key } }));
        self
    }

    /// One `dataFrom[].find` by regular expression.
    pub fn find_name(mut self, regexp: &str) -> Self {
        let find = json!({ "find": { "name": { "regexp": regexp } } });
        self.push("dataFrom", find);
        self
    }

    /// One `dataFrom[].find` below a path.
    pub fn find_path(mut self, path: &str) -> Self {
        self.push("dataFrom", json!({ "find": { "path": path } }));
        self
    }

    /// One `dataFrom[].sourceRef.generatorRef`.
    pub fn generator(mut self, kind: &str, name: &str) -> Self {
        let api_version = "generators.external-secrets.io/v1alpha1";
        let generator = json!({ "apiVersion": api_version, "kind": kind, "name": name });
        let entry = json!({ "sourceRef": { "generatorRef": generator } });
        self.push("dataFrom", entry);
        self
    }

    /// One `target.template.templateFrom[]`: `configMap` or `secret` of this name.
    pub fn template_from(mut self, kind: &str, name: &str) -> Self {
        let items = json!([{ "key": "template" }]);
        let source = json!({ kind: { "name": name, "items": items } });
        let sources = &mut self.spec()["target"]["template"]["templateFrom"];
        match sources.as_array_mut() {
            Some(sources) => sources.push(source),
            None => *sources = json!([source]),
        }
        self
    }

    /// The entry added last comes from this SecretStore instead.
    pub fn source_ref(self, store: &str) -> Self {
        self.elsewhere("SecretStore", store)
    }

    /// The entry added last comes from this ClusterSecretStore instead.
    pub fn cluster_source_ref(self, store: &str) -> Self {
        self.elsewhere("ClusterSecretStore", store)
    }

    /// The entry added last, one of `data`, asks for this version.
    pub fn version(mut self, version: &str) -> Self {
        self.last_entry()["remoteRef"]["version"] = version.into();
        self
    }

    /// The entry added last, one of `data`, takes this part of the secret.
    pub fn property(mut self, property: &str) -> Self {
        self.last_entry()["remoteRef"]["property"] = property.into();
        self
    }

    /// As Kubernetes writes durations: `0s`, `1h0m0s`.
    pub fn refresh_interval(mut self, interval: &str) -> Self {
        self.spec()["refreshInterval"] = interval.into();
        self
    }

    /// `CreatedOnce`, `Periodic` or `OnChange`.
    pub fn refresh_policy(mut self, policy: &str) -> Self {
        self.spec()["refreshPolicy"] = policy.into();
        self
    }

    /// `Delete`: the Secret goes when the store has no value any more.
    pub fn deletion_policy(mut self, policy: &str) -> Self {
        self.spec()["target"]["deletionPolicy"] = policy.into();
        self
    }

    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.fixture = self.fixture.annotated(key, value);
        self
    }

    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.fixture = self.fixture.labelled(key, value);
        self
    }

    /// With the status that ESO leaves. Only a stand-in takes an object with a status.
    pub fn synced(mut self) -> Self {
        self.synced = true;
        self
    }

    /// Creates it; the namespace must be there.
    pub async fn create(self, client: &Client) -> anyhow::Result<DynamicObject> {
        Fixture::from(self).create(client).await
    }

    fn push(&mut self, list: &'static str, entry: Value) {
        match self.spec()[list].as_array_mut() {
            Some(entries) => entries.push(entry),
            None => self.spec()[list] = json!([entry]),
        }
        self.last = list;
    }

    fn elsewhere(mut self, kind: &str, store: &str) -> Self {
        self.last_entry()["sourceRef"] = json!({ "storeRef": { "kind": kind, "name": store } });
        self
    }

    fn last_entry(&mut self) -> &mut Value {
        let entries = self.fixture.json["spec"][self.last].as_array_mut();
        let last = entries.and_then(|entries| entries.last_mut());
        // OK because the fixture is wrong otherwise.
        last.expect("it comes after the entry that it is for")
    }
}

impl From<ExternalSecretBuilder> for Fixture {
    fn from(builder: ExternalSecretBuilder) -> Self {
        let fixture = builder.fixture;
        if builder.synced {
            fixture.synced()
        } else {
            fixture
        }
    }
}
