//! A child process with its output in a file: signalled, awaited, and gone when dropped.

mod guard;

use std::{
    fmt::Debug,
    fs::OpenOptions,
    future::ready,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use self::guard::Guard;
use crate::wait;

/// A child. Dropping it kills it at once and reaps it; it does not outlive this process either, however
/// that ends.
pub struct Process {
    name: String,
    command: Command,
    child: Child,
    /// None once the child is reaped.
    guard: Option<Guard>,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it writes to stdout and stderr is appended to the file `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = run(name, &mut command)?;
        let mut process = Self {
            name: name.to_owned(),
            command,
            child,
            guard: None,
            log: log.to_owned(),
        };
        process.guard = Some(Guard::of(process.id())?);
        Ok(process)
    }

    /// Runs the same command again, after it has ended.
    pub(crate) fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.exited().is_some(), "{} is running", self.name);
        self.child = run(&self.name, &mut self.command)?;
        self.guard = Some(Guard::of(self.id())?);
        Ok(())
    }

    /// The id that the system knows it by.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that it writes to.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All that it has written, over all of its starts.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its exit status, once it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        self.guard = None;
        Some(status)
    }

    /// SIGTERM: asks it to finish.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGHUP: asks it to read its configuration again.
    pub fn reload(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::HUP)
    }

    /// SIGSTOP: it hangs, with its connections open, until [`Process::resume`].
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        // The signal is on its way only; some of its threads may still answer. `NOWAIT` leaves an
        // exit for `Child` to see.
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&self.child)), stopped)
            .with_context(|| format!("cannot see {} stop", self.name))?;
        Ok(())
    }

    /// SIGCONT.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGKILL, and waits until it is gone: its port is free afterwards.
    ///
    /// # Errors
    /// It was seen to have ended before.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        ensure!(self.guard.is_some(), "{} has ended", self.name);
        self.child.kill()?;
        self.child.wait()?;
        self.guard = None;
        Ok(())
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// It still runs after `deadline`; the error holds the end of its log.
    pub async fn wait_exit(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let what = format!("{} to exit", self.name);
        let exit = wait::until(what, deadline, || ready(self.exited())).await;
        exit.with_context(|| self.last_words())
    }

    /// Waits until `probe` gives a value, as long as the process lives.
    ///
    /// # Errors
    /// It exited, or is not ready after `deadline`; the error holds the end of its log.
    pub async fn wait_until<T, E: Debug, F: Future<Output = Result<T, E>>>(
        &mut self,
        what: &str,
        deadline: Duration,
        mut probe: impl FnMut() -> F,
    ) -> anyhow::Result<T> {
        let what = format!("{}: {what}", self.name);
        let alive = || {
            let state = self.exited().map_or_else(|| Ok(probe()), Err);
            async {
                match state {
                    Ok(answer) => answer.await.map(Ok),
                    Err(status) => Ok(Err(status)),
                }
            }
        };
        match wait::until_ok(what, deadline, alive).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(status)) => bail!("{} ended ({status}); {}", self.name, self.last_words()),
            Err(error) => Err(error.context(self.last_words())),
        }
    }

    fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        // An exited child is reaped here and its id may be another's by now.
        if let Some(status) = self.exited() {
            bail!("{} has ended ({status}); {}", self.name, self.last_words());
        }
        kill_process(Pid::from_child(&self.child), signal)?;
        Ok(())
    }

    /// The end of what it has written, for an error.
    pub fn last_words(&self) -> String {
        const LINES: usize = 40;
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LINES)..].join("\n  ");
        format!("the end of the log of {}:\n  {end}", self.name)
    }
}

fn run(name: &str, command: &mut Command) -> anyhow::Result<Child> {
    let program = command.get_program().display().to_string();
    command
        .spawn()
        .with_context(|| format!("cannot start {name}: {program}"))
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it is gone already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> (tempfile::TempDir, Process) {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::spawn("a script", command, &dir.path().join("log"));
        (dir, process.unwrap())
    }

    #[tokio::test]
    async fn a_process_that_ends_too_early_is_told_with_its_last_words() {
        let (_dir, mut process) = shell("echo no such flag >&2; exit 3");
        let error = process
            .wait_until("ready", PATIENCE, async || Err::<(), _>("not yet"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("no such flag"), "{error}");
    }

    #[tokio::test]
    async fn terminate_lets_a_process_finish_by_itself() {
        let (_dir, mut process) =
            shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
        wait::until("the trap", PATIENCE, async || {
            process.log().contains("ready").then_some(())
        })
        .await
        .unwrap();
        process.terminate().unwrap();
        assert!(process.wait_exit(PATIENCE).await.unwrap().success());
        assert_eq!(process.log(), "ready\nbye\n");
        process.terminate().unwrap_err();
    }

    #[test]
    fn a_dropped_process_is_gone_even_when_paused() {
        let (_dir, mut process) = shell("sleep 600");
        process.pause().unwrap();
        let id = Pid::from_child(&process.child);
        drop(process);
        rustix::process::test_kill_process(id).unwrap_err();
    }
}
