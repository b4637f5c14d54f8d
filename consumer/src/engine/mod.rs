//! The state machine between deliveries and patches: no I/O, no clock, no lock.

mod io;

pub use self::io::{Delivery, Input, Output, Rejection, Sequence};
