//! Reports restarts.

use std::time::Duration;

use eso_relay::event::Fingerprint;
use tracing::{debug, error, info, warn};

use super::{
    kube_events::Fact,
    reporter::{Reporter, now},
};
use crate::{
    engine::{NotRestarted, RolloutResult},
    matching::index::Index,
    object::{Fault, ObjectRef, Outcome},
};

impl Reporter {
    /// The workload is not restarted for the event.
    pub(super) fn not_restarted(workload: &ObjectRef, event: Fingerprint, why: NotRestarted) {
        let reason = why.as_str();
        match why {
            // Nothing is wrong, or it is said once for all.
            NotRestarted::Superseded | NotRestarted::Gone | NotRestarted::Forbidden => {
                debug!(object = %workload, %event, reason, "not restarted");
            }
            NotRestarted::NoSecret
            | NotRestarted::Refused
            | NotRestarted::NotSynced
            | NotRestarted::GaveUp
            | NotRestarted::RolloutFailed => {
                warn!(object = %workload, %event, reason, "not restarted");
            }
        }
    }

    /// A restart has a result. A missing permission is said once, until a restart succeeds.
    pub(crate) fn restarted(
        &mut self,
        workload: &ObjectRef,
        events: &[Fingerprint],
        outcome: &Outcome,
    ) {
        let events = events.len();
        match outcome {
            Outcome::Done => {
                self.restarts_are_forbidden = false;
                info!(object = %workload, events, "restarted");
            }
            Outcome::Gone => debug!(object = %workload, events, "gone before its restart"),
            Outcome::Retry {
                fault: Fault::Permission,
                error,
                ..
            } if !self.restarts_are_forbidden => {
                self.restarts_are_forbidden = true;
                warn!(
                    object = %workload,
                    error,
                    "not permitted to restart workloads, so they keep the old value; refreshes are not affected. \
                     Grant `patch` on them, or disable restarts"
                );
            }
            Outcome::Retry {
                fault: Fault::Permission,
                error,
                ..
            } => debug!(object = %workload, error, "not permitted to restart it"),
            Outcome::Retry { fault, error, .. } => {
                warn!(object = %workload, events, ?fault, error, "restart failed; retrying");
            }
            Outcome::Refused { error } => {
                error!(object = %workload, events, error, "the API refused the restart; not retrying");
            }
        }
        self.metrics.restarts.answered(workload, outcome);
    }

    /// A rollout that was started here has ended.
    pub(crate) fn rolled_out(
        &mut self,
        workload: &ObjectRef,
        events: &[Fingerprint],
        result: RolloutResult,
        after: Duration,
        index: &Index,
    ) {
        self.metrics.restarts.rolled_out(workload, result);
        match result {
            RolloutResult::Done => info!(object = %workload, ?after, "rolled out"),
            RolloutResult::Failed => warn!(
                object = %workload,
                ?after,
                "the rollout does not become ready; what still waits for the same events is not restarted"
            ),
        }
        if let (RolloutResult::Failed, Some(event)) = (result, events.last()) {
            let source = self.ledger.source(*event).cloned();
            self.note(
                workload,
                *event,
                source,
                Fact::RolloutFailed { after },
                index,
            );
        }
        let now = now();
        for event in events {
            self.ledger.rolled_out(now, *event, workload, result);
        }
        self.spans.rolled_out(now, events, workload, result, after);
    }
}
