//! The types that all parts of the consumer share: of one object, and of the message that matched it.

mod annotation;
mod delivery;
mod kes;
mod object_ref;
mod outcome;
mod sync;
mod uid;
mod unrefreshable;
mod workload;

pub use self::{
    annotation::{
        BANZAICLOUD_COUNT_ANNOTATION, FORCE_ANNOTATION, FORCE_SYNC_ANNOTATION, IGNORE_ANNOTATION,
        REFRESH_ANNOTATION, RESTARTED_FOR_ANNOTATION, RESTARTS_ANNOTATION, RefreshMark,
        SECRETS_RELOADER_COUNT_ANNOTATION, Stage,
    },
    delivery::{Kept, Rejection, Sequence},
    object_ref::{ListKind, ObjectKind, ObjectRef, WorkloadKind},
    outcome::{Fault, Outcome, Reset, Steps},
    sync::{Hashed, SyncState, SyncVersion, is_emptied},
    uid::{InvalidUid, Uid},
    unrefreshable::{Refreshable, Unrefreshable},
    workload::{Counter, MAX_RESTART_MARKS, RestartMarks, Rollout, WorkloadState},
};
