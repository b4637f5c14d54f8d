//! Matches events with the objects that read the changed secret.

pub mod index;
pub mod provider;
mod resolve;
pub(crate) mod selector;
pub(crate) mod settle;
pub mod tenancy;
pub mod workload;

pub(crate) use self::resolve::{
    EventKind, Lane, MatchResult, MatchedEvent, Resolved, StorePolicy, resolve, resolve_among,
};
