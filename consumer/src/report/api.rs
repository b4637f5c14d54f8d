//! What the API did with resets and probes.

use tracing::{debug, info, warn};

use super::Reporter;
use crate::object::{Outcome, Reset};

#[expect(
    clippy::unused_self,
    reason = "callers need not know which facts are only logged"
)]
impl Reporter {
    /// The status of an object was reset, or could not be. Each change is logged once.
    pub(crate) fn reset(&mut self, reset: &Reset) {
        self.metrics.reset(reset);
        match reset {
            Reset::Done if self.resets_are_refused => {
                info!("resets of ExternalSecret statuses work again");
                self.resets_are_refused = false;
            }
            Reset::Refused { error } if !self.resets_are_refused => {
                warn!(
                    error,
                    "cannot reset the status of an ExternalSecret, so only its annotation is patched: ESO may not \
                     refresh objects that a ClusterExternalSecret owns or that are forced; grant `patch` on \
                     `externalsecrets/status`"
                );
                self.resets_are_refused = true;
            }
            Reset::NotAsked | Reset::Done | Reset::Refused { .. } => {}
        }
    }

    /// Whether the last reset of a status was refused.
    pub(crate) fn resets_are_refused(&self) -> bool {
        self.resets_are_refused
    }

    /// A probe of the API has a result.
    pub(crate) fn probed(&self, outcome: &Outcome) {
        if let Outcome::Retry { error, .. } = outcome {
            let answered = outcome.is_answer();
            debug!(error, answered, "the Kubernetes API was probed");
        }
    }

    pub(crate) fn api_is_away(&self, is_away: bool) {
        self.metrics.away(is_away);
        if is_away {
            warn!("the Kubernetes API does not answer; pausing patches and pulls until it does");
        } else {
            info!("the Kubernetes API answers again");
        }
    }
}
