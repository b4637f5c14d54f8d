//! The streams, their subjects and the durable of each cluster.
//!
//! `eso-relay init` declares them ([`provision`]); the daemons only verify ([`verify`]) and never
//! create, change or delete one.

mod dead_letter;
pub mod provision;
mod spec;
mod subject;
pub mod verify;

pub use self::{
    dead_letter::{DeadLetter, Reason},
    spec::{ACK_WAIT, Limits, Stream, durable},
    subject::{InvalidSubject, Subject},
};

/// In each message of the events stream: how many events it holds.
pub const EVENTS_HEADER: &str = "Eso-Relay-Events";
