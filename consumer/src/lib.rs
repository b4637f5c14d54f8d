//! Stream in, patches out.
//!
//! ```text
//! delivery ─decode─▶ events ─match─▶ targets ─engine─▶ patch ─▶ outcome ─last target done─▶ ack
//! ```
//!
//! One durable per cluster; any number of replicas share it. No public port, no access to Secrets.

pub mod engine;
pub mod index;
pub mod kubernetes;
pub mod outcome;
pub mod provider;
pub mod refresh;
pub mod target;

/// The annotation whose change makes ESO refresh an ExternalSecret. Its value is the fingerprint of
/// the newest event: ESO refreshes when the hash over an object's annotations changes (ESO
/// `externalsecret_controller.go`, `shouldRefresh`).
pub const REFRESH_ANNOTATION: &str = "eso-relay.dev/refresh";
