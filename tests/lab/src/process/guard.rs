//! No process is left behind by a test run that was interrupted or killed: nothing in it runs any
//! more that could drop its children.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;

/// A line on its stdin means that the child is reaped and its id may be another's; the end of its
/// stdin without one, that this process has died. The signals of a terminal reach it too.
const SCRIPT: &str = r#"trap '' INT TERM HUP; read -r _ || kill -9 "$0""#;

/// A shell that kills the child when this process dies. To be dropped once the child is reaped.
pub(super) struct Guard(Child);

impl Guard {
    pub(super) fn of(id: u32) -> anyhow::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, &id.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Ok(Self(shell.context("cannot start sh")?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // An error means that the shell is gone already.
        if let Some(mut stdin) = self.0.stdin.take() {
            stdin.write_all(b"\n").ok();
        }
        self.0.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::Child};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[test]
    fn a_child_is_killed_when_nobody_is_left_to_say_that_it_is_reaped() {
        let mut child = sleeper();
        let mut guard = Guard::of(child.id()).unwrap();
        // What the system does with the pipes of a process that dies.
        drop(guard.0.stdin.take());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_guard_that_is_dropped_kills_nothing() {
        let mut child = sleeper();
        drop(Guard::of(child.id()).unwrap());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
