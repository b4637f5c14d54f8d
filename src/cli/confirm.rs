//! Asks before what cannot be taken back.

use std::io::IsTerminal as _;

use super::Failure;

/// Whether there is a terminal to ask on.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The way out where [`can_ask`] says no.
pub(super) const ADD_YES: &str = "there is no terminal to ask on: add --yes";

/// An error before anything is done, where a command would have to ask and cannot.
pub(super) fn must_not_ask_in_vain(yes: bool, dry_run: bool) -> Result<(), Failure> {
    if yes || dry_run || can_ask() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{ADD_YES}, or --dry-run to look first"
    )))
}

/// Asks on standard error. An error: the answer is no.
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(anyhow::anyhow!("not confirmed; nothing was changed").into())
    }
}
