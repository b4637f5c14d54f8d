//! `SecretStore`s and `ClusterSecretStore`s, with the least that ESO's definitions ask for.

use kube::{Client, api::DynamicObject};
use serde_json::{Value, json};

use super::{Fixture, Kind};

/// A store in the making; without a provider it is a `fake` one, with no data.
#[derive(Debug, Clone)]
#[must_use]
pub struct StoreBuilder(Fixture);

/// A SecretStore in `default`.
pub fn store(name: &str) -> StoreBuilder {
    let spec = json!({ "provider": { "fake": { "data": [] } } });
    StoreBuilder(Fixture::new(Kind::SecretStore, Some("default"), name, spec))
}

/// A ClusterSecretStore.
pub fn cluster_store(name: &str) -> StoreBuilder {
    let spec = json!({ "provider": { "fake": { "data": [] } } });
    StoreBuilder(Fixture::new(Kind::ClusterSecretStore, None, name, spec))
}

impl StoreBuilder {
    /// Moves a SecretStore; a ClusterSecretStore stays without a namespace.
    pub fn in_namespace(self, namespace: &str) -> Self {
        match self.0.namespace() {
            Some(_) => Self(self.0.in_namespace(namespace)),
            None => self,
        }
    }

    pub fn akeyless(self) -> Self {
        let auth = json!({ "accessID": secret("access-id"), "accessType": secret("access-type") });
        self.provider(json!({ "akeyless": {
            "akeylessGWApiURL": "https://api.akeyless.io",
            "authSecretRef": { "secretRef": auth },
        } }))
    }

    /// KV version 2, mounted at `secret`.
    pub fn vault(self) -> Self {
        self.provider(json!({ "vault": {
            "server": "https://vault.example.com",
            "path": "secret",
            "version": "v2",
            "auth": { "tokenSecretRef": secret("token") },
        } }))
    }

    /// ESO's own `fake` provider, with these values; keys as ExternalSecrets name them.
    pub fn fake<'a>(self, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let data: Vec<_> = values
            .into_iter()
            .map(|(key, value)| json!({ "key": key, "value": value }))
            .collect();
        self.provider(json!({ "fake": { "data": data } }))
    }

    /// `spec.provider`, for all others: `{"doppler": {…}}`.
    pub fn provider(mut self, provider: Value) -> Self {
        self.0.json["spec"]["provider"] = provider;
        self
    }

    /// `spec.conditions`, of a ClusterSecretStore.
    pub fn conditions(mut self, conditions: Value) -> Self {
        self.0.json["spec"]["conditions"] = conditions;
        self
    }

    /// Creates it; the namespace must be there.
    pub async fn create(self, client: &Client) -> anyhow::Result<DynamicObject> {
        Fixture::from(self).create(client).await
    }
}

fn secret(key: &str) -> Value {
    json!({ "name": "store-credentials", "namespace": "default", "key": key })
}

impl From<StoreBuilder> for Fixture {
    fn from(builder: StoreBuilder) -> Self {
        builder.0
    }
}
