//! Commands that another binary of ours does, as git and cargo do it with external commands: what must
//! know formats or Kubernetes. This one cannot: both daemons are made of its library.

use std::{
    ffi::OsString, io::ErrorKind, os::unix::process::CommandExt as _, path::PathBuf,
    process::Command,
};

use eso_relay::command::{Failure, Output};

use super::Global;

/// Who does it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Binary {
    /// Knows formats.
    Ingress,
    /// Knows Kubernetes.
    Consumer,
}

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

/// Becomes that binary, whose exit code is then this one's; or says why it cannot.
pub(super) fn run(binary: Binary, command: &str, global: &Global, own: Vec<OsString>) -> Failure {
    let name = binary.name();
    let program = beside_us(name).unwrap_or_else(|| name.into());
    let error = Command::new(&program)
        .args(arguments(command, global, own))
        .exec();
    Failure::Failed(if error.kind() == ErrorKind::NotFound {
        let folder = binary.folder();
        anyhow::anyhow!(
            "this command needs {name}, which is neither beside eso-relay nor on the PATH: get it with `cargo install --path {folder}`, or run the command in the image, which has it"
        )
    } else {
        anyhow::Error::new(error).context(format!("cannot run {}", program.display()))
    })
}

impl Binary {
    fn name(self) -> &'static str {
        match self {
            Self::Ingress => "eso-relay-ingress",
            Self::Consumer => "eso-relay-consumer",
        }
    }

    /// Of its package.
    fn folder(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Consumer => "consumer",
        }
    }
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

fn beside_us(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name(name);
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
            Command::Matches(args) => ("matches", args),
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
            (
                "eso-relay matches -o json --key a -n team-a",
                "matches --output json --key a -n team-a",
            ),
            (
                "eso-relay matches --key a --config c.yaml",
                "matches --key a --config c.yaml",
            ),
        ] {
            assert_eq!(handed_over(line).join(" "), expected, "{line}");
        }
    }
}
