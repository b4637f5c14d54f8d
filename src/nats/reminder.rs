//! A reason that stays the same is logged now and then.

use std::time::Duration;

use tokio::time::Instant;

const REMIND: Duration = Duration::from_secs(10);

/// The reason that was logged last.
#[derive(Default)]
pub(super) struct Reminder(Option<(String, Instant)>);

impl Reminder {
    /// Whether to log this reason now: it is new, or was logged a while ago.
    pub(super) fn is_due(&mut self, reason: &str) -> bool {
        let is_known = self
            .0
            .as_ref()
            .is_some_and(|(known, at)| known == reason && at.elapsed() < REMIND);
        if !is_known {
            self.0 = Some((reason.to_owned(), Instant::now()));
        }
        !is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_repeated_only_now_and_then() {
        let mut reminder = Reminder::default();
        assert!(reminder.is_due("refused"));
        assert!(!reminder.is_due("refused"));
        assert!(reminder.is_due("timed out"));
        tokio::time::advance(REMIND).await;
        assert!(reminder.is_due("timed out"));
    }
}
