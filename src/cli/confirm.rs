//! Asks before what cannot be taken back.

use std::io::IsTerminal as _;

use super::Failure;

/// Whether there is a terminal to ask on.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The way out where [`can_ask`] says no.
pub(super) const ADD_YES: &str = "there is no terminal to ask on: add --yes";

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
