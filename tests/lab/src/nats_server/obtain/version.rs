//! Which nats-server will do.

use std::{fmt, path::Path};

use tokio::process::Command;

/// The lowest version whose storage survives what the suite does to it.
pub(super) const LOWEST: Version = Version(2, 10, 27);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32, u32);

#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it is nats-server {0}; {LOWEST} or newer is needed")]
    Old(Version),
    #[error("it is no nats-server that runs here: {0}")]
    NotRun(String),
}

/// Asks the program for its version.
pub(super) async fn check(program: &Path) -> Result<(), Refusal> {
    let output = Command::new(program).arg("--version").output().await;
    let output = output.map_err(|error| Refusal::NotRun(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let found = Version::parse(&said)
        .ok_or_else(|| Refusal::NotRun(format!("`--version` answered {:?}", said.trim())))?;
    if found < LOWEST {
        return Err(Refusal::Old(found));
    }
    Ok(())
}

impl Version {
    /// From `nats-server: v2.15.2` or `nats-server: v2.11.0-RC.1`.
    pub(super) fn parse(said: &str) -> Option<Self> {
        let numbers = said.trim().strip_prefix("nats-server: v")?;
        let numbers = numbers.split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        Some(Self(numbers.next()??, numbers.next()??, numbers.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}
