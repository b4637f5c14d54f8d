//! The servers and stand-ins that the suites, the demo and the load tool share: for development only.

pub mod aws;
pub mod cache;
pub mod cluster;
pub mod collector;
pub mod daemon;
pub mod documents;
pub mod fleet;
pub mod helm;
pub mod installation;
pub mod kes;
pub mod kubernetes_api;
pub mod nats_server;
mod obtain;
pub mod openbao;
pub mod operator;
pub mod port;
pub mod process;
pub mod standin;
pub mod token_reviews;
pub mod wait;
pub mod workloads;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a panic of another test has left behind is as good as before.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
