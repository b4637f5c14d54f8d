//! `eso-relay completions`: what a shell needs to complete the commands.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::{Cli, Failure};

/// Print the completions of a shell
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  source <(eso-relay completions bash)
  eso-relay completions zsh > \"${fpath[1]}/_eso-relay\"
  eso-relay completions fish > ~/.config/fish/completions/eso-relay.fish")]
pub(super) struct Args {
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "eso-relay", &mut script);
    Ok(std::io::stdout().lock().write_all(&script)?)
}
