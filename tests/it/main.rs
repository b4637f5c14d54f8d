//! The integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    reason = "a test says what failed; its helper functions too"
)]

mod cli;
mod connection;
mod nats;
mod pipeline;
mod stream;
