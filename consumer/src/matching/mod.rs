//! From an event to the objects that read the secret.

pub mod found;
pub mod index;
pub mod provider;
mod resolve;
pub mod selector;
pub mod settle;

pub use self::{
    found::Found,
    resolve::{Resolved, Seen, StorePolicy, resolve, resolve_among},
};
