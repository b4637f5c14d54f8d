//! Annotations on the objects of the cluster: an interface.

/// The annotation whose change makes ESO refresh an ExternalSecret. Its value is a
/// [`RefreshMark`](super::RefreshMark) of the newest event: ESO refreshes when the hash over an object's annotations changes (ESO
/// `externalsecret_controller.go`, `shouldRefresh`).
pub const REFRESH_ANNOTATION: &str = "eso-relay.dev/refresh";
/// The annotation that ESO copies from a ClusterExternalSecret to all that it owns (ESO 0.20,
/// `clusterexternalsecret_controller.go`). Any other it takes away from them.
pub const FORCE_SYNC_ANNOTATION: &str = "external-secrets.io/force-sync";
/// The annotation that, when `true`, has an ExternalSecret refreshed that ESO would pass over by its policy.
pub const FORCE_ANNOTATION: &str = "eso-relay.dev/force";
/// The annotation that, when `true`, keeps an ExternalSecret from being refreshed by us.
pub const IGNORE_ANNOTATION: &str = "eso-relay.dev/ignore";
