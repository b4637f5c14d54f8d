//! Reports what the consumer did: log, metrics, receipts, Kubernetes Events.

mod api;
mod freshness;
pub(crate) mod kube_events;
pub(crate) mod metrics;
mod notes;
pub(crate) mod receipts;
mod reporter;
mod restarts;
mod spans;
mod unsynced;

pub(crate) use self::reporter::{AnsweredPatch, Reporter};

#[cfg(test)]
mod tests;
