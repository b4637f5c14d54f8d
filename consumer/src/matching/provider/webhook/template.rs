//! The `url` of a store, a template of Go: what of it is known, and what it becomes for a reference.

use std::borrow::Cow;

use super::{
    address::{ENDS_AUTHORITY, Host, decoded, split_scheme},
    rendered::{Glob, Rendered},
};
use crate::matching::provider::rules::RemoteRef;

/// A parsed `url`. Its texts may hold tokens.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Template {
    /// `None` if it is not written out.
    pub(super) place: Option<Host>,
    host: Vec<Part>,
    path: Vec<Part>,
    /// Without the question mark.
    query: Option<Vec<Part>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Key,
    Version,
    Property,
    Namespace,
    /// It may become any text.
    Unknown,
}

impl Template {
    /// `None` if it is no URL, or not a template.
    pub(super) fn of(url: &str) -> Option<Self> {
        let mut parts = parse(url)?;
        let Some(Part::Text(first)) = parts.first_mut() else {
            return None;
        };
        let (scheme, rest) = split_scheme(first)?;
        let scheme = scheme.to_owned();
        *first = rest.to_owned();
        let (authority, rest) = split(parts, &ENDS_AUTHORITY);
        let (rest, _) = split(rest, &['#']);
        let (mut path, query) = split(rest, &['?']);
        let mut host = without_user(authority);
        if let Some(Part::Text(end)) = host.last_mut() {
            *end = Host::of(&scheme, end).to_string();
        }
        if host.contains(&Part::Unknown) {
            // It may hold the beginning of the path.
            path.insert(0, Part::Unknown);
        }
        let place = match &host[..] {
            [] => return None,
            [Part::Text(text)] => Some(Host::of(&scheme, text)),
            _ => None,
        };
        if place.as_ref().is_some_and(|host| host.name.is_empty()) {
            return None;
        }
        let decode = |parts: Vec<Part>| parts.into_iter().map(Part::decoded).collect::<Vec<_>>();
        let query = decode(without_first_letter(query));
        Some(Self {
            place,
            host,
            path: decode(path),
            query: (!query.is_empty()).then_some(query),
        })
    }

    pub(super) fn render(&self, remote: RemoteRef<'_>) -> Rendered {
        let glob = |parts: &[Part]| Glob::of(parts.iter().map(|part| part.render(remote)));
        Rendered {
            host: glob(&self.host).lowercase(),
            path: glob(&self.path).into_path(),
            query: self.query.as_deref().map(glob),
        }
    }
}

impl Part {
    fn of(action: &str) -> Self {
        let field = action.trim();
        match field.strip_prefix('$').unwrap_or(field) {
            // ESO calls it the one for reading, and the other for pushing.
            ".remoteRef.key" | ".remoteRef.remoteKey" => Self::Key,
            ".remoteRef.version" => Self::Version,
            ".remoteRef.property" => Self::Property,
            ".remoteRef.namespace" => Self::Namespace,
            _ => Self::Unknown,
        }
    }

    fn decoded(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(decoded(&text)),
            part => part,
        }
    }

    /// `None` when unknown. ESO escapes a value, so it becomes what it is once the URL is decoded.
    fn render<'r>(&'r self, remote: RemoteRef<'r>) -> Option<Cow<'r, str>> {
        let value = match self {
            Self::Text(text) => return Some(text.into()),
            Self::Key => remote.key,
            Self::Version => remote.version,
            Self::Property => remote.property?,
            Self::Namespace => remote.namespace,
            Self::Unknown => return None,
        };
        Some(if value.contains('+') {
            value.replace('+', " ").into()
        } else {
            value.into()
        })
    }
}

/// The parts before the first of these letters in a text, and from it on.
fn split(parts: Vec<Part>, letters: &[char]) -> (Vec<Part>, Vec<Part>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(text) if after.is_empty() => {
                let (left, right) = text.split_at(text.find(letters).unwrap_or(text.len()));
                let text = |text: &str| (!text.is_empty()).then(|| Part::Text(text.to_owned()));
                before.extend(text(left));
                after.extend(text(right));
            }
            part if after.is_empty() => before.push(part),
            part => after.push(part),
        }
    }
    (before, after)
}

fn without_first_letter(mut parts: Vec<Part>) -> Vec<Part> {
    if let Some(Part::Text(text)) = parts.first_mut() {
        *text = text.chars().skip(1).collect();
    }
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    parts
}

fn without_user(mut authority: Vec<Part>) -> Vec<Part> {
    let has_at = |part: &Part| matches!(part, Part::Text(text) if text.contains('@'));
    if let Some(at) = authority.iter().rposition(has_at) {
        authority.drain(..at);
        if let Some(Part::Text(text)) = authority.first_mut() {
            *text = text.rsplit('@').next().unwrap_or_default().to_owned();
        }
        authority.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    }
    authority
}

/// The texts and actions of a template of Go, no two texts in a row; `None` if an action does not end.
fn parse(template: &str) -> Option<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = template;
    // How many `if`, `range`, … are open: what is within may be left out or repeated.
    let mut depth = 0_usize;
    let mut trims = false;
    loop {
        let (text, action) = match rest.split_once("{{") {
            Some((text, after)) => (text, Some(split_action(after)?)),
            None => (rest, None),
        };
        let text = if trims { text.trim_start() } else { text };
        let inner = action.map(|(inner, _)| inner);
        let trims_before = inner.is_some_and(|inner| inner.starts_with('-'));
        let text = if trims_before { text.trim_end() } else { text };
        match parts.last_mut() {
            _ if depth > 0 || text.is_empty() => {}
            Some(Part::Text(last)) => last.push_str(text),
            _ => parts.push(Part::Text(text.to_owned())),
        }
        let Some((inner, after)) = action else {
            return Some(parts);
        };
        (rest, trims) = (after, inner.ends_with('-'));
        let inner = inner.strip_prefix('-').unwrap_or(inner);
        let inner = inner.strip_suffix('-').unwrap_or(inner).trim();
        if depth == 0 && !inner.starts_with("/*") {
            parts.push(Part::of(inner));
        }
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        match inner.split(|letter| !is_word(letter)).next() {
            Some("if" | "range" | "with" | "define" | "block") => depth += 1,
            Some("end") => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// An action, and what follows its `}}`, which may also stand in a text or a comment within it.
fn split_action(text: &str) -> Option<(&str, &str)> {
    let end = |at: usize| Some((text.get(..at)?, text.get(at + 2..)?));
    if text.trim_start_matches('-').trim_start().starts_with("/*") {
        let comment = text.find("*/")?;
        return end(comment + text.get(comment..)?.find("}}")?);
    }
    let mut quote = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match quote {
            Some('"' | '\'') if letter == '\\' => drop(letters.next()),
            Some(open) if letter == open => quote = None,
            None if "\"'`".contains(letter) => quote = Some(letter),
            None if text[at..].starts_with("}}") => return end(at),
            _ => {}
        }
    }
    None
}
