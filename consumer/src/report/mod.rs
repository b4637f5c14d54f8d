//! What people are told: metrics, receipts, Kubernetes Events, the log.

pub mod kube_events;
pub mod metrics;
pub mod receipts;
mod reporter;

pub use self::reporter::Reporter;
