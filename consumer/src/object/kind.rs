//! What is watched.

/// The kinds of object that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    ExternalSecrets,
    ClusterExternalSecrets,
    SecretStores,
    ClusterSecretStores,
    /// For their labels.
    Namespaces,
    PushSecrets,
}
