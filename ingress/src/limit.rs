//! How much one source may use, so that it cannot starve the others.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    body::{BodyLimits, Quota},
    token_bucket::TokenBucket,
};

const SECOND: Duration = Duration::from_secs(1);

/// The `limits:` section of a source. Beyond either limit it is answered 503.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Authenticated requests per second; a burst may be as large. Default: no limit.
    pub requests_per_second: Option<u32>,
    /// The bytes that the bodies of this source hold together. Default: half of `max_buffered`, but
    /// at least `body_limit`.
    pub buffered: Option<usize>,
}

/// The limits of one source, in use.
#[derive(Default)]
pub(crate) struct SourceLimits {
    rate: Option<Mutex<TokenBucket>>,
    pub(crate) quota: Quota,
}

impl LimitsConfig {
    /// # Errors
    /// What is wrong, and how to correct it.
    pub(crate) fn check(&self, body_limit: usize) -> Result<(), String> {
        if self.requests_per_second == Some(0) {
            return Err(
                "`limits.requests_per_second` is 0: no request would be accepted; remove it for no limit".to_owned(),
            );
        }
        match self.buffered {
            Some(buffered) if buffered < body_limit => Err(format!(
                "`limits.buffered` ({buffered}) is below `body_limit` ({body_limit}): raise it, or remove it for half of `max_buffered`"
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn open(&self, bodies: &BodyLimits) -> SourceLimits {
        let buffered = self
            .buffered
            .unwrap_or_else(|| bodies.body.max(bodies.total / 2));
        let bucket =
            |per_second: u32| Mutex::new(TokenBucket::new(SECOND / per_second.max(1), SECOND));
        SourceLimits {
            rate: self.requests_per_second.map(bucket),
            quota: Quota::of(buffered),
        }
    }
}

impl SourceLimits {
    /// Whether the rate allows one more request now; if so it counts. `now` is asked only if there is a rate.
    pub(crate) fn allow(&self, now: impl FnOnce() -> Instant) -> bool {
        self.rate.as_ref().is_none_or(|rate| {
            let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
            rate.take(now())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(requests_per_second: Option<u32>, tries: usize) -> usize {
        let config = LimitsConfig {
            requests_per_second,
            buffered: Some(1),
        };
        let limits = config.open(&BodyLimits {
            body: 1,
            total: 1,
            unverified: 1,
            time: SECOND,
        });
        let now = Instant::now();
        (0..tries).filter(|_| limits.allow(|| now)).count()
    }

    #[test]
    fn only_a_configured_rate_limits() {
        assert_eq!(allowed(None, 10_000), 10_000);
        assert_eq!(allowed(Some(4), 10), 4);
    }
}
