//! The streams, their subjects and the durable of each cluster.
//!
//! `eso-relay init` declares them ([`provision`]); the daemons only verify ([`verify`]) and never
//! create, change or delete one.

mod audit;
mod dead_letter;
pub mod history;
mod message;
mod polled;
pub mod position;
pub mod provision;
pub mod receipt;
mod rule;
mod spec;
pub mod stored;
mod subject;
pub mod verify;
mod watched;

pub use self::{
    audit::{Audit, Verb},
    dead_letter::{DeadLetter, Reason},
    history::History,
    message::{EVENTS_HEADER, message},
    polled::{Lease, Pass, Polled, PolledState, PolledVersion},
    position::Position,
    receipt::Receipt,
    rule::duration,
    spec::{ACK_WAIT, Limits, Start, Stream, durable},
    subject::{InvalidSubject, Subject},
    watched::Watched,
};
