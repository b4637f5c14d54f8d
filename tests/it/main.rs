//! The integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    reason = "a test says what failed; its helper functions too"
)]

mod cli;
mod connection;
mod credentials;
mod durability;
mod nats;
mod pipeline;
mod rejection;
mod secrecy;
mod seed;
mod senders;
mod stored;
mod stream;
mod trace;
