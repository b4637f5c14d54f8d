//! The integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    reason = "a test says what failed; its helper functions too"
)]

mod cli;
mod connection;
mod consuming;
mod credentials;
mod docs;
mod durability;
mod faults;
mod formats;
mod jwt;
mod limits;
mod manifests;
mod matching;
mod namespaced;
mod nats;
mod notes;
mod observe;
mod outage;
mod pipeline;
mod poison;
mod rejection;
mod replay;
mod replicas;
mod secrecy;
mod seed;
mod senders;
mod settle;
mod stored;
mod stream;
mod tls;
mod trace;
mod v1beta1;
