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

use std::time::Duration;

pub(crate) use self::reporter::Reporter;
use crate::object::{ObjectRef, Outcome, RefreshMark};

/// A patch that has a result.
pub(crate) struct AnsweredPatch<'a> {
    pub(crate) target: &'a ObjectRef,
    pub(crate) value: RefreshMark,
    pub(crate) outcome: &'a Outcome,
    /// Of the API's answer, if it is a failure.
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
}

#[cfg(test)]
mod tests;
