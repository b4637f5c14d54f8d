//! The version of a secret, from its metadata, and what has happened between two of them.

use std::{collections::BTreeMap, num::NonZeroU64};

use eso_relay::{
    event::{Kind, Operation},
    stream::{PolledState, PolledVersion},
};
use jiff::Timestamp;
use serde::Deserialize;

/// Far above a time with nanoseconds and a zone.
const MAX_TIME_BYTES: usize = 64;

/// `custom_metadata` is a user's text, and is not read.
#[derive(Deserialize)]
struct Answer {
    data: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    current_version: u64,
    #[serde(default)]
    versions: BTreeMap<u64, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    created_time: String,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

/// The answer is not the metadata of a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What has happened to a secret since it was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) operation: Operation,
    /// What tells this change of the secret from its others, the same whenever it is found.
    pub(super) id: String,
}

/// `GET MOUNT/metadata/PATH`.
pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<PolledVersion, Malformed> {
    let Answer { data } = serde_json::from_slice(body).map_err(|_| Malformed)?;
    let Some(number) = NonZeroU64::new(data.current_version) else {
        return Ok(PolledVersion {
            number: None,
            created_time: None,
            state: PolledState::Missing,
        });
    };
    let mut versions = data.versions;
    let entry = versions.remove(&number.get()).ok_or(Malformed)?;
    let times = [&entry.created_time, &entry.deletion_time];
    if times.iter().any(|time| time.len() > MAX_TIME_BYTES) {
        return Err(Malformed);
    }
    // With `delete_version_after` it is set from the beginning, to when the version will be deleted.
    let is_deleted = match entry.deletion_time.parse::<Timestamp>() {
        Ok(at) => at <= now,
        Err(_) => !entry.deletion_time.is_empty(),
    };
    let state = if entry.destroyed {
        PolledState::Destroyed
    } else if is_deleted {
        PolledState::Deleted {
            at: entry.deletion_time,
        }
    } else {
        PolledState::Readable
    };
    Ok(PolledVersion {
        number: Some(number),
        created_time: Some(entry.created_time),
        state,
    })
}

/// The same secret, which the store does not know any more.
pub(super) fn missing(before: &PolledVersion) -> PolledVersion {
    PolledVersion {
        state: PolledState::Missing,
        ..before.clone()
    }
}

/// When the newest version was made.
pub(super) fn made_at(version: &PolledVersion) -> Option<Timestamp> {
    version.created_time.as_deref()?.parse().ok()
}

impl Change {
    /// `None`: a reader gets what it got before.
    pub(super) fn between(before: &PolledVersion, now: &PolledVersion) -> Option<Self> {
        let same = is_same(before, now);
        let operation = match (class(&before.state), class(&now.state)) {
            (Class::Readable, Class::Readable) | (Class::Gone, Class::Gone) if same => return None,
            (_, Class::Readable) if same => Operation::Restored,
            (Class::Missing, Class::Readable) => Operation::Created,
            (_, Class::Readable) => Operation::Updated,
            (Class::Missing, Class::Missing) => return None,
            (_, Class::Gone | Class::Missing) => Operation::Deleted,
        };
        let how = match operation {
            Operation::Restored => format!("@restored@{}", name(&before.state)),
            Operation::Deleted => format!("@{}", name(&now.state)),
            _ => String::new(),
        };
        let identity = match operation {
            // One that was missing from its first version on has none.
            Operation::Deleted if now.number.is_none() => before,
            _ => now,
        };
        Some(Self {
            kind: match operation {
                Operation::Deleted => Kind::SecretDeleted,
                _ => Kind::SecretChanged,
            },
            operation,
            id: id(identity) + &how,
        })
    }

    /// When it happened, by the store's clock, where the store tells.
    pub(super) fn time(&self, version: &PolledVersion) -> Option<Timestamp> {
        match (self.operation, &version.state) {
            (Operation::Deleted, PolledState::Deleted { at }) => at.parse().ok(),
            (Operation::Deleted | Operation::Restored, _) => None,
            _ => made_at(version),
        }
    }

    /// A version that was made while the poller remembered nothing of the secret: nothing tells whether anyone has read
    /// it yet. So it asks for a refresh, and does not claim a change, for which workloads would be restarted.
    pub(super) fn of_first_sight(version: &PolledVersion) -> Option<Self> {
        (version.state == PolledState::Readable).then(|| Self {
            kind: Kind::RefreshRequested,
            operation: Operation::Unknown,
            id: id(version),
        })
    }
}

/// What a reader gets.
#[derive(Clone, Copy)]
enum Class {
    Readable,
    Gone,
    Missing,
}

fn class(state: &PolledState) -> Class {
    match state {
        PolledState::Readable => Class::Readable,
        PolledState::Deleted { .. } | PolledState::Destroyed => Class::Gone,
        PolledState::Missing => Class::Missing,
    }
}

fn name(state: &PolledState) -> String {
    match state {
        PolledState::Readable => "readable".to_owned(),
        PolledState::Deleted { at } => format!("deleted@{at}"),
        PolledState::Destroyed => "destroyed".to_owned(),
        PolledState::Missing => "missing".to_owned(),
    }
}

fn is_same(one: &PolledVersion, other: &PolledVersion) -> bool {
    one.number == other.number && one.created_time == other.created_time
}

fn id(version: &PolledVersion) -> String {
    let number = version.number.map_or(0, NonZeroU64::get);
    let created = version.created_time.as_deref().unwrap_or_default();
    format!("@{number}@{created}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "2026-11-30T10:00:00.000000001Z";
    const LATER: &str = "2026-11-30T11:00:00Z";

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    fn version(number: u64, created: &str, state: PolledState) -> PolledVersion {
        PolledVersion {
            number: NonZeroU64::new(number),
            created_time: (!created.is_empty()).then(|| created.to_owned()),
            state,
        }
    }

    fn deleted() -> PolledState {
        PolledState::Deleted {
            at: LATER.to_owned(),
        }
    }

    /// Every row of what an operation changes, and what is published.
    #[test]
    fn every_operation_has_its_event() {
        use PolledState::{Destroyed, Missing, Readable};
        let first = |state| version(1, FIRST, state);
        let second = |state| version(2, LATER, state);
        let (changed, gone) = (Kind::SecretChanged, Kind::SecretDeleted);
        for (what, before, after, expected) in [
            (
                "a put",
                first(Readable),
                second(Readable),
                Some((changed, Operation::Updated)),
            ),
            ("a put of metadata", first(Readable), first(Readable), None),
            (
                "a delete",
                first(Readable),
                first(deleted()),
                Some((gone, Operation::Deleted)),
            ),
            (
                "an undelete",
                first(deleted()),
                first(Readable),
                Some((changed, Operation::Restored)),
            ),
            (
                "a destroy",
                first(Readable),
                first(Destroyed),
                Some((gone, Operation::Deleted)),
            ),
            (
                "destroyed when deleted",
                first(deleted()),
                first(Destroyed),
                None,
            ),
            (
                "its metadata deleted",
                first(Readable),
                first(Missing),
                Some((gone, Operation::Deleted)),
            ),
            ("still missing", first(Missing), first(Missing), None),
            (
                "made again, missed in between",
                first(Readable),
                version(1, LATER, Readable),
                Some((changed, Operation::Updated)),
            ),
            (
                "made again, seen to be missing",
                first(Missing),
                version(1, LATER, Readable),
                Some((changed, Operation::Created)),
            ),
            (
                "a mount that is back",
                first(Missing),
                first(Readable),
                Some((changed, Operation::Restored)),
            ),
            (
                "restored from a backup",
                second(Readable),
                first(Readable),
                Some((changed, Operation::Updated)),
            ),
            (
                "put and deleted in between",
                first(Readable),
                second(deleted()),
                Some((gone, Operation::Deleted)),
            ),
            (
                "its first version",
                version(0, "", Missing),
                first(Readable),
                Some((changed, Operation::Created)),
            ),
            (
                "made again without a version",
                first(Readable),
                version(0, "", Missing),
                Some((gone, Operation::Deleted)),
            ),
        ] {
            let change = Change::between(&before, &after);
            let found = change.map(|change| (change.kind, change.operation));
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn the_id_tells_the_changes_of_one_version_apart() {
        use PolledState::{Missing, Readable};
        let of = |before: &PolledVersion, after: &PolledVersion| {
            Change::between(before, after).unwrap().id
        };
        let (put, first) = (version(2, LATER, Readable), version(1, FIRST, Readable));
        let (deletion, gone) = (version(2, LATER, deleted()), version(2, LATER, Missing));
        let ids = [
            of(&first, &put),
            of(&put, &deletion),
            of(&deletion, &put),
            of(&put, &gone),
            of(&gone, &put),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "{ids:?}");
        // Found again after the version could not be written.
        assert_eq!(of(&first, &put), format!("@2@{LATER}"));
        assert_eq!(Change::of_first_sight(&put).unwrap().id, of(&first, &put));
        assert_eq!(Change::of_first_sight(&deletion), None);
    }

    #[test]
    fn metadata_is_read_without_the_users_text() {
        let entry = |deletion: &str, destroyed: bool| {
            let text = format!(
                r#"{{"data":{{"current_version":2,"custom_metadata":{{"a":"marker"}},"versions":{{
                "1":{{"created_time":"{FIRST}","deletion_time":"","destroyed":false}},
                "2":{{"created_time":"{LATER}","deletion_time":"{deletion}","destroyed":{destroyed}}}}}}}}}"#
            );
            parse(text.as_bytes(), now()).unwrap()
        };
        assert_eq!(entry("", false), version(2, LATER, PolledState::Readable));
        assert_eq!(entry(LATER, false), version(2, LATER, deleted()));
        assert_eq!(entry("", true), version(2, LATER, PolledState::Destroyed));
        // `delete_version_after`: not deleted yet.
        let future = entry("2026-12-30T12:00:00Z", false);
        assert_eq!(future.state, PolledState::Readable);
        let none = parse(br#"{"data":{"current_version":0,"versions":{}}}"#, now());
        assert_eq!(none, Ok(version(0, "", PolledState::Missing)));
    }

    #[test]
    fn another_answer_is_malformed() {
        let long = "9".repeat(100);
        for body in [
            String::new(),
            "[]".to_owned(),
            r#"{"data":null}"#.to_owned(),
            r#"{"data":{"current_version":2,"versions":{}}}"#.to_owned(),
            r#"{"data":{"current_version":-1}}"#.to_owned(),
            format!(
                r#"{{"data":{{"current_version":1,"versions":{{"1":{{"created_time":"{long}"}}}}}}}}"#
            ),
        ] {
            assert_eq!(parse(body.as_bytes(), now()), Err(Malformed), "{body}");
        }
    }
}
