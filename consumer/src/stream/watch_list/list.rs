//! Which paths of a cluster are in the stream, which are read, and so what is to publish and to remove. No I/O, no clock.
//!
//! The paths themselves are not kept: the list knows each by the hash in its subject.

use std::{collections::HashMap, time::Duration};

use data_encoding::HEXLOWER;
use eso_relay::{Slug, stream::Watched};

/// The hash at the end of a path's subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PathId([u8; 16]);

impl PathId {
    /// `None` for a subject of another form.
    pub(super) fn of(subject: &str) -> Option<Self> {
        let hash = subject.rsplit('.').next()?;
        let mut id = [0; 16];
        if HEXLOWER.decode_len(hash.len()) != Ok(id.len()) {
            return None;
        }
        HEXLOWER.decode_mut(hash.as_bytes(), &mut id).ok()?;
        Some(Self(id))
    }

    pub(super) fn subject(self, cluster: &Slug) -> String {
        let subjects = Watched::subjects_of(cluster);
        let hash = HEXLOWER.encode(&self.0);
        format!("{}{hash}", subjects.trim_end_matches('*'))
    }
}

/// The list of one cluster, as one replica knows it.
#[derive(Debug, Default)]
pub(super) struct List {
    entries: HashMap<PathId, Entry>,
    /// Counts the passes over the index.
    pass: u64,
    /// How many the last whole pass found.
    read: usize,
}

#[derive(Debug, Default)]
struct Entry {
    stored: bool,
    /// The pass that found it last.
    pass: u64,
    /// Since when whole passes have not found it.
    unread_since: Option<Duration>,
}

impl List {
    /// What the stream holds, instead of what was known of it.
    pub(super) fn set_stored(&mut self, stored: impl IntoIterator<Item = PathId>) {
        for entry in self.entries.values_mut() {
            entry.stored = false;
        }
        for id in stored {
            self.entries.entry(id).or_default().stored = true;
        }
        self.drop_useless();
    }

    pub(super) fn begin_pass(&mut self) {
        self.pass += 1;
    }

    /// It is read. Returns whether it is to be published: once in a pass.
    pub(super) fn found(&mut self, id: PathId) -> bool {
        let entry = self.entries.entry(id).or_default();
        let is_first = entry.pass != self.pass;
        entry.pass = self.pass;
        is_first && !entry.stored
    }

    pub(super) fn published(&mut self, id: PathId) {
        self.entries.entry(id).or_default().stored = true;
    }

    /// The pass has seen the whole index.
    pub(super) fn end_pass(&mut self, now: Duration) {
        self.read = 0;
        for entry in self.entries.values_mut() {
            if entry.pass == self.pass {
                entry.unread_since = None;
                self.read += 1;
            } else {
                entry.unread_since.get_or_insert(now);
            }
        }
        self.drop_useless();
    }

    /// What the last pass has found.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    /// What is in the stream and has not been read for so long.
    pub(super) fn unread(&self, now: Duration, keep: Duration) -> Vec<PathId> {
        let due = |entry: &Entry| {
            let since = entry.unread_since.filter(|_| entry.stored);
            since.is_some_and(|since| now.saturating_sub(since) >= keep)
        };
        let unread = self.entries.iter().filter(|(_, entry)| due(entry));
        unread.map(|(id, _)| *id).collect()
    }

    pub(super) fn removed(&mut self, id: PathId) {
        self.entries.remove(&id);
    }

    fn drop_useless(&mut self) {
        let pass = self.pass;
        self.entries
            .retain(|_, entry| entry.stored || entry.pass == pass);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(300);

    fn id(byte: u8) -> PathId {
        PathId([byte; 16])
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A whole pass that finds these; what it publishes.
    fn pass(list: &mut List, now: Duration, found: &[u8]) -> Vec<u8> {
        list.begin_pass();
        let mut new = found.to_vec();
        new.retain(|byte| list.found(id(*byte)));
        for byte in &new {
            list.published(id(*byte));
        }
        list.end_pass(now);
        new
    }

    fn unread(list: &List, now: Duration) -> Vec<u8> {
        let mut unread: Vec<_> = list.unread(now, KEEP).iter().map(|id| id.0[0]).collect();
        unread.sort_unstable();
        unread
    }

    #[test]
    fn a_subject_and_its_id_are_one_another() {
        let east = "east".parse().unwrap();
        let watched = Watched {
            provider: "vault".parse().unwrap(),
            host: None,
            namespace: None,
            path: "secret/data/app/db".to_owned(),
        };
        let subject = watched.subject(&east);
        assert_eq!(PathId::of(&subject).unwrap().subject(&east), subject);
        for other in ["eso-relay.polls.v1.watched.east.1", "", "a.", "a.zz"] {
            assert_eq!(PathId::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_path_is_published_once() {
        let mut list = List::default();
        list.set_stored([id(1)]);
        assert_eq!(pass(&mut list, at(0), &[1, 2, 2]), [2]);
        assert_eq!(pass(&mut list, at(1), &[1, 2]), [0; 0]);
        assert_eq!(list.read(), 2);
    }

    #[test]
    fn one_that_failed_is_published_in_the_next_pass() {
        let mut list = List::default();
        list.begin_pass();
        assert!(list.found(id(1)));
        assert_eq!(pass(&mut list, at(0), &[1]), [1]);
    }

    #[test]
    fn what_is_unread_for_a_while_is_removed() {
        let mut list = List::default();
        list.set_stored([id(1), id(2), id(3)]);
        // Before a whole pass nothing is.
        assert_eq!(unread(&list, at(1000)), [0; 0]);
        pass(&mut list, at(1000), &[1]);
        pass(&mut list, at(1299), &[1, 3]);
        assert_eq!(unread(&list, at(1299)), [0; 0]);
        assert_eq!(unread(&list, at(1300)), [2]);
        list.removed(id(2));
        assert_eq!(unread(&list, at(9999)), [0; 0]);
        // Another replica has removed one that is read here.
        list.set_stored([id(1)]);
        assert_eq!(pass(&mut list, at(1300), &[1, 3]), [3]);
    }

    #[test]
    fn what_is_neither_read_nor_stored_takes_no_memory() {
        let mut list = List::default();
        pass(&mut list, at(0), &[1, 2]);
        pass(&mut list, at(1), &[]);
        list.set_stored([]);
        assert!(list.entries.is_empty());
    }
}
