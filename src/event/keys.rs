//! The names of one secret.

/// The most aliases that one secret may have in an event.
pub const MAX_KEYS: usize = 16;
/// The longest key, in bytes. AWS ARNs, the longest known, stay below.
pub const MAX_KEY_BYTES: usize = 2048;

/// Aliases of **one** secret: at least one, at most [`MAX_KEYS`], none empty or longer than
/// [`MAX_KEY_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys(Vec<String>);

/// Why a list of keys is not [`Keys`]. Says where, never the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    #[error("no key")]
    None,
    #[error("{0} keys, the most is {MAX_KEYS}")]
    TooMany(usize),
    #[error("key {0} is empty")]
    Empty(usize),
    #[error("key {0} is longer than {MAX_KEY_BYTES} bytes")]
    TooLong(usize),
}

impl Keys {
    pub fn new(keys: Vec<String>) -> Result<Self, InvalidKeys> {
        match keys.len() {
            0 => return Err(InvalidKeys::None),
            1..=MAX_KEYS => {}
            many => return Err(InvalidKeys::TooMany(many)),
        }
        for (at, key) in keys.iter().enumerate() {
            check(key).map_err(|problem| problem(at))?;
        }
        Ok(Self(keys))
    }

    /// The keys of a secret that has one name.
    pub fn one(key: impl Into<String>) -> Result<Self, InvalidKeys> {
        Self::new(vec![key.into()])
    }

    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Also holds for a prefix, which is a single key.
pub(super) fn check(key: &str) -> Result<(), fn(usize) -> InvalidKeys> {
    if key.is_empty() {
        Err(InvalidKeys::Empty)
    } else if key.len() > MAX_KEY_BYTES {
        Err(InvalidKeys::TooLong)
    } else {
        Ok(())
    }
}
