//! ESO's `webhook` provider, which reads any URL (ESO `providers/v1/webhook`): a key is what its templates make of
//! it.
//!
//! A sender names what changed by the key, or by the document: its URL, or the path of that. Where the URL does not
//! take the key, every reference of the store reads the same document. Body, headers and `jsonPath` select within a
//! document, so they are not compared.

mod address;
mod rendered;
mod template;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use serde_json::Value;

use self::{
    address::{Address, Host, path_of, unescaped},
    rendered::{Name, Rendered},
    template::Template,
};
use super::{
    generic::{self, canonical},
    rules::{Pattern, Query, Reading, RemoteRef, Rules, Scope, is_below, setting},
};

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Webhook {
    /// `None` if it cannot be parsed: then keys are compared as they are written.
    url: Option<Template>,
}

/// No name of a key or a document begins with it: what follows is a folder, in which a document is that is known
/// in part.
const FOLDER: char = '\0';
/// Folders below this depth are not told apart.
const MAX_DEPTH: usize = 16;
/// Folders of a path that are tried as a part of a key.
const MAX_SPELLED: usize = 8;

impl Webhook {
    pub(super) fn of(spec: &Value) -> Self {
        Self {
            url: setting(spec, "url").and_then(|url| Template::of(&url)),
        }
    }

    fn rendered(&self, remote: RemoteRef<'_>) -> Option<Rendered> {
        Some(self.url.as_ref()?.render(remote))
    }
}

/// A URL may hold tokens.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.url.as_ref().and_then(|url| url.place.as_ref());
        f.debug_struct("Webhook")
            .field("host", &place.map(Host::to_string))
            .finish_non_exhaustive()
    }
}

/// A key as it is written, and percent-decoded, as a sender takes it out of a URL.
fn spellings_of_key(key: &str) -> (&str, Option<String>) {
    let plain = match unescaped(key) {
        Cow::Borrowed(_) => None,
        Cow::Owned(plain) => Some(canonical(&plain).to_owned()),
    };
    (canonical(key), plain)
}

/// The folder in which a document is that begins with this text.
fn folder(prefix: &str) -> String {
    let folders = prefix.split_inclusive('/').take(MAX_DEPTH);
    folders.take_while(|folder| folder.ends_with('/')).collect()
}

/// All folders in which the document is, itself included.
fn folders(base: &str) -> impl Iterator<Item = String> {
    let base = format!("{base}/");
    let ends: Vec<usize> = base.match_indices('/').map(|(at, _)| at + 1).collect();
    let ends = std::iter::once(0).chain(ends).take(MAX_DEPTH + 1);
    ends.map(move |end| base[..end].to_owned())
}

pub(super) fn query_names<'e>(key: &'e str, _: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    let (written, plain) = spellings_of_key(key);
    names.push(Cow::Borrowed(written));
    names.extend(plain.map(Cow::Owned));
    let Some(address) = Address::of(key) else {
        return;
    };
    let base = address.base();
    names.extend(folders(&base).map(|folder| Cow::Owned(format!("{FOLDER}{folder}"))));
    if let Some(query) = &address.query {
        names.push(Cow::Owned(format!("{FOLDER}{base}?")));
        names.push(Cow::Owned(format!("{base}?{query}")));
    } else {
        names.push(Cow::Owned(base));
    }
}

/// What may be the key where an event names a document and the store is unknown: any run of folders, and each value
/// of the query.
pub(super) fn spellings(key: &str) -> Vec<String> {
    let Some(address) = Address::of(key) else {
        return Vec::new();
    };
    let folders: Vec<&str> = address.path.split('/').take(MAX_SPELLED).collect();
    let runs = (0..folders.len()).flat_map(|from| {
        let ends = from + 1..=folders.len();
        ends.map(move |to| (from, to))
    });
    let mut keys: Vec<String> = runs.map(|(from, to)| folders[from..to].join("/")).collect();
    let query = address.query.iter().flat_map(|query| query.split('&'));
    let values = query.filter_map(|pair| pair.split_once('='));
    keys.extend(values.map(|(_, value)| canonical(value).to_owned()));
    keys
}

impl Rules for Webhook {
    fn names(&self, remote: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        let (written, plain) = spellings_of_key(remote.key);
        name(written);
        plain.as_deref().into_iter().for_each(&mut *name);
        let names = self.rendered(remote).map(|url| url.names());
        for found in names.into_iter().flatten() {
            match found {
                Name::Whole(address) => name(&address),
                Name::Below(folder) => name(&format!("{FOLDER}{folder}")),
            }
        }
    }

    fn reaches(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let Some(url) = &self.url else {
            return true;
        };
        let host = query.scope.get("host").map(Host::of_scope);
        let path = query.scope.get("path").map(path_of);
        let hosts = url.place.as_ref().zip(host.as_ref());
        hosts.is_none_or(|(mine, theirs)| mine.agrees(theirs))
            && path.is_none_or(|path| match reading {
                Reading::Key(remote) => url.render(*remote).is_in(&path),
                Reading::Find(_) => true,
            })
    }

    fn reads(&self, remote: RemoteRef<'_>, query: &Query<'_>) -> bool {
        let equal =
            |name: &str| !name.starts_with(FOLDER) && query.names.iter().any(|other| other == name);
        let mut addresses = query.keys.iter().filter_map(|key| Address::of(key));
        self.any_name(remote, &equal)
            || self
                .rendered(remote)
                .is_some_and(|url| !url.is_exact() && addresses.any(|address| url.is_at(&address)))
    }

    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        generic::of("webhook").finds(pattern, query)
    }

    fn can_find(&self) -> bool {
        false
    }

    fn is_below(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let remote = match reading {
            Reading::Key(remote) => *remote,
            Reading::Find(_) => return generic::of("webhook").is_below(reading, query),
        };
        let url = self.rendered(remote);
        query.keys.iter().any(|prefix| {
            let address = Address::of(prefix);
            is_below(prefix, remote.key)
                || is_below(&unescaped(prefix), remote.key)
                || (url.as_ref().zip(address)).is_some_and(|(url, address)| url.is_below(&address))
        })
    }
}
