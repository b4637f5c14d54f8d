//! Of several replicas one polls: the one that holds the lease. Two at once, for a moment, are harmless: their events
//! are the same.
//!
//! No clocks are compared: a lease that is not renewed while one of another replica waits for its time is free.

use std::time::Duration;

use eso_relay::{Slug, admin::ProblemLog, stream::Lease};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::memory::Memory;

/// How long a replica that is gone still holds it.
const TIME: Duration = Duration::from_secs(15);
const RENEWED: Duration = Duration::from_secs(5);

pub(super) struct Keeper {
    poll: Slug,
    /// This replica, among all that there ever were.
    me: String,
}

/// The lease of another replica, and since when it is the same.
struct Other {
    sequence: u64,
    since: Instant,
}

impl Keeper {
    pub(super) fn new(poll: Slug) -> Self {
        let me = format!("{:032x}", fastrand::u128(..));
        Self { poll, me }
    }

    /// Takes the lease as soon as it is free and renews it, for ever. `held`: whether this replica has it.
    pub(super) async fn keep(&self, memory: &Memory, held: &watch::Sender<bool>) {
        let mut other: Option<Other> = None;
        let mut renewed = Instant::now();
        let mut logged = ProblemLog::default();
        loop {
            let asked = Instant::now();
            match self.renew(memory, &mut other).await {
                Ok(is_mine) => {
                    logged.clear();
                    if is_mine {
                        renewed = asked;
                    }
                    self.tell(held, is_mine);
                }
                Err(error) => {
                    let problem = format!("{error:#}");
                    if logged.is_new(&problem) {
                        warn!(poll = %self.poll, problem, "cannot renew the lease of the poller; trying again");
                    }
                    // By now another replica may have taken it.
                    if renewed.elapsed() >= TIME {
                        self.tell(held, false);
                    }
                }
            }
            sleep(RENEWED).await;
        }
    }

    /// Whether this replica holds it.
    async fn renew(&self, memory: &Memory, other: &mut Option<Other>) -> anyhow::Result<bool> {
        let (lease, sequence) = memory.lease().await?;
        let holder = lease.and_then(|lease| lease.holder);
        if holder.is_some_and(|holder| holder != self.me) {
            let known = other.take().filter(|known| known.sequence == sequence);
            let since = known.map_or_else(Instant::now, |known| known.since);
            *other = Some(Other { sequence, since });
            if since.elapsed() < TIME {
                return Ok(false);
            }
        }
        let mine = Lease {
            holder: Some(self.me.clone()),
        };
        Ok(memory.lease_after(sequence, &mine).await?.is_some())
    }

    /// Gives it back at the end, so that the next replica need not wait.
    pub(super) async fn release(&self, memory: &Memory) {
        let Ok((Some(lease), sequence)) = memory.lease().await else {
            return;
        };
        if lease.holder.as_ref() == Some(&self.me) {
            // Otherwise its time ends by itself.
            let free = Lease { holder: None };
            memory.lease_after(sequence, &free).await.ok();
        }
    }

    fn tell(&self, held: &watch::Sender<bool>, is_mine: bool) {
        let changed = held.send_if_modified(|held| std::mem::replace(held, is_mine) != is_mine);
        if changed {
            let poll = &self.poll;
            if is_mine {
                info!(%poll, "this replica polls");
            } else {
                info!(%poll, "another replica polls");
            }
        }
    }
}
