//! Which secrets a pass looks at: those of the configuration, those in its folders, and those that the clusters read.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Mutex, PoisonError},
};

use eso_relay::stream::Watched;
use futures::{StreamExt as _, stream};
use tracing::warn;

use super::{
    IN_FLIGHT, Poller,
    faults::Unread,
    place::{Place, clean, mounts},
    store::Answer,
};

/// Whether each mount that is known has versions. One without is not asked again until the next start.
#[derive(Default)]
pub(super) struct Mounts(Mutex<BTreeMap<String, bool>>);

/// Where a path is.
enum Placed {
    In(Place),
    /// In a mount without versions.
    Unversioned,
    /// The store does not tell its mount, or not to this token.
    Unknown,
}

impl Placed {
    fn of(mount: &str, path: &str, versioned: bool) -> Self {
        match Place::in_mount(mount, path) {
            Some(place) if versioned => Self::In(place),
            Some(_) => Self::Unversioned,
            None => Self::Unknown,
        }
    }
}

/// What a pass looks at.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) places: BTreeSet<Place>,
    /// The folders of the configuration.
    folders: Vec<Place>,
    /// Where paths may be whose mount is not known now.
    possible: Vec<Place>,
    /// Whether the mount of a folder is not known now: then nothing is known to be unwanted.
    pub(super) incomplete: bool,
}

impl Wanted {
    /// All places that count as wanted, whether the store knows them now or not.
    pub(super) fn all(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().chain(&self.possible)
    }

    /// Whether it lies in a folder of the configuration: one that the store does not list any more was removed.
    pub(super) fn includes(&self, place: &Place) -> bool {
        self.folders.iter().any(|folder| place.is_below(folder))
    }
}

impl Mounts {
    /// The path in a mount that is known to have versions.
    pub(super) fn known(&self, path: &str) -> Option<Place> {
        let mut mounts = mounts(path).into_iter();
        let mount = mounts.find(|mount| self.get(mount) == Some(true))?;
        Place::in_mount(mount, path)
    }

    fn get(&self, mount: &str) -> Option<bool> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(mount).copied()
    }

    /// Whether it was not known.
    fn learn(&self, mount: &str, versioned: bool) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(mount.to_owned(), versioned) != Some(versioned)
    }
}

impl Poller {
    pub(super) async fn wanted(&self) -> Wanted {
        let mut paths: BTreeSet<String> = self.settings.paths.iter().cloned().collect();
        if self.settings.watch_list {
            let watched = self.memory.watched().await;
            let mine = watched.iter().filter(|watched| self.is_mine(watched));
            // One that no URL takes is no secret of the store either.
            paths.extend(mine.filter_map(|watched| clean(&watched.path).ok()));
        }
        let mut wanted = Wanted::default();
        for (path, placed) in self.placed(paths).await {
            match placed {
                // A path without a part below its mount is no secret.
                Placed::In(place) if place.rest.is_empty() => {}
                Placed::In(place) => {
                    wanted.places.insert(place);
                }
                Placed::Unversioned => {}
                Placed::Unknown => {
                    let possible = mounts(&path).into_iter();
                    let possible = possible.filter_map(|mount| Place::in_mount(mount, &path));
                    wanted.possible.extend(possible);
                }
            }
        }
        let prefixes = self.settings.prefixes.iter().cloned();
        for (_, placed) in self.placed(prefixes).await {
            match placed {
                Placed::In(folder) => wanted.folders.push(folder),
                Placed::Unversioned => {}
                Placed::Unknown => wanted.incomplete = true,
            }
        }
        for folder in &wanted.folders {
            self.list(folder.clone(), &mut wanted.places).await;
        }
        wanted
    }

    async fn placed(&self, paths: impl IntoIterator<Item = String>) -> Vec<(String, Placed)> {
        let placed = stream::iter(paths).map(async |path| {
            let placed = self.place(&path).await;
            (path, placed)
        });
        placed.buffer_unordered(IN_FLIGHT).collect().await
    }

    async fn place(&self, path: &str) -> Placed {
        let candidates = mounts(path);
        for mount in &candidates {
            if let Some(versioned) = self.mounts.get(mount) {
                return Placed::of(mount, path, versioned);
            }
        }
        let mut refusal = None;
        for mount in candidates {
            let Some(asked) = Place::in_mount(mount, path) else {
                continue;
            };
            match self.store.mount(&asked).await {
                // Of a mount that cannot hold the path: the guess was wrong.
                Answer::Found(found) if Place::in_mount(&found.path, path).is_none() => {}
                Answer::Found(found) => {
                    self.learn(&found.path, found.versioned);
                    return Placed::of(&found.path, path, found.versioned);
                }
                Answer::Missing => {}
                Answer::Denied(status) => refusal = Some(status),
            }
        }
        self.unread(path, refusal.map_or(Unread::Missing, Unread::Denied));
        Placed::Unknown
    }

    fn learn(&self, mount: &str, versioned: bool) {
        if self.mounts.learn(mount, versioned) && !versioned {
            self.metrics
                .failed(&self.settings.name, super::metrics::Failure::Unversioned);
            warn!(
                poll = %self.settings.name,
                mount,
                "this mount has no versions to poll (it is not version 2 of KV); its paths are left to events"
            );
        }
    }

    /// All secrets in a folder and in those below it.
    async fn list(&self, folder: Place, into: &mut BTreeSet<Place>) {
        let mut folders = vec![folder];
        while !folders.is_empty() {
            let listed = stream::iter(mem::take(&mut folders)).map(async |folder| {
                let names = self.names(&folder).await;
                (folder, names)
            });
            let listed = listed.buffer_unordered(IN_FLIGHT);
            let listed: Vec<(Place, Vec<String>)> = listed.collect().await;
            for (folder, names) in listed {
                for name in names {
                    let bare = name.strip_suffix('/').unwrap_or(&name);
                    let found = folder.within(bare);
                    // No name of the API's: it would lead somewhere else, or here again.
                    if bare.is_empty() || bare.contains('/') || clean(&found.key()).is_err() {
                        continue;
                    }
                    if name.ends_with('/') {
                        folders.push(found);
                    } else {
                        into.insert(found);
                    }
                }
            }
        }
    }

    async fn names(&self, folder: &Place) -> Vec<String> {
        let path = format!("{}/", folder.key().trim_end_matches('/'));
        match self.store.list(folder).await {
            Answer::Found(names) => {
                self.read(&path);
                names
            }
            // As the store answers for an empty folder.
            Answer::Missing => Vec::new(),
            Answer::Denied(status) => {
                self.unread(&path, Unread::Denied(status));
                Vec::new()
            }
        }
    }

    /// Whether a reference may be to this store. In doubt it is: the store knows which of its paths exist.
    fn is_mine(&self, watched: &Watched) -> bool {
        let host = |text: &str| {
            let name = text.rsplit_once(':').map_or(text, |(name, _)| name);
            name.to_ascii_lowercase()
        };
        let hosts = watched.host.as_deref().zip(self.settings.host.as_deref());
        let space = |name: &str| match name.trim_matches('/') {
            "root" => String::new(),
            name => name.to_owned(),
        };
        let mine = self.settings.namespace.as_deref().unwrap_or_default();
        hosts.is_none_or(|(theirs, mine)| host(theirs) == host(mine))
            && (watched.namespace.as_deref()).is_none_or(|theirs| space(theirs) == space(mine))
    }
}
