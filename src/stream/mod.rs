//! The streams, their subjects and the durable of each cluster.
//!
//! `eso-relay init` declares them ([`provision`]); the daemons only verify ([`verify`]) and never
//! create, change or delete one.

mod dead_letter;
mod message;
pub mod provision;
mod spec;
mod subject;
pub mod verify;

pub use self::{
    dead_letter::{DeadLetter, Reason},
    message::{EVENTS_HEADER, message},
    spec::{ACK_WAIT, Limits, Stream, durable},
    subject::{InvalidSubject, Subject},
};
