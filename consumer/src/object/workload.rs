//! What the watch shows of a workload that is restarted.

use std::{fmt, time::Duration};

use eso_relay::event::Fingerprint;

use super::annotation::{
    BANZAICLOUD_COUNT_ANNOTATION, RESTARTS_ANNOTATION, SECRETS_RELOADER_COUNT_ANNOTATION,
};

/// An older event may be redelivered after newer ones have restarted the workload, and must find itself.
pub const MAX_RESTART_MARKS: usize = 8;

/// The events that a workload was restarted for, the newest last; at most [`MAX_RESTART_MARKS`]. The pod template
/// carries them in an annotation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestartMarks(Vec<Fingerprint>);

impl RestartMarks {
    pub fn contains(&self, event: Fingerprint) -> bool {
        self.0.contains(&event)
    }

    /// With these events besides, the newest last. The oldest are dropped.
    #[must_use]
    pub fn with(&self, events: &[Fingerprint]) -> Self {
        let kept = self.0.iter().filter(|mark| !events.contains(mark));
        let mut marks: Vec<_> = kept.chain(events).copied().collect();
        marks.drain(..marks.len().saturating_sub(MAX_RESTART_MARKS));
        Self(marks)
    }

    pub fn iter(&self) -> impl Iterator<Item = Fingerprint> {
        self.0.iter().copied()
    }
}

/// Separated by commas, as in the annotation.
impl fmt::Display for RestartMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, event) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{event}")?;
        }
        Ok(())
    }
}

impl FromIterator<Fingerprint> for RestartMarks {
    fn from_iter<T: IntoIterator<Item = Fingerprint>>(events: T) -> Self {
        let events: Vec<_> = events.into_iter().collect();
        Self::default().with(&events)
    }
}

/// A workload that may be restarted, as the watch has shown it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadState {
    /// `metadata.resourceVersion`: a restart is patched over this version only, so that it is never counted twice.
    pub version: Box<str>,
    pub marks: RestartMarks,
    pub counter: Counter,
    /// What the counter says; 0 where it is absent or not a number.
    pub restarts: u64,
    pub rollout: Rollout,
    /// How long after a restart the next one may start; `None`: as the settings say.
    pub interval: Option<Duration>,
}

/// The annotation of the pod template that counts restarts: ours, or the one of the tool under whose annotation the
/// workload has opted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counter {
    #[default]
    Own,
    /// `secrets-reloader.security.bank-vaults.io/secret-reload-count`.
    SecretsReloader,
    /// `alpha.vault.security.banzaicloud.io/secret-reload-count`.
    Banzaicloud,
}

impl Counter {
    pub fn annotation(self) -> &'static str {
        match self {
            Self::Own => RESTARTS_ANNOTATION,
            Self::SecretsReloader => SECRETS_RELOADER_COUNT_ANNOTATION,
            Self::Banzaicloud => BANZAICLOUD_COUNT_ANNOTATION,
        }
    }
}

/// How far the last change of the pod template has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// Every pod runs the template as it is, or no pod will follow it by itself: paused, no replicas, `OnDelete`.
    Done,
    /// Pods are being replaced.
    Rolling,
    /// The condition `Progressing` is `False`: its deadline is exceeded.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u8) -> Fingerprint {
        format!("{number:020x}").parse().unwrap()
    }

    #[test]
    fn the_newest_eight_events_are_kept() {
        let marks: RestartMarks = (0..9).map(event).collect();
        assert!(!marks.contains(event(0)) && marks.contains(event(1)));
        let again = marks.with(&[event(1), event(9)]);
        assert_eq!(again.iter().count(), MAX_RESTART_MARKS);
        assert!(again.contains(event(1)) && !again.contains(event(2)));
    }
}
