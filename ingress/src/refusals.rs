//! Logs refused requests: a few lines a minute for unauthenticated senders, with the number that were left out.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use eso_relay::Slug;
use tokio::time::Instant;
use tracing::{debug, field::display, info, warn};

use crate::{
    error::{Error, Failure},
    head::Head,
};

const LINES: u64 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Common to all sources: a client that knows one path can guess others.
#[derive(Clone, Default)]
pub(crate) struct Refusals(Arc<Mutex<Window>>);

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    refused: u64,
}

impl Refusals {
    /// `source`: `None` for a path without a source.
    pub(crate) fn log(
        &self,
        source: Option<&Slug>,
        trace: Option<&str>,
        code: &'static str,
        head: Head<'_>,
    ) {
        let (source, client) = (source.map(display), display(head.client()));
        match self.pass(Instant::now()) {
            None => debug!(source, trace, code, client, "refused"),
            Some(0) => info!(source, trace, code, client, "refused"),
            Some(left_out) => info!(
                source,
                trace, code, client, left_out, "refused; earlier lines were left out"
            ),
        }
    }

    /// Errors of the server are warnings, those of authenticated senders info. Lines about unauthenticated
    /// senders and sources beyond their rate are limited, so that they cannot fill the log.
    pub(crate) fn report(&self, source: &Slug, trace: &str, head: Head<'_>, failure: &Failure) {
        let (error, code) = (&failure.error, failure.error.code());
        if failure.unauthenticated || matches!(error, Error::RateLimited) {
            return self.log(Some(source), Some(trace), code, head);
        }
        let client = display(head.client());
        if error.status().is_server_error() {
            warn!(%source, trace, code, client, "not accepted");
        } else {
            info!(%source, trace, code, client, %error, "nothing accepted");
        }
    }

    /// `Some` if one more line may be logged at `info`, with the number that the last minute left out.
    fn pass(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = window
            .began
            .is_none_or(|began| now.duration_since(began) >= WINDOW);
        let left_out = if over {
            let left_out = window.refused.saturating_sub(LINES);
            (window.began, window.refused) = (Some(now), 0);
            left_out
        } else {
            0
        };
        window.refused += 1;
        (window.refused <= LINES).then_some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_a_minute_and_then_a_count() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let said = (0..1000).filter(|_| refusals.pass(start).is_some());
        assert_eq!(said.count() as u64, LINES);
        let later = start + WINDOW;
        assert_eq!(refusals.pass(later), Some(1000 - LINES));
        assert_eq!(refusals.pass(later), Some(0));
        let much_later = later + 10 * WINDOW;
        assert_eq!(refusals.pass(much_later), Some(0));
    }
}
