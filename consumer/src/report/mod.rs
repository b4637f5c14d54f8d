//! What people are told: metrics, receipts, Kubernetes Events, the log.

pub(crate) mod kube_events;
pub(crate) mod metrics;
pub(crate) mod receipts;
mod reporter;

pub(crate) use self::reporter::Reporter;
