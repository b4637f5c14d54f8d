//! The credentials for NATS, read again at each connection.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use async_nats::{Auth, AuthError};
use tracing::warn;

use super::{Metrics, NatsConfig, expiry, login::Login, reminder::Reminder};
use crate::config::{in_time, within};

/// How long a connection waits for the files: less than the client gives the whole of an attempt.
const LONGEST: Duration = Duration::from_secs(2);

/// What logs in at each connection: what the files say then, or said last where they cannot be read.
#[derive(Clone)]
pub(super) struct Credentials(Arc<State>);

struct State {
    config: NatsConfig,
    metrics: Metrics,
    last: Mutex<Arc<Login>>,
    /// One read at a time: a mount that hangs holds one thread, however often the connection is tried.
    reading: Arc<tokio::sync::Mutex<()>>,
    reminder: Mutex<Reminder>,
}

impl Credentials {
    /// Reads them for the first time. `None`: the configuration has none.
    ///
    /// # Errors
    /// As [`read_once`].
    pub(super) async fn read(
        config: &NatsConfig,
        metrics: Metrics,
    ) -> anyhow::Result<Option<Self>> {
        let login = read_once(config).await?;
        Ok(login.map(|login| {
            metrics.credentials.set(expiry::of_login(&login));
            Self(Arc::new(State {
                config: config.clone(),
                metrics,
                last: Mutex::new(Arc::new(login)),
                reading: Arc::default(),
                reminder: Mutex::default(),
            }))
        }))
    }

    /// For a new connection, whose server has sent this nonce.
    pub(super) async fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let state = &self.0;
        match self.read_again().await {
            Ok(login) => {
                state.metrics.credentials.set(expiry::of_login(&login));
                *locked(&state.last) = Arc::new(login);
                *locked(&state.reminder) = Reminder::default();
            }
            Err(error) => {
                let reason = format!("{error:#}");
                if locked(&state.reminder).is_due(&reason) {
                    warn!(
                        reason,
                        "cannot read the credentials for NATS again; connecting with the previous ones"
                    );
                }
            }
        }
        let login = Arc::clone(&locked(&state.last));
        login.answer(nonce)
    }

    async fn read_again(&self) -> anyhow::Result<Login> {
        let reading = Arc::clone(&self.0.reading).try_lock_owned();
        let reading = reading.context("a file of `nats` still does not answer")?;
        let state = Arc::clone(&self.0);
        let login = within(LONGEST, "`nats`", move || {
            let login = state.config.login();
            drop(reading);
            login
        });
        login.await??.context("there are none any longer")
    }
}

/// What the files say now.
///
/// # Errors
/// They cannot be read, or the settings contradict each other.
pub(super) async fn read_once(config: &NatsConfig) -> anyhow::Result<Option<Login>> {
    let config = config.clone();
    in_time("`nats`", move || config.login()).await?
}

/// OK to go on after a panic elsewhere: each is whole after each statement.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use tempfile::{NamedTempFile, TempDir};

    use super::*;
    use crate::config::SecretFile;

    /// A file with the password `one`.
    fn first() -> NamedTempFile {
        let file = NamedTempFile::new().unwrap();
        fs::write(&file, "one\n").unwrap();
        file
    }

    async fn of(config: NatsConfig) -> Credentials {
        let read = Credentials::read(&config, Metrics::default()).await;
        read.unwrap().unwrap()
    }

    fn user(password: &Path) -> NatsConfig {
        NatsConfig {
            user: Some("east".to_owned()),
            password_file: Some(SecretFile::new(password)),
            ..NatsConfig::default()
        }
    }

    async fn password(credentials: &Credentials) -> String {
        let auth = credentials.answer(b"").await.unwrap();
        assert_eq!(auth.username.as_deref(), Some("east"));
        auth.password.unwrap()
    }

    #[tokio::test]
    async fn each_connection_takes_what_the_file_says_then() {
        let file = first();
        let credentials = of(user(file.path())).await;
        for text in ["one", "two", "three"] {
            fs::write(&file, text).unwrap();
            assert_eq!(password(&credentials).await, text);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_again_leaves_the_last_ones_in_use() {
        let file = first();
        let credentials = of(user(file.path())).await;
        fs::write(&file, "two").unwrap();
        assert_eq!(password(&credentials).await, "two");
        fs::write(&file, "").unwrap();
        assert_eq!(password(&credentials).await, "two");
        fs::remove_file(&file).unwrap();
        assert_eq!(password(&credentials).await, "two");
        fs::write(&file, "three").unwrap();
        assert_eq!(password(&credentials).await, "three");
    }

    #[tokio::test]
    async fn a_file_that_still_hangs_is_not_read_once_more() {
        let file = first();
        let credentials = of(user(file.path())).await;
        let hanging = Arc::clone(&credentials.0.reading).try_lock_owned().unwrap();
        fs::write(&file, "two").unwrap();
        assert_eq!(password(&credentials).await, "one");
        drop(hanging);
        assert_eq!(password(&credentials).await, "two");
    }

    #[tokio::test]
    async fn at_the_start_the_error_names_the_setting_and_the_file() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("credentials");
        for text in [None, Some(""), Some("hunter2")] {
            if let Some(text) = text {
                fs::write(&file, text).unwrap();
            }
            for (setting, config) in [
                (
                    "nats.credentials_file",
                    NatsConfig {
                        credentials_file: Some(file.clone()),
                        ..NatsConfig::default()
                    },
                ),
                (
                    "nats.nkey_seed_file",
                    NatsConfig {
                        nkey_seed_file: Some(SecretFile::new(&file)),
                        ..NatsConfig::default()
                    },
                ),
            ] {
                let read = Credentials::read(&config, Metrics::default()).await;
                let error = format!("{:#}", read.err().unwrap());
                assert!(error.contains(setting), "{error}");
                assert!(error.contains(&file.display().to_string()), "{error}");
                assert!(!error.contains("hunter2"), "{error}");
            }
        }
    }
}
