//! What people are told: metrics, receipts, Kubernetes Events.

pub mod kube_events;
pub mod metrics;
pub mod receipts;
