//! Lines of a nats-server's log that say that what it stores is damaged.

use std::path::PathBuf;

use anyhow::Context as _;

/// What damage says, in lower case.
const DAMAGE: [&str; 21] = [
    "corrupt",
    "unsupported input",
    "s2:",
    "compression reader",
    "checksum",
    "message block",
    "msg block",
    "bad msg",
    "bad message",
    "bad stream state",
    "error loading message",
    "error looking up message",
    "error reading",
    "error recovering",
    "error restoring",
    "failed to store a msg",
    "lost data",
    "write error",
    "input/output error",
    "internal inconsistency",
    "panic",
];

/// Lines that are not: what is told of connections, at the level of information; of `index.db`,
/// which saves a look at the messages: they are whole, and the server makes the file again; and of its
/// counters, which it counts again from the blocks when they do not add up as it writes that file
/// (nats-server `filestore.go`, `writeFullState`). That each message can be read is looked at besides.
const HARMLESS: [&str; 5] = [
    "[inf]",
    "stream state encountered internal inconsistency on write",
    "stream state checksum did not match",
    "stream state detected prior state",
    "recovering stream state from index errored",
];

/// What it says while its disk is full.
const NO_SPACE: [&str; 1] = ["no space left on device"];

/// Whether the line is about damage. While or since its disk is full, not being able to write is none.
fn is_damage(line: &str, disk_was_full: bool) -> bool {
    let line = line.to_lowercase();
    let says = |patterns: &[&str]| patterns.iter().any(|pattern| line.contains(pattern));
    says(&DAMAGE) && !says(&HARMLESS) && !(disk_was_full && says(&NO_SPACE))
}

/// A log that is read on from round to round.
pub(crate) struct Log {
    path: PathBuf,
    read: usize,
}

impl Log {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, read: 0 }
    }

    /// The lines about damage among those that are new.
    pub(crate) fn damage(&mut self, disk_was_full: bool) -> anyhow::Result<Vec<String>> {
        let what = || format!("{}", self.path.display());
        let all = std::fs::read(&self.path).with_context(what)?;
        let new = &all[self.read..];
        // The last line may not be written to its end yet.
        let whole = new.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |at| at + 1);
        self.read += whole;
        let text = String::from_utf8_lossy(&new[..whole]);
        let damage = text.lines().filter(|line| is_damage(line, disk_was_full));
        Ok(damage.map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// As 2.15.2 writes them.
    fn line(text: &str) -> String {
        format!("[4767] 2026/11/29 08:41:18.221036 {text}")
    }

    #[test]
    fn damage_is_found() {
        for text in [
            r#"[WRN]   Error recreating stream "ESO_RELAY_RECEIPTS": error reading compression reader: s2: corrupt input (10077)"#,
            "[ERR] Filestore [ESO_RELAY_RECEIPTS] Critical write error: error reading compression reader: s2: corrupt input",
            "[WRN] Error preparing WAL replay recovery for stream '$G > ESO_RELAY': error reading compression reader: s2: unsupported input",
            "[ERR] Filestore [ESO_RELAY] Critical write error: input/output error",
        ] {
            assert!(is_damage(&line(text), false), "{text}");
            assert!(is_damage(&line(text), true), "{text}");
        }
    }

    #[test]
    fn a_restart_is_no_damage() {
        for text in [
            "[WRN] Filestore [ESO_RELAY_POSITIONS] Stream state encountered internal inconsistency on write",
            "[INF]   Restored 1,204 messages for stream '$G > ESO_RELAY' in 2ms",
            "[INF] 127.0.0.1:20348 - rid:21 - Router connection closed: Write Error - Remote: nats-1",
            "[ERR] Error trying to connect to route (attempt 1): dial tcp 127.0.0.1:20001: connect: connection refused",
            r#"[WRN] Healthcheck failed: "JetStream is still recovering meta layer""#,
            "[WRN] JetStream has not established contact with a meta leader",
            "[WRN] Filestore [_meta_] Stream state outdated, last block has additional entries, will rebuild",
            "[WRN] Filestore [_meta_] Recovering stream state from index errored: prior state file",
            "[WRN] Filestore [ESO_RELAY] Stream state too short (0 bytes)",
            "[WRN] Filestore [ESO_RELAY_RECEIPTS] Stream state checksum did not match",
            "[WRN] Filestore [ESO_RELAY] Stream state detected prior state, could not locate msg block 17",
            "[WRN] Filestore [ESO_RELAY] Recovering stream state from index errored: corrupt state file",
        ] {
            assert!(!is_damage(&line(text), false), "{text}");
        }
    }

    #[test]
    fn only_a_full_disk_may_say_that_it_is_full() {
        for text in [
            "[ERR] Filestore [ESO_RELAY] Critical write error: write msgs/1.blk: no space left on device",
            "[ERR] JetStream failed to store a msg on stream '$G > ESO_RELAY': write msgs/1.blk: no space left on device",
        ] {
            assert!(is_damage(&line(text), false), "{text}");
            assert!(!is_damage(&line(text), true), "{text}");
        }
    }

    #[test]
    fn a_log_is_read_line_by_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut log = Log::at(file.path().to_owned());
        file.write_all(b"[ERR] corrupt state\nfine\n[ERR] corr")
            .unwrap();
        assert_eq!(log.damage(false).unwrap(), ["[ERR] corrupt state"]);
        file.write_all(b"upt again\n").unwrap();
        assert_eq!(log.damage(false).unwrap(), ["[ERR] corrupt again"]);
        assert!(log.damage(false).unwrap().is_empty());
    }
}
