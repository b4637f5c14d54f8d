//! Reports on the objects themselves.

use std::time::Duration;

use eso_relay::{Slug, event::Fingerprint};

use super::{
    kube_events::{Fact, Note},
    metrics::EventResult,
    reporter::{Reporter, now},
};
use crate::{
    engine::Step,
    matching::index::Index,
    object::{ObjectRef, Steps},
};

impl Reporter {
    pub(super) fn fact_of_step(
        &self,
        target: &ObjectRef,
        step: Step,
        after: Duration,
        index: &Index,
    ) -> Option<Fact> {
        let fact = Fact::of_step(step, after)?;
        let passed_over = matches!(fact, Fact::Silent { .. })
            && self.resets_are_refused
            && index.steps(target) == Steps::Two;
        Some(if passed_over {
            Fact::PassedOver { after }
        } else {
            fact
        })
    }

    /// Writes a note on the object itself, if there is room.
    pub(super) fn note(
        &self,
        target: &ObjectRef,
        event: Fingerprint,
        source: Option<Slug>,
        fact: Fact,
        index: &Index,
    ) {
        let Some(notes) = &self.notes else {
            return;
        };
        // An object that is gone has no uid, and cannot be described.
        let Some(uid) = index.uid(target) else {
            return;
        };
        let note = Note {
            at: now(),
            target: target.clone(),
            uid,
            event,
            source,
            fact,
        };
        if notes.try_send(note).is_err() {
            self.metrics.kube_event(EventResult::limited);
        }
    }
}
