//! The annotations of objects, which are an interface, and what the refresh annotation holds.

use std::{fmt, str::FromStr};

use eso_relay::event::{Fingerprint, InvalidFingerprint};

/// The annotation whose change makes ESO refresh an ExternalSecret. Its value is a
/// [`RefreshMark`](RefreshMark) of the newest event: ESO refreshes when the hash over an object's annotations changes (ESO
/// `externalsecret_controller.go`, `shouldRefresh`).
pub const REFRESH_ANNOTATION: &str = "eso-relay.dev/refresh";
/// The annotation that ESO copies from a ClusterExternalSecret to all that it owns (ESO 0.20,
/// `clusterexternalsecret_controller.go`). It removes any other.
pub const FORCE_SYNC_ANNOTATION: &str = "external-secrets.io/force-sync";
/// The annotation that, when `true`, refreshes an ExternalSecret even if its policy makes ESO skip it.
pub const FORCE_ANNOTATION: &str = "eso-relay.dev/force";
/// The annotation that, when `true`, excludes an ExternalSecret from refreshes.
pub const IGNORE_ANNOTATION: &str = "eso-relay.dev/ignore";

/// The annotation of a pod template that says for which events the workload was restarted: the newest eight
/// fingerprints, separated by commas, the newest last. Of an Argo Rollout it is one of the object itself.
pub const RESTARTED_FOR_ANNOTATION: &str = "eso-relay.dev/restarted-for";
/// The annotation beside it that counts restarts.
pub const RESTARTS_ANNOTATION: &str = "eso-relay.dev/restarts";
/// The same where the workload has opted in by the annotation of vault-secrets-reloader.
pub const SECRETS_RELOADER_COUNT_ANNOTATION: &str =
    "secrets-reloader.security.bank-vaults.io/secret-reload-count";
/// The same by the older name of that annotation.
pub const BANZAICLOUD_COUNT_ANNOTATION: &str =
    "alpha.vault.security.banzaicloud.io/secret-reload-count";

const SETTLED: &str = ";settle";

/// The event that an object was refreshed for, and the stage: `0123456789abcdef0123`, and after the settle
/// `0123456789abcdef0123;settle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshMark {
    pub event: Fingerprint,
    pub stage: Stage,
}

/// How far the refresh for an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// At once. The only stage of an event without a settle.
    First,
    /// After the settle.
    Settled,
}

impl FromStr for RefreshMark {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let (event, stage) = match text.strip_suffix(SETTLED) {
            Some(event) => (event, Stage::Settled),
            None => (text, Stage::First),
        };
        let event = event.parse()?;
        Ok(Self { event, stage })
    }
}

impl fmt::Display for RefreshMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self.stage {
            Stage::First => "",
            Stage::Settled => SETTLED,
        };
        write!(f, "{}{suffix}", self.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_stages_come_back_as_they_were_written_and_differ() {
        for (text, stage) in [
            ("0123456789abcdef0123", Stage::First),
            ("0123456789abcdef0123;settle", Stage::Settled),
        ] {
            let value: RefreshMark = text.parse().unwrap();
            assert_eq!((value.stage, value.to_string().as_str()), (stage, text));
        }
    }

    #[test]
    fn somebody_elses_text_is_no_value() {
        for text in ["", ";settle", "now", "0123456789abcdef0123;settle;settle"] {
            assert!(text.parse::<RefreshMark>().is_err(), "{text}");
        }
    }
}
