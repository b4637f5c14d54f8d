//! The secret values "in the store", in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use regex::Regex;
use serde_json::Value;

use crate::lock;

/// Key to value, the same for every store; cheap to clone, shared by its clones.
#[derive(Clone, Default)]
pub struct SecretValues(Arc<Mutex<BTreeMap<String, String>>>);

impl SecretValues {
    pub fn set(&self, key: &str, value: &str) {
        lock(&self.0).insert(key.to_owned(), value.to_owned());
    }

    pub fn remove(&self, key: &str) {
        lock(&self.0).remove(key);
    }

    pub fn get(&self, key: &str) -> Option<String> {
        lock(&self.0).get(key).cloned()
    }

    /// What an ExternalSecret's `spec` asks for, by the key in its Secret. `extract` gives the fields of a
    /// JSON object, or a text under the key's name; `find` gives each value under its name, `/` as `_`.
    ///
    /// # Errors
    /// The first key that is not there, or the regular expression that does not compile, in ESO's manner.
    pub(super) fn resolve(&self, spec: &Value) -> Result<BTreeMap<String, String>, String> {
        let mut data = BTreeMap::new();
        for entry in spec["dataFrom"].as_array().into_iter().flatten() {
            if let Some(key) = entry["extract"]["key"].as_str() {
                data.extend(fields(key, &self.wanted(key)?));
            }
            let find = &entry["find"];
            if find.is_object() {
                data.extend(self.found(find)?);
            }
        }
        for entry in spec["data"].as_array().into_iter().flatten() {
            if let (Some(name), Some(key)) = (
                entry["secretKey"].as_str(),
                entry["remoteRef"]["key"].as_str(),
            ) {
                data.insert(name.to_owned(), self.wanted(key)?);
            }
        }
        Ok(data)
    }

    fn wanted(&self, key: &str) -> Result<String, String> {
        self.get(key)
            .ok_or_else(|| format!("could not get secret data from provider: {key} does not exist"))
    }

    fn found(&self, find: &Value) -> Result<Vec<(String, String)>, String> {
        let path = find["path"].as_str().unwrap_or_default();
        let regexp = find["name"]["regexp"].as_str().unwrap_or_default();
        let regexp = Regex::new(regexp).map_err(|error| error.to_string())?;
        Ok(lock(&self.0)
            .iter()
            .filter(|(key, _)| key.starts_with(path) && regexp.is_match(key))
            .map(|(key, value)| (secret_key(key), value.clone()))
            .collect())
    }
}

fn fields(key: &str, text: &str) -> Vec<(String, String)> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => fields
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => (name, text),
                other => (name, other.to_string()),
            })
            .collect(),
        _ => vec![(secret_key(key), text.to_owned())],
    }
}

fn secret_key(key: &str) -> String {
    key.trim_start_matches('/').replace('/', "_")
}
