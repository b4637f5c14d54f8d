//! The real External Secrets Operator at work on a real Kubernetes API.

mod program;

use std::{process::Command, time::Duration};

use anyhow::ensure;
use tempfile::TempDir;

use self::program::Program;
use crate::{kubernetes_api::KubernetesApi, obtain, process::Process};

const START: Duration = Duration::from_secs(60);

/// Whether `ESO_RELAY_ESO` says `real`; says on stderr what is skipped when it does not.
pub fn is_asked_for() -> bool {
    obtain::is_asked_for("ESO_RELAY_ESO", "the real External Secrets Operator")
}

/// The operator as it is released, with its defaults. Dropping it kills it.
pub struct Operator {
    pub process: Process,
    _dir: TempDir,
}

impl Operator {
    /// An API server that knows all kinds which the operator watches.
    ///
    /// # Errors
    /// The operator, whose definitions they are, is not there and cannot be built.
    pub async fn kubernetes_api() -> anyhow::Result<KubernetesApi> {
        let program = program::obtain().await?;
        KubernetesApi::with_definitions(&program.definitions()).await
    }

    /// Starts it on that API with these environment variables, and returns once it works.
    ///
    /// # Errors
    /// It does not start: the error holds the end of its log.
    pub async fn start(api: &KubernetesApi, env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let program = program::obtain().await?;
        let dir = tempfile::Builder::new().prefix("operator-").tempdir()?;
        let mut process = spawn(&program, api, env, &dir)?;
        let log = dir.path().join("log");
        let works = || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            async move {
                let works = log.lines().any(is_at_work);
                ensure!(works, "its workers have not started");
                Ok(())
            }
        };
        process.wait_until("its workers", START, works).await?;
        Ok(Self { process, _dir: dir })
    }
}

fn spawn(
    program: &Program,
    api: &KubernetesApi,
    env: &[(&str, &str)],
    dir: &TempDir,
) -> anyhow::Result<Process> {
    let mut command = Command::new(program.operator());
    command
        // It has no port, so that none can be taken.
        .arg("--metrics-addr=0")
        // The clients of the stores take settings from the environment: the user's shall not count.
        .env_clear()
        .env("HOME", dir.path())
        .env("KUBECONFIG", api.kubeconfig())
        .envs(env.iter().copied());
    Process::spawn("the operator", command, &dir.path().join("log"))
}

fn is_at_work(line: &str) -> bool {
    line.contains("Starting workers") && line.contains(r#""controller":"externalsecret""#)
}
