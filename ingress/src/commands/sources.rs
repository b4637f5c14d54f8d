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

/// List the formats and schemes, or explain one with a configuration for it
///
/// What is printed for one is YAML: `sources akeyless > ingress.yaml` is a start.
#[derive(clap::Args)]
pub struct Args {
    /// The name of a format or of a scheme; none lists them
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
}

/// The entries to print.
#[derive(Serialize)]
struct Report {
    formats: Vec<&'static Format>,
    schemes: Vec<&'static Scheme>,
    #[serde(skip)]
    all: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    Ok(args.answer.output.print(&Report::of(args.named))?)
}

fn named(text: &str) -> Result<Named, String> {
    let format = FormatName::from_str(text, true).ok();
    let scheme = SchemeName::from_str(text, true).ok();
    if format.is_none() && scheme.is_none() {
        return Err(
            "neither a format nor a scheme; without a name this command lists them".to_owned(),
        );
    }
    Ok(Named { format, scheme })
}

impl Report {
    fn of(named: Option<Named>) -> Self {
        match named {
            None => Self {
                formats: catalogue::formats().collect(),
                schemes: catalogue::schemes().collect(),
                all: true,
            },
            Some(named) => Self {
                formats: named.format.map(catalogue::format).into_iter().collect(),
                schemes: named.scheme.map(catalogue::scheme).into_iter().collect(),
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
