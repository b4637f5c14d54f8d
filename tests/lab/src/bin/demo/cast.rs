//! The ExternalSecrets of the demo: one for each way in which an ExternalSecret can name a secret.

use eso_relay_lab::cluster::{
    ExternalSecretBuilder, Fixture, cluster_store, external_secret, store,
};
use serde_json::json;

/// One ExternalSecret and the secret in the store that it reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    reads: Reads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    Data,
    Extract,
    FindName,
    FindPath,
    SourceRef,
    ClusterStore,
}

pub(crate) const DATA: Part = Part::new("data", "/demo/database", Reads::Data);
pub(crate) const SOURCE_REF: Part = Part::new("source-ref", "/demo/queue", Reads::SourceRef);
pub(crate) const CLUSTER_STORE: Part =
    Part::new("cluster-store", "/demo/shared", Reads::ClusterStore);

pub(crate) const ALL: [Part; 6] = [
    DATA,
    Part::new("extract", "/demo/login", Reads::Extract),
    Part::new("find-by-name", "/demo/api-token", Reads::FindName),
    Part::new("find-by-path", "/demo/tls/certificate", Reads::FindPath),
    SOURCE_REF,
    CLUSTER_STORE,
];

/// How many secrets the crash scene has, and how many ExternalSecrets read each.
pub(crate) const CROWD: usize = 40;
pub(crate) const READERS: usize = 2;

pub(crate) const STORE: &str = "store";
pub(crate) const OTHER_STORE: &str = "other-store";
const PATH_STORE: &str = "path-store";

impl Part {
    const fn new(name: &'static str, key: &'static str, reads: Reads) -> Self {
        Self { name, key, reads }
    }

    fn fixture(self, namespace: &str) -> Fixture {
        let it = from_store(self.name, namespace);
        match self.reads {
            Reads::Data => it.key(self.key),
            Reads::Extract => it.extract(self.key),
            Reads::FindName => it.find_name("^/?demo/api-"),
            Reads::FindPath => it.find_path("/demo/tls").from_store(PATH_STORE),
            Reads::SourceRef => it.key(self.key).source_ref(OTHER_STORE),
            Reads::ClusterStore => it.cluster_store(namespace).key(self.key),
        }
        .into()
    }

    /// What stands in the store when the secret is `value`.
    pub(crate) fn stored(self, value: &str) -> String {
        match self.reads {
            Reads::Extract => json!({ "user": "demo", "password": value }).to_string(),
            _ => value.to_owned(),
        }
    }

    /// ESO's `fake` provider finds by name only.
    pub(crate) fn can_be_read_from_a_fake_store(self) -> bool {
        self.reads != Reads::FindPath
    }
}

pub(crate) fn crowd_key(at: usize) -> String {
    format!("/demo/crowd/{at:02}")
}

pub(crate) fn crowd_name(at: usize, reader: usize) -> String {
    format!("crowd-{at:02}-{reader}")
}

/// The stores, of ESO's `fake` provider but for the one that is searched by path: `fake` looks at names
/// alone. The ClusterSecretStore is named after the namespace.
pub(crate) fn stores(namespace: &str) -> Vec<Fixture> {
    vec![
        store(STORE).in_namespace(namespace).into(),
        store(OTHER_STORE).in_namespace(namespace).into(),
        store(PATH_STORE)
            .in_namespace(namespace)
            .provider(json!({ "gcpsm": { "projectID": "demo" } }))
            .into(),
        cluster_store(namespace).into(),
    ]
}

pub(crate) fn external_secrets(namespace: &str) -> Vec<Fixture> {
    let crowd = (0..CROWD).flat_map(|at| {
        (0..READERS).map(move |reader| {
            let it = from_store(&crowd_name(at, reader), namespace);
            it.key(&crowd_key(at)).into()
        })
    });
    let parts = ALL.into_iter().map(|part| part.fixture(namespace));
    parts.chain(crowd).collect()
}

fn from_store(name: &str, namespace: &str) -> ExternalSecretBuilder {
    external_secret(name)
        .in_namespace(namespace)
        .from_store(STORE)
}
