//! Waiting for a condition, with a deadline: instead of sleeping and hoping.

use std::{
    fmt::{Debug, Display},
    time::Duration,
};

use anyhow::anyhow;
use tokio::time::{Instant, sleep, timeout_at};

const STEP: Duration = Duration::from_millis(20);

/// Asks `probe` again and again until it gives a value.
///
/// # Errors
/// No value within `deadline`; the error names `what`.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: impl Display,
    deadline: Duration,
    mut probe: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let attempt = || {
        let answer = probe();
        async { answer.await.ok_or("not met") }
    };
    until_ok(what, deadline, attempt).await
}

/// As [`until`], for a probe that says why not yet: the last reason becomes part of the error.
// Not `AsyncFnMut`: its future cannot be known to be `Send`, and tests spawn what waits.
pub async fn until_ok<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: impl Display,
    deadline: Duration,
    mut probe: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    let mut last = "not asked in time".to_owned();
    loop {
        // A probe that hangs must not outlive the deadline.
        match timeout_at(end, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(reason)) => last = format!("{reason:?}"),
            Err(_) => last = format!("the last attempt hung; before it: {last}"),
        }
        if Instant::now() + STEP > end {
            return Err(anyhow!(
                "waited {deadline:?} for {what}; last state: {last}"
            ));
        }
        sleep(STEP).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(60);

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait_with_its_value() {
        let mut asked = 0;
        let value = until("a third question", Duration::from_secs(10), || {
            asked += 1;
            std::future::ready((asked == 3).then_some("answer"))
        });
        assert_eq!(value.await.unwrap(), "answer");
    }

    #[tokio::test]
    async fn a_deadline_names_what_was_waited_for_and_the_last_state() {
        let error = until_ok("the tide", SHORT, async || Err::<(), _>("still low"))
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            r#"waited 60ms for the tide; last state: "still low""#
        );
        let error = until("the tide", SHORT, async || None::<()>).await;
        assert!(error.unwrap_err().to_string().contains("for the tide"));
    }

    #[tokio::test]
    async fn a_probe_that_hangs_does_not_outlive_the_deadline() {
        let hung = until("an answer", SHORT, async || {
            std::future::pending::<Option<()>>().await
        });
        let error = hung.await.unwrap_err().to_string();
        assert!(error.contains("the last attempt hung"), "{error}");
    }
}
