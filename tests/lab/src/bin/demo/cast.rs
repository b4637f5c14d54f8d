//! The ExternalSecrets of the demo: one for each way in which an ExternalSecret can name a secret, and a crowd.

use eso_relay_lab::cluster::{
    ExternalSecretBuilder, Fixture, cluster_store, external_secret, store,
};
use serde_json::json;

/// One ExternalSecret and the secret in the store that it reads.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    /// Adds what reads the secret.
    reads: fn(ExternalSecretBuilder, &Part) -> ExternalSecretBuilder,
}

pub(crate) const DATA: Part = part("data", "/demo/database", |it, part| it.key(part.key));
const EXTRACT: Part = part("extract", "/demo/login", |it, part| it.extract(part.key));
const FIND_BY_NAME: Part = part("find-by-name", "/demo/api-token", |it, _| {
    it.find_name("^/?demo/api-")
});
const FIND_BY_PATH: Part = part("find-by-path", "/demo/tls/certificate", |it, _| {
    it.find_path("/demo/tls").from_store(PATH_STORE)
});
pub(crate) const SOURCE_REF: Part = part("source-ref", "/demo/queue", |it, part| {
    it.key(part.key).source_ref(OTHER_STORE)
});
pub(crate) const CLUSTER_STORE: Part =
    part("cluster-store", "/demo/shared", |it, part| it.key(part.key));

pub(crate) const ALL: [Part; 6] = [
    DATA,
    EXTRACT,
    FIND_BY_NAME,
    FIND_BY_PATH,
    SOURCE_REF,
    CLUSTER_STORE,
];

/// How many more ExternalSecrets there are, with a secret each: for the crash.
pub(crate) const CROWD: usize = 40;

pub(crate) const STORE: &str = "store";
pub(crate) const OTHER_STORE: &str = "other-store";
const PATH_STORE: &str = "path-store";

const fn part(
    name: &'static str,
    key: &'static str,
    reads: fn(ExternalSecretBuilder, &Part) -> ExternalSecretBuilder,
) -> Part {
    Part { name, key, reads }
}

impl Part {
    /// What stands in the store when the secret is `value`.
    pub(crate) fn stored(self, value: &str) -> String {
        if self.name == EXTRACT.name {
            json!({ "user": "demo", "password": value }).to_string()
        } else {
            value.to_owned()
        }
    }

    /// ESO's `fake` provider finds by name only.
    pub(crate) fn can_be_read_from_a_fake_store(self) -> bool {
        self.name != FIND_BY_PATH.name
    }
}

pub(crate) fn crowd_key(at: usize) -> String {
    format!("/demo/crowd/{at:02}")
}

pub(crate) fn crowd_name(at: usize) -> String {
    format!("crowd-{at:02}")
}

/// Each secret and its first value.
pub(crate) fn first_values() -> Vec<(String, String)> {
    let parts = ALL.map(|part| (part.key.to_owned(), part.stored("first")));
    let crowd = (0..CROWD).map(|at| (crowd_key(at), "first".to_owned()));
    parts.into_iter().chain(crowd).collect()
}

/// The stores, of ESO's `fake` provider but for the one that is searched by path: `fake` looks at names
/// alone. The ClusterSecretStore is named after the namespace.
pub(crate) fn stores(namespace: &str) -> Vec<Fixture> {
    let gcp = json!({ "gcpsm": { "projectID": "demo" } });
    vec![
        store(STORE).in_namespace(namespace).into(),
        store(OTHER_STORE).in_namespace(namespace).into(),
        store(PATH_STORE)
            .in_namespace(namespace)
            .provider(gcp)
            .into(),
        cluster_store(namespace).into(),
    ]
}

pub(crate) fn external_secrets(namespace: &str) -> Vec<Fixture> {
    let from_store = |name: &str| {
        let it = external_secret(name).in_namespace(namespace);
        if name == CLUSTER_STORE.name {
            it.cluster_store(namespace)
        } else {
            it.from_store(STORE)
        }
    };
    let parts = ALL
        .iter()
        .map(|part| (part.reads)(from_store(part.name), part).into());
    let crowd = (0..CROWD).map(|at| from_store(&crowd_name(at)).key(&crowd_key(at)).into());
    parts.chain(crowd).collect()
}
