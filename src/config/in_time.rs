//! Reading the files that a configuration names, without waiting for ever.

use std::{thread, time::Duration};

use anyhow::Context as _;
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

/// A file system that has not answered for so long hangs.
const LONGEST: Duration = Duration::from_secs(10);

/// Runs `read`, which blocks on the files of `what`, in a thread of its own: the start of a process fails with a
/// reason where a mount hangs, or where a pipe stands in place of a file. The thread ends with the process.
pub async fn in_time<T: Send + 'static>(
    what: &str,
    read: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    within(LONGEST, what, read).await
}

/// As [`in_time`], for no longer than this.
pub async fn within<T: Send + 'static>(
    longest: Duration,
    what: &str,
    read: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let runtime = Handle::current();
    let (done, read_all) = oneshot::channel();
    let reading = move || {
        let _entered = runtime.enter();
        // An error means that it was not waited for any longer.
        done.send(read()).ok();
    };
    thread::Builder::new()
        .name("configuration".to_owned())
        .spawn(reading)?;
    timeout(longest, read_all)
        .await
        .with_context(|| {
            format!("a file of {what} has not answered for {longest:?}: does its mount hang, or is it a pipe?")
        })?
        .with_context(|| format!("cannot read the files of {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_hangs_is_an_error_that_says_where() {
        let error = in_time("`tls`", thread::park).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a file of `tls` has not answered"),
            "{error:#}"
        );
    }

    #[tokio::test]
    async fn what_was_read_comes_back() {
        assert_eq!(in_time("`tls`", || 1).await.unwrap(), 1);
    }
}
