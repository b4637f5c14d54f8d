//! How far a long command is, on standard error, for people only.

use std::io::{IsTerminal as _, Write as _};

pub(super) struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str, total: u64) -> Self {
        Self {
            what,
            total,
            done: 0,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn step(&mut self) {
        self.done += 1;
        let often = (self.total / 100).max(1);
        if self.terminal && self.done.is_multiple_of(often) {
            // Progress that cannot be shown stops nothing.
            write!(
                std::io::stderr(),
                "\r{} {} of {} ",
                self.what,
                self.done,
                self.total
            )
            .ok();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal && self.done > 0 {
            writeln!(
                std::io::stderr(),
                "\r{} {} of {} ",
                self.what,
                self.done,
                self.total
            )
            .ok();
        }
    }
}
