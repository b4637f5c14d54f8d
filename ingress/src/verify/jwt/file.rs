//! Keys in a file, read again when it changes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use eso_relay::config::ConfigError;

use super::{Keys, News};
use crate::file_version::FileVersion;

/// Two locks: a request reads only the keys, and so never waits for a file system.
pub(super) struct File {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
    seen: Mutex<Seen>,
}

/// The result of the last check.
struct Seen {
    version: FileVersion,
    /// The failure is logged already.
    failing: bool,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self, ConfigError> {
        let (version, keys) = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            keys: RwLock::new(keys),
            seen: Mutex::new(Seen {
                version,
                failing: false,
            }),
        })
    }

    pub(super) fn keys(&self) -> Arc<Keys> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }

    /// Blocks on the file system, perhaps for ever.
    pub(super) fn refresh(&self) -> Option<News> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if FileVersion::of(&self.path).is_ok_and(|found| found == seen.version) {
            return None;
        }
        let origin = self.path.display().to_string();
        match read(&self.path) {
            Ok((version, keys)) => {
                let count = keys.count();
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
                *seen = Seen {
                    version,
                    failing: false,
                };
                Some(News::Keys { origin, count })
            }
            Err(_) if seen.failing => None,
            Err(error) => {
                seen.failing = true;
                Some(News::Failure {
                    origin,
                    reason: error.to_string(),
                })
            }
        }
    }
}

/// The version is taken before the file is read, so that the next check sees a change in between.
fn read(path: &Path) -> Result<(FileVersion, Arc<Keys>), ConfigError> {
    let unreadable = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let version = FileVersion::of(path).map_err(unreadable)?;
    let jwks = fs::read(path).map_err(unreadable)?;
    let keys = Keys::parse(&jwks).map_err(|error| {
        ConfigError::Invalid(format!("{}: {error} (auth.jwt.jwks_file)", path.display()))
    })?;
    Ok((version, Arc::new(keys)))
}
