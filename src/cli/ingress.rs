//! Commands that must know formats: the ingress's own binary does them, as git and cargo do it with
//! external commands. This one cannot know formats: the ingress is made of its library.

use std::{
    ffi::OsString, io::ErrorKind, os::unix::process::CommandExt as _, path::PathBuf,
    process::Command,
};

use eso_relay::command::{Failure, Output};

use super::Global;

const BINARY: &str = "eso-relay-ingress";

/// `--help` shows what they are.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(super) struct Args {
    /// See `--help` of the command
    #[arg(
        value_name = "ARGUMENTS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(super) arguments: Vec<OsString>,
}

/// Becomes the ingress's binary, whose exit code is then this one's; or says why it cannot.
pub(super) fn run(command: &str, global: &Global, own: Vec<OsString>) -> Failure {
    let binary = beside_us().unwrap_or_else(|| BINARY.into());
    let error = Command::new(&binary)
        .args(arguments(command, global, own))
        .exec();
    Failure::Failed(if error.kind() == ErrorKind::NotFound {
        anyhow::anyhow!(
            "this command needs {BINARY}, which is neither beside eso-relay nor on the PATH: get it with `cargo install --path ingress`, or run the command in the image, which has both"
        )
    } else {
        anyhow::Error::new(error).context(format!("cannot run {}", binary.display()))
    })
}

fn arguments(command: &str, global: &Global, own: Vec<OsString>) -> Vec<OsString> {
    let mut all = vec![command.into()];
    if let Some(config) = &global.config {
        all.extend(["--config".into(), config.into()]);
    }
    if global.output == Output::Json {
        all.extend(["--output".into(), "json".into()]);
    }
    all.extend(own);
    all
}

fn beside_us() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name(BINARY);
    beside.is_file().then_some(beside)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{
        super::{Cli, Command},
        *,
    };

    /// What would be run.
    fn handed_over(line: &str) -> Vec<String> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{error}"));
        let (command, args) = match cli.command {
            Command::Sources(args) => ("sources", args),
            Command::Explain(args) => ("explain", args),
            _ => panic!("{line}"),
        };
        let all = arguments(command, &cli.global, args.arguments);
        all.into_iter()
            .map(|one| one.into_string().unwrap())
            .collect()
    }

    #[test]
    fn every_argument_is_handed_over_wherever_it_stands() {
        for (line, expected) in [
            ("eso-relay sources", "sources"),
            ("eso-relay sources akeyless", "sources akeyless"),
            ("eso-relay sources --help", "sources --help"),
            ("eso-relay sources -o json", "sources --output json"),
            (
                "eso-relay -o json sources akeyless",
                "sources --output json akeyless",
            ),
            (
                "eso-relay sources akeyless -o json",
                "sources akeyless -o json",
            ),
            (
                "eso-relay explain --config a.yaml --source ci -",
                "explain --config a.yaml --source ci -",
            ),
            (
                "eso-relay explain --format akeyless --header a:b f.json --output json",
                "explain --format akeyless --header a:b f.json --output json",
            ),
        ] {
            assert_eq!(handed_over(line).join(" "), expected, "{line}");
        }
    }
}
