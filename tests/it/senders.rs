//! Senders of webhooks that keep at it, whatever happens to the other side.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use eso_relay_lab::{
    installation::{Answer, READY, Webhooks, akeyless},
    wait,
};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;

/// A sender that was refused comes again after this: it must not be the whole load of the machine.
const PAUSE: Duration = Duration::from_millis(10);

/// Senders at work.
pub(crate) struct Senders {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    tasks: JoinSet<Vec<Answer>>,
}

/// All that the senders were answered.
pub(crate) struct Answers(Vec<Answer>);

impl Senders {
    /// Each sends one webhook after the other, of one to three events.
    pub(crate) fn start(webhooks: &Webhooks, senders: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for sender in 0..senders {
            let (webhooks, stop) = (webhooks.clone(), Arc::clone(&stop));
            let accepted = Arc::clone(&accepted);
            tasks.spawn(async move {
                let mut answers = Vec::new();
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let body: Value = (0..=turn % 3)
                        .map(|at| akeyless(at, &format!("load/{sender}/{turn}")))
                        .collect();
                    // No answer at all is what a process that dies leaves behind.
                    if let Ok(answer) = webhooks.akeyless(&body).await {
                        let yes = answer.status == StatusCode::ACCEPTED;
                        answers.push(answer);
                        if yes {
                            accepted.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                answers
            });
        }
        Self {
            stop,
            accepted,
            tasks,
        }
    }

    /// Waits until `more` further webhooks have been accepted, from now on.
    pub(crate) async fn wait_accepted(&self, more: usize) {
        let goal = self.accepted.load(Ordering::Relaxed) + more;
        let reached = || {
            let reached = self.accepted.load(Ordering::Relaxed) >= goal;
            std::future::ready(reached.then_some(()))
        };
        wait::until(format!("{more} more accepted webhooks"), READY, reached)
            .await
            .unwrap();
    }

    /// Lets each finish the webhook that it is at.
    pub(crate) async fn stop(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        Answers(self.tasks.join_all().await.into_iter().flatten().collect())
    }
}

impl Answers {
    /// The ids of the events that somebody was told are durable.
    pub(crate) fn accepted(&self) -> Vec<String> {
        self.0.iter().flat_map(Answer::accepted).collect()
    }

    /// An answer is 202, or a 503 that says when to come again: nothing else is true of good
    /// webhooks while a server is away.
    pub(crate) fn are_yes_or_later(&self) {
        for answer in &self.0 {
            if answer.status != StatusCode::ACCEPTED {
                says_come_again(answer);
            }
        }
    }
}

/// 503, `Retry-After` in seconds, and an error body.
pub(crate) fn says_come_again(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    let seconds = answer.headers["retry-after"].to_str().unwrap();
    assert!(seconds.parse::<u64>().unwrap() > 0, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert!(body["code"].is_string(), "{answer:?}");
    assert!(body["message"].is_string(), "{answer:?}");
}
