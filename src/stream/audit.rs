//! What a person has done with a command, in `ESO_RELAY_AUDIT`.
//!
//! Subject `eso-relay.audit.v1.<verb>`. No secret: the options that need one name a file, and the URL of NATS is left out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::subject::MAJOR;

/// The commands that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Send,
    Replay,
    Resync,
    Redrive,
    Discard,
    Init,
}

impl Verb {
    pub const ALL: [Self; 6] = [
        Self::Send,
        Self::Replay,
        Self::Resync,
        Self::Redrive,
        Self::Discard,
        Self::Init,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Replay => "replay",
            Self::Resync => "resync",
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::Init => "init",
        }
    }
}

/// One command that has changed something. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    pub at: Timestamp,
    pub verb: Verb,
    /// The user of NATS, where the configuration names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Who was logged in where the command ran, as the environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The arguments, but for the URL of NATS.
    pub command: Vec<String>,
    /// How many events or dead letters it was about.
    pub count: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl Audit {
    pub fn subject(&self) -> String {
        format!("eso-relay.audit.v{MAJOR}.{}", self.verb.as_str())
    }

    /// Of one verb, or of all.
    pub fn subjects_of(verb: Option<Verb>) -> String {
        format!("eso-relay.audit.*.{}", verb.map_or("*", Verb::as_str))
    }
}
