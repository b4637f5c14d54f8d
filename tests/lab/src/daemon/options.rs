//! What a [`Daemon`] is started with.

use std::{ffi::OsString, path::Path};

use super::{Binary, Daemon};

/// A daemon that is not started yet.
#[derive(Debug, Clone)]
pub struct DaemonOptions {
    pub(super) binary: Binary,
    pub(super) config: Option<String>,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
}

impl DaemonOptions {
    pub(super) fn new(binary: Binary) -> Self {
        Self {
            binary,
            config: None,
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// The YAML file. Leave the `listen` settings out: the daemon is given free ports.
    #[must_use]
    pub fn config(mut self, yaml: impl Into<String>) -> Self {
        self.config = Some(yaml.into());
        self
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// `KUBECONFIG`, for a consumer.
    #[must_use]
    pub fn kubeconfig(self, path: &Path) -> Self {
        self.env("KUBECONFIG", path)
    }

    /// Starts the process and waits until it serves `/livez`; it may not be ready yet.
    ///
    /// # Errors
    /// It cannot be built, or it ends at once; the error holds the end of its log.
    pub async fn start(self) -> anyhow::Result<Daemon> {
        Daemon::with_options(self).await
    }
}
