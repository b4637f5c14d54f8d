//! The spans of restarted workloads: a `restart`, from the sync that it follows until it is written, and a `rollout`
//! after it.

use std::time::Duration;

use eso_relay::{event::Fingerprint, stream::receipt::MAX_EXAMPLES, telemetry::spans::Kind};
use jiff::Timestamp;

use super::{Spans, before, of_object};
use crate::{engine::RolloutResult, object::ObjectRef, report::metrics::RestartResult};

impl Spans {
    /// A workload is restarted for an event. `after`: since ESO has synced what it reads.
    pub(super) fn send_restart(
        &mut self,
        now: Timestamp,
        event: Fingerprint,
        workload: &ObjectRef,
        after: Duration,
    ) {
        let Some(process) = self.open.get_mut(&event) else {
            return;
        };
        // Zero: it was restarted before.
        if after.is_zero() || process.restart_spans == MAX_EXAMPLES {
            return;
        }
        process.restart_spans += 1;
        process.rolling.push(workload.clone());
        let times = (before(now, after), now);
        if let Some(span) = self.child(event, "restart", Kind::Client, times) {
            self.tracer.finish(of_object(span, workload));
        }
    }

    /// The rollout of a workload has ended, which was restarted for these events. `after`: since the restart.
    pub(in crate::report) fn rolled_out(
        &mut self,
        now: Timestamp,
        events: &[Fingerprint],
        workload: &ObjectRef,
        result: RolloutResult,
        after: Duration,
    ) {
        // As the label of the metrics.
        let name = format!("{:?}", RestartResult::of(result));
        for event in events {
            let Some(process) = self.open.get_mut(event) else {
                continue;
            };
            let others = process.rolling.len();
            process.rolling.retain(|other| other != workload);
            if process.rolling.len() == others {
                continue;
            }
            let times = (before(now, after), now);
            if let Some(span) = self.child(*event, "rollout", Kind::Internal, times) {
                let span = of_object(span, workload).with("eso_relay.rollout", name.as_str());
                self.tracer.finish(match result {
                    RolloutResult::Done => span,
                    RolloutResult::Failed => span.failed(&name),
                });
            }
        }
    }
}
