//! What is known of one object, and of the message that means it: the words that all rooms share.

mod annotation;
mod delivery;
mod kind;
mod object_ref;
mod outcome;
mod refresh_mark;
mod steps;
mod sync;
mod uid;
mod unrefreshable;

pub use self::{
    annotation::{FORCE_ANNOTATION, FORCE_SYNC_ANNOTATION, IGNORE_ANNOTATION, REFRESH_ANNOTATION},
    delivery::{Kept, Rejection, Sequence},
    kind::ListKind,
    object_ref::{ObjectKind, ObjectRef},
    outcome::{Fault, Outcome},
    refresh_mark::{RefreshMark, Stage},
    steps::{Reset, Steps},
    sync::{Hashed, SyncState, SyncVersion},
    uid::{InvalidUid, Uid},
    unrefreshable::{Refreshable, Unrefreshable},
};
