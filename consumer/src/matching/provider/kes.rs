//! What an ExternalSecret of kubernetes-external-secrets names itself, where one of ESO names a store.
//!
//! Its `backendType` and settings are those of the store that ESO would need for the same secrets, so the rules of
//! that store are its rules.

use serde_json::{Value, json};

use super::Backend;

impl Backend {
    /// From `spec`; `None` for a backend that KES does not have (KES `config/index.js`).
    pub fn of_kes(spec: &Value) -> Option<Self> {
        let aws = |service: &str| {
            json!({ "aws": {
                "service": service, "region": spec["region"], "role": spec["roleArn"],
            } })
        };
        let store = match spec["backendType"].as_str()? {
            "secretsManager" | "secretManager" => aws("SecretsManager"),
            "systemManager" => aws("ParameterStore"),
            // A key is the path of the API, whatever `kvVersion`: as in ESO for version 1 without a mount. Server and
            // namespace are in KES's environment; `vaultMountPoint` and `vaultRole` are for its login.
            "vault" => json!({ "vault": { "version": "v1" } }),
            // KES's environment may name another cloud, in which the vault has the same name.
            "azureKeyVault" => {
                let vault = spec["keyVaultName"].as_str();
                let url = vault.map(|vault| format!("https://{vault}.vault.azure.net"));
                json!({ "azurekv": { "vaultUrl": url } })
            }
            "gcpSecretsManager" => json!({ "gcpsm": { "projectID": spec["projectId"] } }),
            "alicloudSecretsManager" => json!({ "alibaba": { "roleArn": spec["roleArn"] } }),
            // The instance is in KES's environment.
            "ibmcloudSecretsManager" => json!({ "ibm": {} }),
            "akeyless" => json!({ "akeyless": {} }),
            _ => return None,
        };
        Self::of_store(&store)
    }
}
