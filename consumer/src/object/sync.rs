//! Whether ESO has synced an object since its last change, read from its status. For KES: `kes.rs`.

use std::{hash::Hasher as _, num::NonZeroU32};

use md5::Md5;
use serde_json::Value;
use sha3::{Digest, Sha3_224};

/// What an object's status says about its current metadata.
///
/// No clocks are compared: after a sync ESO writes `status.syncedResourceVersion`, a hash over generation,
/// annotations and labels (`pkg/controllers/util/util.go`, `GetResourceVersion`), which is computed here too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncState {
    /// Synced since the last change of its metadata.
    Synced,
    /// The same, and there is no Secret: the store has no value for it (`deletionPolicy`).
    Emptied,
    /// Not synced yet, or ESO skips it.
    #[default]
    Waiting,
    /// Not synced yet, and the last attempt of ESO failed (`Ready` is `False`). That attempt may have been
    /// before the change: a repeated failure does not change the status.
    Failed,
    /// The metadata changed and changed back before ESO looked, so ESO has nothing to do and will not sync.
    Returned,
    /// An unknown form of hash, from a later version of ESO: the object is synced again when it changes.
    Unknown { hash: u64 },
}

/// Identifies the sync that a status describes: it differs for each sync, and for a status that was reset. It
/// is the same in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncVersion(NonZeroU32);

impl SyncVersion {
    /// `refreshTime` distinguishes two syncs of the same metadata.
    pub fn of(status: &Value) -> Self {
        let text = |field: &str| status[field].as_str().unwrap_or_default();
        let (synced, time) = (text("syncedResourceVersion"), text("refreshTime"));
        Self::of_text(&format!("{synced} {time}"))
    }

    pub(super) fn of_text(text: &str) -> Self {
        let hash = short(text);
        // A collision costs one refresh more.
        let half = u32::try_from(hash >> 32).ok().and_then(NonZeroU32::new);
        Self(half.unwrap_or(NonZeroU32::MIN))
    }
}

/// The parts of an object's metadata that ESO hashes.
#[derive(Debug, Clone, Copy)]
pub struct Hashed<'a> {
    pub generation: i64,
    pub annotations: &'a Value,
    pub labels: &'a Value,
}

impl SyncState {
    pub fn of(metadata: Hashed<'_>, status: &Value) -> Self {
        let ready = ready(status);
        let Some(synced) = status["syncedResourceVersion"].as_str() else {
            return Self::unsynced(ready);
        };
        let (generation, hash) = synced.rsplit_once('-').unwrap_or_default();
        // Hashing takes most of the time of a list, so only the form that is needed is computed.
        let is_current = match hash.len() {
            // Since ESO 0.16.2.
            56 => Hashed::is::<Sha3_224>,
            // Before.
            32 => Hashed::is::<Md5>,
            _ if synced.is_empty() => return Self::unsynced(ready),
            _ => {
                return Self::Unknown {
                    hash: short(synced),
                };
            }
        };
        if ready == Some(true) && is_current(&metadata, generation, hash) {
            if is_emptied(status) {
                Self::Emptied
            } else {
                Self::Synced
            }
        } else {
            Self::unsynced(ready)
        }
    }

    /// Whether ESO has synced the object as it is.
    pub fn is_current(self) -> bool {
        matches!(self, Self::Synced | Self::Emptied)
    }

    fn unsynced(ready: Option<bool>) -> Self {
        match ready {
            Some(false) => Self::Failed,
            _ => Self::Waiting,
        }
    }

    /// The state after the watch has shown `before` and then this one with `version`.
    ///
    /// ESO writes the status with the resourceVersion that it has read, so a new version of the status belongs
    /// to a sync after every change that was shown before. Without a new version, an object that looks synced
    /// again after a change is not.
    #[must_use]
    pub fn after(
        self,
        (before, last): (Self, Option<SyncVersion>),
        version: Option<SyncVersion>,
    ) -> Self {
        let changed = matches!(before, Self::Waiting | Self::Returned);
        if self.is_current() && changed && version.is_some() && version == last {
            Self::Returned
        } else {
            self
        }
    }
}

impl Hashed<'_> {
    /// Whether `generation-hash` belongs to this metadata: the hash is over what Go's `%+v` prints for a struct
    /// of two maps (ESO `runtime/esutils/utils.go`, `ObjectHash`).
    fn is<D: Digest>(&self, generation: &str, hash: &str) -> bool {
        if generation != self.generation.to_string() {
            return false;
        }
        let mut digest = D::new();
        let mut put = |text: &str| digest.update(text);
        put("{annotations:");
        go_map(self.annotations, &mut put);
        put(" labels:");
        go_map(self.labels, &mut put);
        put("}");
        let digest = digest.finalize();
        let halves = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = halves.map(|half| char::from_digit(half.into(), 16));
        digits.eq(hash.chars().map(Some))
    }
}

/// Sorts the keys by bytes, as Go does.
fn go_map(map: &Value, put: &mut impl FnMut(&str)) {
    let pairs = map.as_object().into_iter().flatten();
    let mut pairs: Vec<_> = pairs
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect();
    pairs.sort_unstable();
    put("map[");
    for (at, (key, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            put(" ");
        }
        [key, ":", value].into_iter().for_each(&mut *put);
    }
    put("]");
}

fn ready(status: &Value) -> Option<bool> {
    Some(condition(status)?["status"] == "True")
}

/// Whether ESO has deleted what it wrote, or has written nothing, as there is no value.
pub fn is_emptied(status: &Value) -> bool {
    let reason = condition(status).and_then(|ready| ready["reason"].as_str());
    let emptied = [
        "SecretDeleted",
        "SecretMissing",
        "ResourceDeleted",
        "ResourceMissing",
    ];
    reason.is_some_and(|reason| emptied.contains(&reason))
}

/// The condition `Ready`, if there is one.
fn condition(status: &Value) -> Option<&Value> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|it| it["type"] == "Ready")
}

fn short(text: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The hash of metadata without annotations and labels, from a real cluster.
    const EMPTY: &str = "1-f47fe3c0b255b6dd8047cdffa772587bb829efe7a1cb70febeda2eb2";
    /// The same text, hashed as ESO did before 0.16.2.
    const EMPTY_MD5: &str = "1-2f2c636d06132f67992c15a1daeb0a5f";

    fn sync(generation: i64, annotations: &Value, status: &Value) -> SyncState {
        let metadata = Hashed {
            generation,
            annotations,
            labels: &Value::Null,
        };
        SyncState::of(metadata, status)
    }

    fn status(synced: &str, ready: &str) -> Value {
        json!({
            "syncedResourceVersion": synced,
            "conditions": [{ "type": "Deleted", "status": "False" }, { "type": "Ready", "status": ready }],
        })
    }

    #[test]
    fn what_the_status_says_of_the_metadata_as_they_are() {
        let plain = Value::Null;
        let patched = json!({ "eso-relay.dev/refresh": "0123456789abcdef0123" });
        for (generation, annotations, status, expected) in [
            (1, &plain, status(EMPTY, "True"), SyncState::Synced),
            (1, &plain, status(EMPTY_MD5, "True"), SyncState::Synced),
            (2, &plain, status(EMPTY, "True"), SyncState::Waiting),
            (1, &patched, status(EMPTY, "True"), SyncState::Waiting),
            (1, &patched, status(EMPTY, "False"), SyncState::Failed),
            // The last sync was of this very metadata, and another attempt failed since.
            (1, &plain, status(EMPTY, "False"), SyncState::Failed),
            (1, &plain, Value::Null, SyncState::Waiting),
            (1, &plain, status("", "False"), SyncState::Failed),
        ] {
            assert_eq!(sync(generation, annotations, &status), expected, "{status}");
        }
    }

    #[test]
    fn a_sync_without_a_value_leaves_no_secret() {
        for reason in ["SecretDeleted", "ResourceMissing"] {
            let mut status = status(EMPTY, "True");
            status["conditions"][1]["reason"] = reason.into();
            assert_eq!(sync(1, &Value::Null, &status), SyncState::Emptied);
            assert_eq!(sync(2, &Value::Null, &status), SyncState::Waiting);
        }
    }

    #[test]
    fn an_unknown_form_of_hash_is_told_from_another() {
        let of = |synced| sync(1, &Value::Null, &status(synced, "True"));
        assert!(matches!(of("1-abc"), SyncState::Unknown { .. }));
        assert_eq!(of("1-abc"), of("1-abc"));
        assert_ne!(of("1-abc"), of("2-abc"));
    }

    #[test]
    fn a_return_to_the_state_before_the_patch_is_no_sync() {
        use SyncState::{Failed, Returned, Synced, Waiting};
        let at = |hash: &str, time: &str| {
            let status = json!({ "syncedResourceVersion": hash, "refreshTime": time });
            Some(SyncVersion::of(&status))
        };
        let (old, again, reset) = (at(EMPTY, "t0"), at(EMPTY, "t1"), at("", "t0"));
        for (before, last, state, version, expected) in [
            (Waiting, old, Synced, old, Returned),
            (Returned, old, Synced, old, Returned),
            (Synced, old, Synced, old, Synced),
            (Waiting, reset, Synced, old, Synced),
            (Waiting, old, Synced, again, Synced),
            (Returned, old, Synced, again, Synced),
            // `Ready` turns true by a sync alone.
            (Failed, old, Synced, old, Synced),
            (Waiting, old, Failed, old, Failed),
            (Returned, old, Waiting, old, Waiting),
            (Waiting, None, Synced, None, Synced),
        ] {
            let found = state.after((before, last), version);
            assert_eq!(found, expected, "{before:?} {state:?}");
        }
    }

    #[test]
    fn keys_are_hashed_in_the_order_of_their_bytes() {
        let printed = |map: &Value| {
            let mut text = String::new();
            go_map(map, &mut |part| text.push_str(part));
            text
        };
        let map = json!({ "b": "2", "a/c": "1", "B": "3" });
        assert_eq!(printed(&map), "map[B:3 a/c:1 b:2]");
        assert_eq!(printed(&Value::Null), "map[]");
    }
}
