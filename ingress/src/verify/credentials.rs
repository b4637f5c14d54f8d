//! Live secrets: one or several at once, read again when their files change.

use std::{
    io::ErrorKind,
    iter,
    sync::{Mutex, OnceLock, PoisonError, RwLock},
};

use eso_relay::config::{ConfigError, Secret, SecretFile, SecretFiles};
use prometheus_client::metrics::counter::Counter;

use super::jwt::News;

use crate::file_version::FileVersion;

/// Every secret that is valid now, and the files that they come from.
///
/// Two locks: a request reads only the secrets, and so never waits for a file system.
pub struct Credentials {
    live: RwLock<Vec<Live>>,
    slots: Mutex<Vec<Slot>>,
    /// How often each slot has verified a request; empty outside of a running ingress.
    uses: OnceLock<Vec<Counter>>,
}

/// A secret that is valid now, and its slot.
struct Live {
    slot: usize,
    secret: Secret,
}

/// The secret that fits. [`Fit::count`] it once the whole request is verified.
#[derive(Clone, Copy)]
pub(super) struct Fit<'a> {
    credentials: &'a Credentials,
    slot: usize,
}

impl Fit<'_> {
    pub(super) fn count(self) {
        if let Some(uses) = self
            .credentials
            .uses
            .get()
            .and_then(|uses| uses.get(self.slot))
        {
            uses.inc();
        }
    }
}

/// One secret's place in the configuration.
struct Slot {
    file: SecretFile,
    check: Check,
    /// The secret and the version of its file; `None` while the file is missing.
    held: Option<(Secret, FileVersion)>,
    /// The failure is logged already.
    failing: bool,
}

/// What is wrong with the content of a file: `holds …: <remedy>`.
type Check = fn(&str) -> Result<(), &'static str>;

/// The result of checking a file.
#[derive(Debug)]
pub enum Refresh {
    /// The file has another secret now, or is back.
    Replaced(SecretFile),
    /// The file is missing, and its secret not valid until it is back; others are left.
    Revoked(SecretFile),
    /// The file cannot be read; the secret that it held stays valid.
    Kept(SecretFile, ConfigError),
    /// A change of the keys of a JWT's issuer.
    Issuer(News),
}

impl Credentials {
    /// Reads every file. An empty list, a missing file or an empty one is an error.
    pub fn open(files: &SecretFiles) -> Result<Self, ConfigError> {
        Self::open_if(files, |_| Ok(()))
    }

    /// The same with a check of the content. A file whose new content fails it keeps the old secret valid.
    pub(super) fn open_if(files: &SecretFiles, check: Check) -> Result<Self, ConfigError> {
        let read = |file: &SecretFile| {
            // Taken before the file is read, so that the next check sees a change in between.
            let version = FileVersion::of(file.path());
            let secret = checked(file, check)?;
            let version = version.map_err(|source| ConfigError::Read {
                path: file.path().to_owned(),
                source,
            })?;
            Ok(Slot {
                file: file.clone(),
                check,
                held: Some((secret, version)),
                failing: false,
            })
        };
        let slots: Vec<_> = files
            .as_slice()
            .iter()
            .map(read)
            .collect::<Result<_, ConfigError>>()?;
        if slots.is_empty() {
            return Err(ConfigError::Invalid(
                "the list of secret files is empty: name one".to_owned(),
            ));
        }
        Ok(Self {
            live: RwLock::new(live(&slots)),
            slots: Mutex::new(slots),
            uses: OnceLock::new(),
        })
    }

    /// A secret that does not change.
    pub fn fixed(secret: Secret) -> Self {
        Self {
            live: RwLock::new(vec![Live { slot: 0, secret }]),
            slots: Mutex::default(),
            uses: OnceLock::new(),
        }
    }

    /// Has the uses of each slot counted, in the order of the configuration.
    pub(crate) fn count_uses(&self, counter: impl FnMut() -> Counter) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = iter::repeat_with(counter).take(slots.len().max(1));
        // A source is shown once.
        self.uses.get_or_init(|| uses.collect());
    }

    /// When the file of each slot was changed, in seconds since 1970; `None` while it is missing, or without a file.
    pub(super) fn changed(&self) -> Vec<Option<i64>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.is_empty() {
            return vec![None];
        }
        let held = slots.iter().map(|slot| slot.held.as_ref());
        held.map(|held| held.map(|(_, version)| version.modified()))
            .collect()
    }

    /// The first live secret that fits. All are tried: the time taken does not tell which.
    pub(super) fn fit(&self, fits: impl Fn(&str) -> bool) -> Option<Fit<'_>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let slot = live.iter().fold(None, |found: Option<usize>, one| {
            let slot = fits(one.secret.expose()).then_some(one.slot);
            found.or(slot)
        });
        let credentials = self;
        slot.map(|slot| Fit { credentials, slot })
    }

    /// Applies `give` to the first live secret.
    pub(super) fn first<T>(&self, give: impl FnOnce(&str) -> T) -> T {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        // There is always one: the last is never revoked.
        give(live.first().map_or("", |live| live.secret.expose()))
    }

    /// Checks every file, and reads those that changed. Blocks on the file system.
    pub fn refresh(&self) -> Vec<Refresh> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = Vec::new();
        for at in 0..slots.len() {
            let others = slots.iter().filter(|slot| slot.held.is_some()).count()
                - usize::from(slots[at].held.is_some());
            seen.extend(slots[at].look(others == 0));
        }
        if !seen.is_empty() {
            *self.live.write().unwrap_or_else(PoisonError::into_inner) = live(&slots);
        }
        seen
    }
}

fn live(slots: &[Slot]) -> Vec<Live> {
    let held = slots.iter().map(|slot| slot.held.as_ref()).enumerate();
    held.filter_map(|(slot, held)| {
        let secret = held?.0.clone();
        Some(Live { slot, secret })
    })
    .collect()
}

impl Slot {
    /// `last`: no other secret is left, so this one is not revoked.
    fn look(&mut self, last: bool) -> Option<Refresh> {
        let version = match FileVersion::of(self.file.path()) {
            Ok(found)
                if self
                    .held
                    .as_ref()
                    .is_some_and(|(_, version)| *version == found) =>
            {
                return None;
            }
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound && !last => {
                let gone = self.held.take();
                return gone.map(|_| Refresh::Revoked(self.file.clone()));
            }
            // Reading it gives the error; or it is back, and the next check reads it again.
            Err(_) => self.held.as_ref()?.1.clone(),
        };
        match checked(&self.file, self.check) {
            Ok(secret) => {
                self.failing = false;
                self.held = Some((secret, version));
                Some(Refresh::Replaced(self.file.clone()))
            }
            Err(error) if !self.failing && self.held.is_some() => {
                self.failing = true;
                Some(Refresh::Kept(self.file.clone(), error))
            }
            Err(_) => None,
        }
    }
}

/// For a secret that is sent as a header's value: one that no header can carry would never match. Blanks at the
/// ends are not part of a header's value (RFC 9110 §5.5).
pub(super) fn fits_a_header(secret: &str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    if secret.bytes().all(fits) && secret.trim_ascii() == secret {
        Ok(())
    } else {
        Err(
            "holds a line break, a blank at an end or a character beyond ASCII, which no header carries: write the secret alone, on one line",
        )
    }
}

/// A password has no control characters (RFC 7617 §2).
pub(super) fn is_a_password(secret: &str) -> Result<(), &'static str> {
    if secret.chars().any(char::is_control) {
        Err(
            "holds a line break or another control character, which no password has (RFC 7617): write it alone, on one line",
        )
    } else {
        Ok(())
    }
}

fn checked(file: &SecretFile, check: Check) -> Result<Secret, ConfigError> {
    let secret = file.read()?;
    check(secret.expose()).map_err(|problem| {
        ConfigError::Invalid(format!(
            "the secret file {} {problem}",
            file.path().display()
        ))
    })?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::{super::tests::kit::Directory, *};

    fn knows(credentials: &Credentials, secret: &str) -> bool {
        credentials.fit(|live| live == secret).is_some()
    }

    #[test]
    fn a_slot_keeps_its_number_while_others_are_missing() {
        let directory = Directory::new("slots");
        let files = vec![
            directory.write("a", "old"),
            directory.write("b", "new"),
            directory.write("c", "new"),
        ];
        let credentials = Credentials::open(&SecretFiles::Many(files)).unwrap();
        credentials.count_uses(Counter::default);
        let uses = credentials.uses.get().unwrap().clone();
        let counts_after = |credentials: &Credentials, secret: &str| {
            credentials.fit(|live| live == secret).unwrap().count();
            [0, 1, 2].map(|slot| uses[slot].get())
        };
        assert_eq!(
            counts_after(&credentials, "new"),
            [0, 1, 0],
            "the first that fits"
        );
        assert_eq!(counts_after(&credentials, "old"), [1, 1, 0]);
        assert!(credentials.fit(|live| live == "wrong").is_none());
        fs::remove_file(directory.0.join("a")).unwrap();
        credentials.refresh();
        assert_eq!(counts_after(&credentials, "new"), [1, 2, 0]);
        let changed = credentials.changed();
        assert!(
            changed[0].is_none() && changed[1] > Some(1_700_000_000),
            "{changed:?}"
        );
    }

    #[test]
    fn a_rotated_secret_counts_without_a_restart_and_the_old_one_until_its_file_goes() {
        let directory = Directory::new("rotation");
        let files = vec![
            directory.write("a", "old\n"),
            directory.write("b", "spare\n"),
        ];
        let credentials = Credentials::open(&SecretFiles::Many(files)).unwrap();
        assert!(knows(&credentials, "old") && knows(&credentials, "spare"));

        directory.write("b", "new\n");
        assert!(matches!(credentials.refresh()[..], [Refresh::Replaced(_)]));
        assert!(knows(&credentials, "old") && knows(&credentials, "new"));
        assert!(!knows(&credentials, "spare"));

        fs::remove_file(directory.0.join("a")).unwrap();
        assert!(matches!(credentials.refresh()[..], [Refresh::Revoked(_)]));
        assert!(!knows(&credentials, "old") && knows(&credentials, "new"));
        assert!(credentials.refresh().is_empty());
    }

    #[test]
    fn a_file_that_comes_back_counts_again() {
        let directory = Directory::new("back");
        let files = vec![directory.write("a", "old"), directory.write("b", "spare")];
        let credentials = Credentials::open(&SecretFiles::Many(files)).unwrap();
        fs::remove_file(directory.0.join("a")).unwrap();
        credentials.refresh();
        assert!(!knows(&credentials, "old") && knows(&credentials, "spare"));
        directory.write("a", "new");
        assert!(matches!(credentials.refresh()[..], [Refresh::Replaced(_)]));
        assert!(knows(&credentials, "new") && knows(&credentials, "spare"));
        fs::remove_file(directory.0.join("b")).unwrap();
        assert!(matches!(credentials.refresh()[..], [Refresh::Revoked(_)]));
        assert!(knows(&credentials, "new") && !knows(&credentials, "spare"));
    }

    #[test]
    fn a_mounted_kubernetes_secret_is_followed_through_its_links() {
        let directory = Directory::new("links");
        let version = |name: &str, secret: &str| {
            fs::create_dir_all(directory.0.join(name)).unwrap();
            fs::write(directory.0.join(name).join("password"), secret).unwrap();
            fs::remove_file(directory.0.join("..data_tmp")).ok();
            symlink(name, directory.0.join("..data_tmp")).unwrap();
            fs::rename(directory.0.join("..data_tmp"), directory.0.join("..data")).unwrap();
        };
        version("..1", "same-length-1");
        symlink("..data/password", directory.0.join("password")).unwrap();
        let files = SecretFiles::One(directory.file("password"));
        let credentials = Credentials::open(&files).unwrap();
        version("..2", "same-length-2");
        assert_eq!(credentials.refresh().len(), 1);
        assert!(knows(&credentials, "same-length-2") && !knows(&credentials, "same-length-1"));
    }

    #[test]
    fn a_failing_file_keeps_its_secret_and_says_so_once() {
        let directory = Directory::new("failing");
        let files = SecretFiles::One(directory.write("a", "kept"));
        let credentials = Credentials::open(&files).unwrap();
        directory.write("a", "\n");
        assert!(matches!(credentials.refresh()[..], [Refresh::Kept(..)]));
        assert!(credentials.refresh().is_empty());
        fs::remove_file(directory.0.join("a")).unwrap();
        assert!(credentials.refresh().is_empty());
        assert!(knows(&credentials, "kept") && !knows(&credentials, ""));
        directory.write("a", "back");
        assert!(matches!(credentials.refresh()[..], [Refresh::Replaced(_)]));
        assert!(knows(&credentials, "back") && !knows(&credentials, "kept"));
    }

    #[test]
    fn a_missing_an_empty_or_no_file_is_an_error_at_the_start() {
        let directory = Directory::new("start");
        let one = |file| Credentials::open(&SecretFiles::One(file)).err().unwrap();
        assert!(
            one(directory.file("missing"))
                .to_string()
                .contains("missing")
        );
        assert!(
            one(directory.write("empty", "\n"))
                .to_string()
                .contains("is empty")
        );
        assert!(Credentials::open(&SecretFiles::Many(vec![])).is_err());
    }
}
