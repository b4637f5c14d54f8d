//! What the `url` of a store becomes for a reference.

use std::borrow::Cow;

use super::{address::Address, folder};
use crate::matching::provider::rules::{is_below, overlaps};

/// The URL that ESO reads for a reference, as far as it is known.
pub(super) struct Rendered {
    pub(super) host: Glob,
    pub(super) path: Glob,
    pub(super) query: Option<Glob>,
}

/// What an index finds a [`Rendered`] by.
pub(super) enum Name {
    /// The text of an [`Address`].
    Whole(String),
    /// The folder in which it begins.
    Below(String),
}

impl Rendered {
    /// Whether the address may be its.
    pub(super) fn is_at(&self, address: &Address) -> bool {
        self.has_host(address)
            && self.path.fits_path(&address.path)
            && match (&address.query, &self.query) {
                (None, _) => true,
                (Some(theirs), Some(mine)) => mine.fits(theirs),
                // What is unknown may hold the query.
                (Some(_), None) => self.path.exact().is_none(),
            }
    }

    /// Whether it may be below the address, or equal.
    pub(super) fn is_below(&self, address: &Address) -> bool {
        self.has_host(address) && self.is_in(&address.path)
    }

    /// Whether its path may be below this one, or equal.
    pub(super) fn is_in(&self, folder: &str) -> bool {
        match self.path.exact() {
            Some(path) => is_below(folder, path),
            None => overlaps(self.path.prefix(), folder),
        }
    }

    pub(super) fn is_exact(&self) -> bool {
        let query = self.query.as_ref();
        [&self.host, &self.path]
            .into_iter()
            .chain(query)
            .all(|glob| glob.exact().is_some())
    }

    /// With its host and without: every address that is its has one of them.
    pub(super) fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        for base in [self.host.joined(&self.path), self.path.clone()] {
            let Some(exact) = base.exact() else {
                names.push(Name::Below(folder(base.prefix())));
                continue;
            };
            names.push(Name::Whole(exact.to_owned()));
            if let Some(query) = &self.query {
                names.push(match query.exact() {
                    Some(query) => Name::Whole(format!("{exact}?{query}")),
                    None => Name::Below(format!("{exact}?")),
                });
            }
        }
        names
    }

    fn has_host(&self, address: &Address) -> bool {
        let host = address.host.as_deref();
        host.is_none_or(|host| self.host.fits(host))
    }
}

/// A text with gaps that may be anything: what stands around them, at least one piece.
#[derive(Debug, Clone)]
pub(super) struct Glob(Vec<String>);

impl Glob {
    /// `None` for a gap.
    pub(super) fn of<'p>(parts: impl Iterator<Item = Option<Cow<'p, str>>>) -> Self {
        let (mut pieces, mut piece) = (Vec::new(), String::new());
        for part in parts {
            match part {
                Some(text) => piece.push_str(&text),
                None => pieces.push(std::mem::take(&mut piece)),
            }
        }
        pieces.push(piece);
        Self(pieces)
    }

    pub(super) fn lowercase(mut self) -> Self {
        self.0
            .iter_mut()
            .for_each(|piece| piece.make_ascii_lowercase());
        self
    }

    /// Without empty folders, as the path of an [`Address`]; those around a gap count as empty.
    pub(super) fn into_path(self) -> Self {
        let mut in_folder = false;
        let mut pieces: Vec<String> = Vec::new();
        for piece in self.0 {
            let mut path = String::new();
            for letter in piece.chars() {
                if letter != '/' || in_folder {
                    path.push(letter);
                }
                in_folder = letter != '/';
            }
            pieces.push(path);
        }
        if let Some(last) = pieces.last_mut() {
            last.truncate(last.trim_end_matches('/').len());
        }
        Self(pieces)
    }

    /// With a slash between.
    fn joined(&self, other: &Self) -> Self {
        let slash = Self(vec!["/".to_owned()]);
        [&slash, other]
            .into_iter()
            .fold(self.clone(), |mut all, next| {
                let mut pieces = next.0.iter();
                if let (Some(last), Some(first)) = (all.0.last_mut(), pieces.next()) {
                    last.push_str(first);
                }
                all.0.extend(pieces.cloned());
                all
            })
    }

    /// `None` if it has gaps.
    fn exact(&self) -> Option<&str> {
        match &self.0[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// What stands before the first gap.
    fn prefix(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    fn fits(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &self.0[..] else {
            return self.exact() == Some(text);
        };
        let rest = text.strip_prefix(&**first);
        let Some(mut rest) = rest.and_then(|rest| rest.strip_suffix(&**last)) else {
            return false;
        };
        middle.iter().all(|piece| {
            let found = rest.split_once(&**piece);
            rest = found.map_or("", |(_, after)| after);
            found.is_some()
        })
    }

    /// A gap at the end may be empty, which leaves a slash.
    fn fits_path(&self, path: &str) -> bool {
        self.fits(path) || self.exact().is_none() && self.fits(&format!("{path}/"))
    }
}
