//! `sources`: the catalogue, as comments above a configuration.

use std::fmt;

use clap::ValueEnum as _;
use eso_relay::command::{Failure, Table};
use serde::Serialize;

use super::Answer;
use crate::{
    FormatName,
    catalogue::{self, Format, Scheme},
    verify::SchemeName,
};

/// The width of a comment, with its `# `.
const WIDTH: usize = 100;
/// Before the text of a comment.
const INDENT: &str = "# ";

/// What explains polls, which are sources without a format and a scheme.
const POLLS: &str = "polls";
const ABOUT_POLLS: [(&str, &str); 4] = [
    (
        "Reads",
        "the metadata of secrets in version 2 of KV, of `paths`, of `prefixes`, and what the clusters read; never a value",
    ),
    (
        "Gives",
        "secret.changed and secret.deleted of the path, with version, host, namespace and mount",
    ),
    (
        "Proof",
        "the poller logs in at the store: `token_file`, `kubernetes`, `approle` or `jwt`",
    ),
    (
        "On failure",
        "it waits, and finds afterwards what has changed meanwhile",
    ),
];
const POLLS_STANZA: &str = "\
listen: none # remove it beside `sources`
polls:
  - name: vault-prod
    provider: vault # or openbao
    address: https://vault.example.com:8200
    auth: { token_file: /etc/eso-relay/vault-token }
    prefixes: [secret/app]";

/// List the formats and schemes, or explain one with a configuration for it
///
/// What is printed for one is YAML: `sources akeyless > ingress.yaml` is a start.
#[derive(clap::Args)]
pub struct Args {
    /// The name of a format or of a scheme, or `polls`; none lists them
    #[arg(value_name = "FORMAT|SCHEME", value_parser = named)]
    named: Option<Named>,
    #[command(flatten)]
    answer: Answer,
}

/// A format and a scheme may have the same name.
#[derive(Debug, Clone, Copy)]
struct Named {
    format: Option<FormatName>,
    scheme: Option<SchemeName>,
    polls: bool,
}

/// The entries to print.
#[derive(Serialize)]
struct Report {
    formats: Vec<&'static Format>,
    schemes: Vec<&'static Scheme>,
    #[serde(skip)]
    polls: bool,
    #[serde(skip)]
    all: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    Ok(args.answer.output.print(&Report::of(args.named))?)
}

fn named(text: &str) -> Result<Named, String> {
    let format = FormatName::from_str(text, true).ok();
    let scheme = SchemeName::from_str(text, true).ok();
    let polls = text == POLLS;
    if format.is_none() && scheme.is_none() && !polls {
        return Err(
            "neither a format nor a scheme; without a name this command lists them".to_owned(),
        );
    }
    Ok(Named {
        format,
        scheme,
        polls,
    })
}

impl Report {
    fn of(named: Option<Named>) -> Self {
        match named {
            None => Self {
                formats: catalogue::formats().collect(),
                schemes: catalogue::schemes().collect(),
                polls: true,
                all: true,
            },
            Some(named) => Self {
                formats: named.format.map(catalogue::format).into_iter().collect(),
                schemes: named.scheme.map(catalogue::scheme).into_iter().collect(),
                polls: named.polls,
                all: false,
            },
        }
    }

    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut formats = Table::new(&["FORMAT", "SENDER"]);
        for format in &self.formats {
            formats.row(vec![format.name.to_string(), format.sender.to_owned()]);
        }
        let mut schemes = Table::new(&["SCHEME", "PROOF"]);
        for scheme in &self.schemes {
            schemes.row(vec![scheme.name.to_string(), scheme.proof.to_owned()]);
        }
        write!(f, "{formats}\n{schemes}\n")?;
        writeln!(
            f,
            "`sources {POLLS}`: Vault and OpenBao, which need not send."
        )?;
        writeln!(
            f,
            "`sources NAME` explains one and prints a configuration for it."
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all {
            return self.list(f);
        }
        for format in &self.formats {
            let about = [
                ("Reads", format.reads),
                ("Gives", format.gives),
                ("Proof", format.proof),
                ("On failure", format.failure),
            ];
            explain(
                f,
                &format!("Format {}: {}.", format.name, format.sender),
                &about,
            )?;
            writeln!(f, "{}", format.stanza.trim())?;
        }
        for scheme in &self.schemes {
            let about = [("Proof", scheme.proof), ("For", scheme.use_for)];
            explain(f, &format!("Scheme {}.", scheme.name), &about)?;
            // One document: the configuration of the format of this name shows the scheme too.
            if self.formats.is_empty() {
                writeln!(f, "{}", scheme.stanza.trim())?;
            }
        }
        if self.polls {
            let title =
                "Polls: the versions of secrets in Vault and OpenBao, where nothing is sent.";
            explain(f, title, &ABOUT_POLLS)?;
            writeln!(f, "{POLLS_STANZA}")?;
        }
        Ok(())
    }
}

/// Comments of YAML.
fn explain(f: &mut fmt::Formatter<'_>, title: &str, about: &[(&str, &str)]) -> fmt::Result {
    comment(f, title)?;
    for (what, text) in about {
        writeln!(f, "#")?;
        comment(f, &format!("{what}: {text}"))?;
    }
    Ok(())
}

fn comment(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut column = 0;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column == 0 {
            write!(f, "{INDENT}{word}")?;
            column = INDENT.len() + width;
        } else if column + 1 + width > WIDTH {
            write!(f, "\n{INDENT}{word}")?;
            column = INDENT.len() + width;
        } else {
            write!(f, " {word}")?;
            column += 1 + width;
        }
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> String {
        Report::of(Some(named(name).unwrap())).to_string()
    }

    #[test]
    fn the_list_has_every_name_and_a_name_has_its_explanation() {
        let list = Report::of(None).to_string();
        for format in FormatName::value_variants() {
            let name = format.to_string();
            assert!(list.lines().any(|line| line.starts_with(&name)), "{name}");
            assert!(
                shown(&name).starts_with(&format!("# Format {name}: ")),
                "{name}"
            );
        }
        for scheme in SchemeName::value_variants() {
            let name = scheme.to_string();
            assert!(list.lines().any(|line| line.starts_with(&name)), "{name}");
            assert!(
                shown(&name).contains(&format!("# Scheme {name}.")),
                "{name}"
            );
        }
        let polls = shown(POLLS);
        assert!(polls.contains("\npolls:\n"), "{polls}");
        assert!(named("vault").is_err());
    }

    #[test]
    fn what_is_printed_is_yaml_of_bearable_width() {
        let text = shown("akeyless");
        assert!(
            text.contains("\nsources:\n  - name: akeyless-prod\n"),
            "{text}"
        );
        let comments = text.lines().filter(|line| line.starts_with('#'));
        assert!(comments.clone().count() > 8, "{text}");
        assert!(comments.clone().all(|line| line.len() <= WIDTH), "{text}");
        // A name that is both a format's and a scheme's.
        let both = shown("standard-webhooks");
        assert_eq!(both.matches("\nsources:\n").count(), 1, "{both}");
        assert!(!both.contains("---"), "{both}");
    }
}
