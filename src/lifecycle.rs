//! From the first signal to the exit code.
//!
//! The first SIGTERM or SIGINT asks every task to finish; the second one, or the end of the grace
//! period, ends the process with a failure. A task that fails or panics stops the others.

use std::{future::Future, io::Write as _, process::ExitCode, sync::mpsc, thread, time::Duration};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info};

/// For the error message on standard error, which may be a pipe that nothing reads.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a daemon's `main` returns. An error goes to standard error, also before there is a log.
pub fn exit_code(program: &str, result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        let words = format!("{program}: {error:#}\n");
        let (said, saying) = mpsc::channel();
        thread::spawn(move || {
            std::io::stderr().write_all(words.as_bytes()).ok();
            said.send(()).ok();
        });
        saying.recv_timeout(LAST_WORDS).ok();
        ExitCode::FAILURE
    })
}

/// The tasks of one daemon and their common end.
#[derive(Clone)]
pub struct Lifecycle {
    stop: CancellationToken,
    failed: CancellationToken,
    tasks: TaskTracker,
    grace: Duration,
}

impl Lifecycle {
    /// `grace`: how long the tasks may take to finish after the first signal.
    pub fn new(grace: Duration) -> Self {
        Self {
            stop: CancellationToken::new(),
            failed: CancellationToken::new(),
            tasks: TaskTracker::new(),
            grace,
        }
    }

    /// Cancelled when the process should finish its work and start nothing new.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a task whose end, for whatever reason, is the end of the daemon.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let task = tokio::spawn(task);
        let Self { stop, failed, .. } = self.clone();
        self.tasks.spawn(async move {
            let result = task.await.context("the task panicked").flatten();
            if let Err(error) = result {
                error!(
                    task = name,
                    error = format!("{error:#}"),
                    "a task failed; stopping"
                );
                failed.cancel();
            }
            stop.cancel();
        });
    }

    /// Waits for a signal or the first task to end, then for the others; returns the exit code.
    pub async fn run(self) -> ExitCode {
        let (mut term, mut int) = match signals() {
            Ok(signals) => signals,
            Err(error) => {
                error!(error = format!("{error:#}"), "cannot listen for signals");
                return ExitCode::FAILURE;
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            _ = term.recv() => info!(signal = "SIGTERM", "stopping"),
            _ = int.recv() => info!(signal = "SIGINT", "stopping"),
        }
        self.stop.cancel();
        self.tasks.close();
        let finished = tokio::select! {
            () = self.tasks.wait() => true,
            () = tokio::time::sleep(self.grace) => {
                error!(grace = ?self.grace, "not everything finished in time");
                false
            }
            _ = term.recv() => false,
            _ = int.recv() => false,
        };
        if finished && !self.failed.is_cancelled() {
            info!("stopped");
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn signals() -> std::io::Result<(Signal, Signal)> {
    Ok((
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_stops_the_others_and_the_process_succeeds() {
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        let stop = lifecycle.stopping();
        lifecycle.spawn("patient", async move {
            stop.cancelled().await;
            Ok(())
        });
        lifecycle.spawn("short", async { Ok(()) });
        assert_eq!(lifecycle.run().await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_task_that_panics_fails_the_process() {
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        lifecycle.spawn("faulty", async { panic!("on purpose") });
        assert_eq!(lifecycle.run().await, ExitCode::FAILURE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_finish_is_left_behind_after_the_grace_period() {
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        lifecycle.spawn("stuck", std::future::pending());
        lifecycle.stopping().cancel();
        assert_eq!(lifecycle.run().await, ExitCode::FAILURE);
    }
}
