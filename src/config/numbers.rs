//! Texts that YAML reads as numbers if they have no quotes: `007` is 7, and `1.10` is 1.1.

use yaml_rust2::{
    Event, Yaml,
    parser::{EventReceiver, Parser},
    scanner::TScalarStyle,
};

/// Names of settings that hold texts which may look like numbers, or hold them at any depth.
const TEXTS: [&str; 17] = [
    "audience",
    "claims",
    "cluster",
    "clusters",
    "context",
    "controller_classes",
    "domain",
    "issuer",
    "name",
    "namespaces",
    "projects",
    "san",
    "scope",
    "topics",
    "types",
    "user",
    "username",
];

/// An error for the first text that YAML would change.
pub(super) fn lost(yaml: &str) -> Option<String> {
    let mut reader = Reader::default();
    // Invalid YAML is reported when the configuration is loaded.
    Parser::new_from_str(yaml).load(&mut reader, false).ok()?;
    reader.lost
}

/// Tracks the parser's position in the file.
#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    lost: Option<String>,
}

enum Open {
    Sequence(usize),
    /// With the name of the next value, once that is read.
    Mapping(Option<String>),
}

impl EventReceiver for Reader {
    fn on_event(&mut self, event: Event) {
        match event {
            Event::SequenceStart(..) => self.open.push(Open::Sequence(0)),
            Event::MappingStart(..) => self.open.push(Open::Mapping(None)),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.next(None);
            }
            Event::Scalar(text, style, _, tag) => {
                let plain = style == TScalarStyle::Plain && tag.is_none();
                if let (true, None, Some(read)) =
                    (plain, &self.lost, misread(&text, self.at_name()))
                    && let Some(at) = self.text()
                {
                    self.lost = Some(format!(
                        "`{at}`: {text} without quotes is the number {read}: write \"{text}\" in quotes"
                    ));
                }
                self.next(Some(text));
            }
            Event::Alias(_) => self.next(None),
            _ => {}
        }
    }
}

impl Reader {
    /// Whether the next scalar is the name of a value.
    fn at_name(&self) -> bool {
        matches!(self.open.last(), Some(Open::Mapping(None)))
    }

    /// A node of the innermost collection has ended; `text` if it was a scalar.
    fn next(&mut self, text: Option<String>) {
        match self.open.last_mut() {
            Some(Open::Sequence(at)) => *at += 1,
            Some(Open::Mapping(name @ None)) => *name = Some(text.unwrap_or_default()),
            Some(Open::Mapping(name)) => *name = None,
            None => {}
        }
    }

    /// The path of the current value, if it is to be a text.
    fn text(&self) -> Option<String> {
        let mut names = self.open.iter().filter_map(|open| match open {
            Open::Mapping(name) => name.as_deref(),
            Open::Sequence(_) => None,
        });
        names.any(|name| TEXTS.contains(&name)).then(|| self.path())
    }

    fn path(&self) -> String {
        self.open
            .iter()
            .fold(String::new(), |path, open| match open {
                Open::Sequence(at) => format!("{path}[{at}]"),
                Open::Mapping(Some(name)) if path.is_empty() => name.clone(),
                Open::Mapping(Some(name)) => format!("{path}.{name}"),
                Open::Mapping(None) => path,
            })
    }
}

/// What YAML reads instead; `None` if that is the text itself. A name keeps its decimals.
fn misread(text: &str, is_name: bool) -> Option<String> {
    let read = match Yaml::from_str(text) {
        Yaml::Integer(number) => number.to_string(),
        Yaml::Real(number) if !is_name => number.parse::<f64>().ok()?.to_string(),
        _ => return None,
    };
    (read != text).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_loses_its_zeros_is_named_with_what_to_write() {
        for (yaml, at, written, read) in [
            (
                "sources: [{ scope: { account: 007 } }]",
                "sources[0].scope.account",
                "007",
                "7",
            ),
            (
                "sources:\n  - name: a\n  - scope:\n      version: 1.10",
                "sources[1].scope.version",
                "1.10",
                "1.1",
            ),
            (
                "sources: [{ projects: { 0123: a } }]",
                "sources[0].projects",
                "0123",
                "123",
            ),
            (
                "sources: [{ scope: { a: 12345678901234567890123 } }]",
                "sources[0].scope.a",
                "12345678901234567890123",
                "12345678901234568000000",
            ),
            (
                "sources: [{ scope: { a: 1.2345678901e+10 } }]",
                "sources[0].scope.a",
                "1.2345678901e+10",
                "12345678901",
            ),
            (
                "sources: [{ scope: { a: 0x1f } }]",
                "sources[0].scope.a",
                "0x1f",
                "31",
            ),
            ("sources: [{ name: 007 }]", "sources[0].name", "007", "7"),
            (
                "sources: [{ mapping: { types: [x, 1.0] } }]",
                "sources[0].mapping.types[1]",
                "1.0",
                "1",
            ),
            ("cluster: 01", "cluster", "01", "1"),
        ] {
            let expected = format!(
                "`{at}`: {written} without quotes is the number {read}: write \"{written}\" in quotes"
            );
            assert_eq!(lost(yaml), Some(expected), "{yaml}");
        }
    }

    #[test]
    fn what_is_read_as_it_is_written_and_what_is_no_text_pass() {
        for yaml in [
            "sources: [{ scope: { account: '007', version: \"1.10\" } }]",
            "sources: [{ scope: { account: !!str 007 } }]",
            "sources: [{ scope: { number: 123456789, version: 1.5, on: true, name: a-07 } }]",
            "sources: [{ projects: { 123456789: my-project, 1.10: b } }]",
            "refresh: { rate: 10.0 }\nmax_connections: 0100",
            "sources: [{ scope: &a { x: y } }, { scope: *a }]",
            "a: [",
            "",
        ] {
            assert_eq!(lost(yaml), None, "{yaml}");
        }
    }
}
