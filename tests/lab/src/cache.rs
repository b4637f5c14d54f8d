//! What is fetched or built once for each user and then kept: servers for tests.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// The directory in which to keep things: `ESO_RELAY_CACHE`, else `eso-relay` in
/// `XDG_CACHE_HOME`, else in `~/.cache`.
///
/// # Errors
/// None of the variables is set, `HOME` neither.
pub fn directory() -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    directory_from(variable)
}

fn directory_from<S: Into<PathBuf>>(
    variable: impl Fn(&'static str) -> Option<S>,
) -> anyhow::Result<PathBuf> {
    let own = variable("ESO_RELAY_CACHE").map(Into::into);
    let shared = || variable("XDG_CACHE_HOME").map(|dir| dir.into().join("eso-relay"));
    let home = || variable("HOME").map(|dir| dir.into().join(".cache/eso-relay"));
    own.or_else(shared)
        .or_else(home)
        .context("no place to keep the servers for tests: set ESO_RELAY_CACHE to a directory")
}

/// The file `name` of the cache. When it is not there, `make` is called once, by one process of
/// many, with an empty directory; the file that it answers becomes the entry, whole or not at all.
pub async fn entry<F: Future<Output = anyhow::Result<PathBuf>>>(
    name: &str,
    make: impl FnOnce(PathBuf) -> F,
) -> anyhow::Result<PathBuf> {
    entry_in(&directory()?, name, make).await
}

async fn entry_in<F: Future<Output = anyhow::Result<PathBuf>>>(
    cache: &Path,
    name: &str,
    make: impl FnOnce(PathBuf) -> F,
) -> anyhow::Result<PathBuf> {
    let path = cache.join(name);
    if path.exists() {
        return Ok(path);
    }
    let _lock = lock(cache.to_owned(), cache.join(format!("{name}.lock")))
        .await
        .with_context(|| {
            format!(
                "cannot write to the cache {} (set ESO_RELAY_CACHE)",
                cache.display()
            )
        })?;
    // Another process may have made it while this one waited.
    if path.exists() {
        return Ok(path);
    }
    let workshop = tempfile::Builder::new().prefix(".new-").tempdir_in(cache)?;
    let fresh = make(workshop.path().to_owned()).await?;
    // Same file system, so it appears at once and whole.
    std::fs::rename(&fresh, &path)
        .with_context(|| format!("cannot keep {} as {}", fresh.display(), path.display()))?;
    Ok(path)
}

/// Held until the file is closed, also by a crash.
async fn lock(cache: PathBuf, path: PathBuf) -> anyhow::Result<File> {
    tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(cache)?;
        let file = File::create(path)?;
        file.lock()?;
        Ok(file)
    })
    .await?
}

/// Says on stderr what takes long, the first time.
pub(crate) fn announce(what: &str) {
    // Not `eprintln`: the test harness would keep that to itself, and minutes would pass in silence.
    writeln!(std::io::stderr(), "eso-relay lab: {what}").ok();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn an_entry_is_made_once_however_many_ask_for_it() {
        let cache = tempfile::tempdir().unwrap();
        let made = AtomicUsize::new(0);
        let ask = || {
            entry_in(cache.path(), "thing", async |dir: PathBuf| {
                made.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                std::fs::write(dir.join("half"), "whole")?;
                Ok(dir.join("half"))
            })
        };
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        assert_eq!(std::fs::read_to_string(a.unwrap()).unwrap(), "whole");
        assert!(b.is_ok() && c.is_ok());
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_could_not_be_made_leaves_nothing_and_is_tried_again() {
        let cache = tempfile::tempdir().unwrap();
        let failed = entry_in(cache.path(), "thing", async |dir: PathBuf| {
            std::fs::write(dir.join("half"), "ha")?;
            anyhow::bail!("no network")
        });
        assert_eq!(failed.await.unwrap_err().to_string(), "no network");
        assert!(!cache.path().join("thing").exists());
        let again = entry_in(cache.path(), "thing", async |dir: PathBuf| {
            std::fs::write(dir.join("it"), "whole")?;
            Ok(dir.join("it"))
        });
        assert_eq!(again.await.unwrap(), cache.path().join("thing"));
    }

    #[test]
    fn the_cache_is_where_the_user_wants_it() {
        let given = |set: &'static [(&str, &'static str)]| {
            directory_from(move |name| set.iter().find(|(key, _)| *key == name).map(|(_, at)| *at))
        };
        let all = &[("ESO_RELAY_CACHE", "/a"), ("XDG_CACHE_HOME", "/b")];
        assert_eq!(given(all).unwrap(), Path::new("/a"));
        assert_eq!(
            given(&[("XDG_CACHE_HOME", "/b"), ("HOME", "/c")]).unwrap(),
            Path::new("/b/eso-relay")
        );
        assert_eq!(
            given(&[("HOME", "/c")]).unwrap(),
            Path::new("/c/.cache/eso-relay")
        );
        assert!(
            given(&[])
                .unwrap_err()
                .to_string()
                .contains("ESO_RELAY_CACHE")
        );
    }
}
