//! Live secrets: one or several at once, read again when their files change.

use std::{
    io::ErrorKind,
    sync::{PoisonError, RwLock},
};

use eso_relay::config::{ConfigError, Secret, SecretFile, SecretFiles};

use super::jwt::News;

use crate::stamp::Stamp;

/// Every secret that is valid now.
pub struct Credentials(RwLock<Vec<Credential>>);

struct Credential {
    secret: Secret,
    /// `None` for a secret out of the environment, which does not change.
    file: Option<(SecretFile, Stamp)>,
    check: Check,
    /// Said once, not at every look.
    failing: bool,
}

/// What is wrong with the content of a file: `holds …: <mend>`.
type Check = fn(&str) -> Result<(), &'static str>;

/// What a look at a file brought.
#[derive(Debug)]
pub enum Refresh {
    /// The file has another secret now.
    Replaced(SecretFile),
    /// The file is gone and so is its secret; others are left.
    Revoked(SecretFile),
    /// The file cannot be read; the secret that it held stays valid.
    Kept(SecretFile, ConfigError),
    /// What became of the keys of a JWT's issuer.
    Issuer(News),
}

impl Credentials {
    /// Reads every file. None at all, a missing one or an empty one is an error.
    pub fn open(files: &SecretFiles) -> Result<Self, ConfigError> {
        Self::open_if(files, |_| Ok(()))
    }

    /// The same, where not every text is a secret. A file whose new content is none keeps the old
    /// one valid.
    pub(super) fn open_if(files: &SecretFiles, check: Check) -> Result<Self, ConfigError> {
        let read = |file: &SecretFile| {
            // Looked at before it is read: a change in between is then seen at the next look.
            let stamp = Stamp::of(file.path());
            let secret = checked(file, check)?;
            let stamp = stamp.map_err(|source| ConfigError::Read {
                path: file.path().to_owned(),
                source,
            })?;
            Ok(Credential {
                secret,
                file: Some((file.clone(), stamp)),
                check,
                failing: false,
            })
        };
        let live: Vec<_> = files
            .as_slice()
            .iter()
            .map(read)
            .collect::<Result<_, ConfigError>>()?;
        if live.is_empty() {
            return Err(ConfigError::Invalid(
                "the list of secret files is empty: name one".to_owned(),
            ));
        }
        Ok(Self(RwLock::new(live)))
    }

    /// A secret that does not change.
    pub fn fixed(secret: Secret) -> Self {
        Self(RwLock::new(vec![Credential {
            secret,
            file: None,
            check: |_| Ok(()),
            failing: false,
        }]))
    }

    /// Whether any live secret fits. All are tried: the time taken does not tell which.
    pub(super) fn any(&self, fits: impl Fn(&str) -> bool) -> bool {
        let live = self.0.read().unwrap_or_else(PoisonError::into_inner);
        live.iter()
            .fold(false, |any, one| any | fits(one.secret.expose()))
    }

    /// What the first live secret gives.
    pub(super) fn first<T>(&self, give: impl FnOnce(&str) -> T) -> T {
        let live = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // There is always one: the last is never given up.
        give(live.first().map_or("", |one| one.secret.expose()))
    }

    /// Looks at every file; reads those that changed. Blocks on the file system.
    pub fn refresh(&self) -> Vec<Refresh> {
        let mut live = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut seen = Vec::new();
        let mut gone = Vec::new();
        let count = live.len();
        for (at, credential) in live.iter_mut().enumerate() {
            let last = gone.len() + 1 == count;
            match credential.look(last) {
                None => {}
                Some(Refresh::Revoked(file)) => {
                    gone.push(at);
                    seen.push(Refresh::Revoked(file));
                }
                Some(refresh) => seen.push(refresh),
            }
        }
        for at in gone.into_iter().rev() {
            live.remove(at);
        }
        seen
    }
}

impl Credential {
    /// `last`: no other secret is left, so this one is not given up.
    fn look(&mut self, last: bool) -> Option<Refresh> {
        let (file, stamp) = self.file.as_mut()?;
        let found = match Stamp::of(file.path()) {
            Ok(found) if found == *stamp => return None,
            Ok(found) => Some(found),
            Err(error) if error.kind() == ErrorKind::NotFound && !last => {
                return Some(Refresh::Revoked(file.clone()));
            }
            Err(_) => None,
        };
        match checked(file, self.check) {
            Ok(secret) => {
                // Without a stamp (it came back just now) the next look reads it once more.
                *stamp = found.unwrap_or_else(|| stamp.clone());
                self.failing = false;
                self.secret = secret;
                Some(Refresh::Replaced(file.clone()))
            }
            Err(error) if !self.failing => {
                self.failing = true;
                Some(Refresh::Kept(file.clone(), error))
            }
            Err(_) => None,
        }
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
        credentials.any(|live| live == secret)
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
