//! The integration tests, in one binary.

mod cli;
mod nats;
mod stream;
