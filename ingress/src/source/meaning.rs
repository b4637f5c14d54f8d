//! What an event changes, by the pointers and constants of the configuration: which names, how they match, in
//! which place.

use std::{collections::BTreeMap, fmt::Display};

use eso_relay::event::{Keys, Kind, Match, Operation, TemplateKind, TemplateSource};

use super::{
    Change, DecodeError, MatchConfig, MatchKind, Pointer, TemplateConfig,
    element::MAX_ATTRIBUTE_BYTES,
    json::{Scalar, Shape, shape},
    malformed,
    pointer::Document,
};

pub(super) struct Meaning {
    /// Aliases of one secret.
    pub keys: Vec<Pointer>,
    pub matches: Option<MatchConfig>,
    /// The keys name sources of templates.
    pub template: Option<TemplateConfig>,
    /// The match if neither the configuration nor the event tells one.
    pub default: MatchKind,
    pub allow_all: bool,
    pub operation: Operation,
    pub scope: BTreeMap<String, Pointer>,
    /// The source's own `scope` names the place.
    pub placed: bool,
}

/// What all changes of one event have in common.
pub(super) struct EventMeaning {
    kind: MatchKind,
    template: Option<TemplateKind>,
    operation: Operation,
    scope: BTreeMap<String, String>,
}

impl Meaning {
    /// `data`: the JSON that the pointers go into.
    pub(super) fn read(
        &self,
        data: Option<&Document<'_>>,
        place: &dyn Display,
    ) -> Result<EventMeaning, DecodeError> {
        let scope = self.scope(data, place)?;
        let kind = self.kind(data, place)?;
        // Without any attribute it would match everything.
        if kind == MatchKind::Scope && scope.is_empty() && !self.placed {
            return Err(malformed(format!(
                "{place}: its match is `scope`, and no attribute of the scope is there"
            )));
        }
        if kind == MatchKind::All && !self.allow_all {
            return Err(malformed(format!(
                "{place}: match: `all` is not allowed here (setting `mapping.allow_all`)"
            )));
        }
        Ok(EventMeaning {
            kind,
            template: self.template(data, place)?,
            operation: self.operation,
            scope,
        })
    }

    /// Whether anything is read from the event.
    pub(super) fn reads(&self) -> bool {
        let pointed = matches!(self.matches, Some(MatchConfig::At(_)))
            || matches!(self.template, Some(TemplateConfig::At(_)));
        pointed || !self.keys.is_empty() || !self.scope.is_empty()
    }

    fn kind(
        &self,
        data: Option<&Document<'_>>,
        place: &dyn Display,
    ) -> Result<MatchKind, DecodeError> {
        let pointer = match &self.matches {
            None => return Ok(self.default),
            Some(MatchConfig::Always(kind)) => return Ok(*kind),
            Some(MatchConfig::At(pointer)) => pointer,
        };
        let at = format_args!("{place}: {}", pointer.as_str());
        match scalar(pointer, data).optional(at)? {
            None => Ok(self.default),
            Some(kind) => kind
                .parse()
                .map_err(|()| malformed(format!("{at} is not exact, prefix, scope or all"))),
        }
    }

    fn template(
        &self,
        data: Option<&Document<'_>>,
        place: &dyn Display,
    ) -> Result<Option<TemplateKind>, DecodeError> {
        let pointer = match &self.template {
            None => return Ok(None),
            Some(TemplateConfig::Always(kind)) => return Ok(Some(*kind)),
            Some(TemplateConfig::At(pointer)) => pointer,
        };
        let at = format_args!("{place}: {}", pointer.as_str());
        let kind = scalar(pointer, data).required(at)?.parse();
        kind.map(Some)
            .map_err(|_| malformed(format!("{at} is not ConfigMap or Secret")))
    }

    fn scope(
        &self,
        data: Option<&Document<'_>>,
        place: &dyn Display,
    ) -> Result<BTreeMap<String, String>, DecodeError> {
        let mut scope = BTreeMap::new();
        for (name, pointer) in &self.scope {
            let at = format_args!("{place}: {}", pointer.as_str());
            // An empty one counts as missing: it would exclude every store.
            let value = scalar(pointer, data).optional(at)?;
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            if value.len() > MAX_ATTRIBUTE_BYTES {
                return Err(malformed(format!(
                    "{at} is longer than {MAX_ATTRIBUTE_BYTES} bytes"
                )));
            }
            scope.insert(name.clone(), value);
        }
        Ok(scope)
    }
}

impl EventMeaning {
    /// `keys`: called only if the match has keys.
    pub(super) fn change(
        &self,
        place: &dyn Display,
        keys: impl FnOnce() -> Result<Keys, DecodeError>,
    ) -> Result<Change, DecodeError> {
        let changed = if self.operation == Operation::Deleted {
            Kind::SecretDeleted
        } else {
            Kind::SecretChanged
        };
        let (kind, matches) = match (self.kind, self.template) {
            (MatchKind::Exact, None) => (changed, Match::Exact(keys()?)),
            // The configuration allows no other match with a template.
            (_, Some(kind)) => (Kind::TemplateChanged, sources(kind, &keys()?, place)?),
            (MatchKind::Prefix, None) => {
                let first = keys()?.as_slice().first().cloned();
                let prefix = first.ok_or_else(|| malformed(format!("{place}: no key")))?;
                (changed, Match::Prefix(prefix))
            }
            (MatchKind::Scope, None) => (Kind::ScopeChanged, Match::Scope),
            (MatchKind::All, None) => (Kind::ScopeChanged, Match::All),
        };
        let mut change = Change::new(kind, matches);
        change.operation = self.operation;
        change.scope = self.scope.clone();
        Ok(change)
    }
}

/// The template sources with these names.
fn sources(kind: TemplateKind, names: &Keys, place: &dyn Display) -> Result<Match, DecodeError> {
    let source = |name: &String| TemplateSource::new(kind, name).map(|source| source.to_string());
    let keys: Result<_, _> = names.as_slice().iter().map(source).collect();
    let keys = keys.map_err(|_| malformed(format!("{place}: a key is no name of a {kind}")))?;
    let keys = Keys::new(keys).map_err(|problem| malformed(format!("{place}: {problem}")))?;
    Ok(Match::Exact(keys))
}

/// The aliases at the pointers. Each may be missing, but not all of them.
pub(super) fn keys(
    pointers: &[Pointer],
    document: &Document<'_>,
    place: &dyn Display,
) -> Result<Keys, DecodeError> {
    let mut keys = Vec::new();
    for pointer in pointers {
        let at = format_args!("{place}: {}", pointer.as_str());
        let Some(found) = pointer.find_in(document) else {
            continue;
        };
        match shape(&found) {
            Shape::Array(several) => {
                for one in several {
                    keys.push(Scalar::of(one).required(at)?);
                }
            }
            _ => keys.extend(Scalar::of(&found).optional(at)?),
        }
    }
    if keys.is_empty() {
        let wanted: Vec<&str> = pointers.iter().map(Pointer::as_str).collect();
        return Err(malformed(format!(
            "{place}: no key at {}",
            wanted.join(" or ")
        )));
    }
    Keys::new(keys).map_err(|problem| malformed(format!("{place}: {problem}")))
}

/// The value at a pointer.
pub(super) fn scalar(pointer: &Pointer, document: Option<&Document<'_>>) -> Scalar {
    document
        .and_then(|document| pointer.find_in(document))
        .map_or(Scalar::Missing, |found| Scalar::of(&found))
}
