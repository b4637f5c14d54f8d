//! Reports what the consumer did: log, metrics, receipts, Kubernetes Events.

mod api;
pub(crate) mod kube_events;
pub(crate) mod metrics;
mod notes;
pub(crate) mod receipts;
mod reporter;
mod restarts;
mod spans;

pub(crate) use self::reporter::Reporter;
