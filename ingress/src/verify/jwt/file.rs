//! Keys in a file, read again when it changes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use eso_relay::config::ConfigError;

use super::{Keys, News};
use crate::stamp::Stamp;

pub(super) struct File {
    path: PathBuf,
    state: RwLock<State>,
}

struct State {
    keys: Arc<Keys>,
    stamp: Stamp,
    /// Said once, not at every look.
    failing: bool,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self, ConfigError> {
        let (stamp, keys) = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            state: RwLock::new(State {
                keys,
                stamp,
                failing: false,
            }),
        })
    }

    pub(super) fn keys(&self) -> Arc<Keys> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.keys)
    }

    pub(super) fn refresh(&self) -> Option<News> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if Stamp::of(&self.path).is_ok_and(|found| found == state.stamp) {
            return None;
        }
        let origin = self.path.display().to_string();
        match read(&self.path) {
            Ok((stamp, keys)) => {
                let count = keys.count();
                *state = State {
                    keys,
                    stamp,
                    failing: false,
                };
                Some(News::Keys { origin, count })
            }
            Err(_) if state.failing => None,
            Err(error) => {
                state.failing = true;
                Some(News::Failure {
                    origin,
                    reason: error.to_string(),
                })
            }
        }
    }
}

/// The stamp is from before: a change in between is then seen at the next look.
fn read(path: &Path) -> Result<(Stamp, Arc<Keys>), ConfigError> {
    let unreadable = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let stamp = Stamp::of(path).map_err(unreadable)?;
    let jwks = fs::read(path).map_err(unreadable)?;
    let keys = Keys::parse(&jwks).map_err(|error| {
        ConfigError::Invalid(format!("{}: {error} (auth.jwt.jwks_file)", path.display()))
    })?;
    Ok((stamp, Arc::new(keys)))
}
