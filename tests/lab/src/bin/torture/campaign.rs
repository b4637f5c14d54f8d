//! Rounds of faults on one stage, and what must hold after each.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream;
use eso_relay_lab::wait;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    ledger::Ledger,
    load::{Load, PROMISE},
    plan::{Change, Fault, Hit, Plan, Target},
    progress,
    report::Part,
    scan::Log,
    stage::Stage,
    streams,
};

/// Webhooks go on for this long once all is up again.
const AFTER: Duration = Duration::from_secs(1);
/// What is not as it must be after this long will never be. Much longer than [`PROMISE`], so that what
/// is late is told from what is lost.
const SETTLE: Duration = Duration::from_secs(120);

/// What a campaign is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orders {
    /// nats-servers, and so the replicas of each stream: 1 or 3.
    pub(crate) servers: usize,
    pub(crate) rounds: u64,
    pub(crate) seed: u64,
    pub(crate) small_disks: bool,
}

struct Campaign {
    stage: Stage,
    jetstream: jetstream::Context,
    logs: Vec<Log>,
    /// Of the next webhook.
    number: usize,
    /// The last sequence that was checked.
    checked: u64,
    part: Part,
}

/// Plays all rounds, or ends at the first that something does not recover from. Where a promise is
/// broken, the logs are kept in `logs`.
pub(crate) async fn run(orders: Orders, logs: &Path) -> anyhow::Result<Part> {
    let stage = Stage::set(orders).await?;
    let servers = stage.hub.servers();
    let mut campaign = Campaign {
        jetstream: stage.hub.jetstream().await?,
        logs: servers
            .map(|server| Log::at(server.log_path().to_owned()))
            .collect(),
        stage,
        number: 0,
        checked: 0,
        part: Part::new(orders.servers),
    };
    for round in 1..=orders.rounds {
        let plan = Plan::of(orders, round);
        let name = format!("R{} round {round} of {}", orders.servers, orders.rounds);
        progress(&format!("{name}: {plan}"));
        let recovered = campaign.play(&plan, &name).await;
        if let Err(error) = recovered {
            campaign.part.breaks(format!("{name}: {error:#}"));
            break;
        }
    }
    if campaign.part.broken.is_empty()
        && let Err(error) = campaign.read_all().await
    {
        campaign.part.breaks(format!("at the end: {error:#}"));
    }
    if !campaign.part.broken.is_empty() {
        campaign.stage.keep_logs(logs)?;
    }
    Ok(campaign.part)
}

impl Campaign {
    /// # Errors
    /// Something does not recover; all else that is wrong is in the report.
    async fn play(&mut self, plan: &Plan, name: &str) -> anyhow::Result<()> {
        self.part.begins(plan);
        let webhooks = self.stage.webhooks.clone();
        let mut load = Load::start(webhooks, &self.stage.clusters, self.number);
        self.hit(plan, &load).await?;
        let up = Instant::now();
        sleep(AFTER).await;
        self.number = load.stop_sending().await?;

        let settled = self.settle(&load).await;
        self.part.takes(&load.lock());
        self.scan_logs(plan, name)?;
        let extent = settled?;
        let dead = streams::dead_letters(&self.jetstream).await?;
        if dead > 0 {
            self.part.breaks(format!("{name}: {dead} dead letters"));
        }
        self.find_accepted(&load, extent, name).await?;
        let mut ledger = load.lock();
        for answer in ledger.strange.drain(..) {
            self.part
                .breaks(format!("{name}: a webhook was answered {answer}"));
        }
        if ledger.late > 0 {
            self.part.breaks(format!(
                "{name}: {} effects took longer than {PROMISE:?}, one of them {:.1?}",
                ledger.late, ledger.longest_wait
            ));
        }
        progress(&format!(
            "{name}: {}, longest wait {:.1?}, settled after {:.1?}",
            told(&ledger),
            ledger.longest_wait,
            up.elapsed()
        ));
        Ok(())
    }

    /// Begins and ends each fault of the plan.
    async fn hit(&mut self, plan: &Plan, load: &Load) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut on = 0;
        for (at, hit, change) in plan.steps() {
            sleep_until(start + at).await;
            if change == Change::Begins {
                on += 1;
                load.lock().fault_begins();
            }
            let what = || format!("{} of {} {change:?}", hit.fault, hit.target);
            self.stage.apply(hit, change).await.with_context(what)?;
            if change == Change::Ends {
                on -= 1;
                if on == 0 {
                    load.lock().all_up(std::time::Instant::now());
                }
            }
        }
        Ok(())
    }

    /// Waits until each effect was seen, all are ready, and each durable is at the end of its stream.
    async fn settle(&self, load: &Load) -> anyhow::Result<streams::Extent> {
        let settled = || async {
            // Not at every moment: these questions are work for the servers.
            sleep(Duration::from_millis(200)).await;
            let missing = load.lock().waiting.len();
            anyhow::ensure!(missing == 0, "{missing} webhooks without their effect");
            self.stage.ready().await?;
            streams::settled(&self.jetstream).await
        };
        wait::until_ok("the round to settle", SETTLE, settled).await
    }

    /// What was accepted can be read in the stream.
    async fn find_accepted(
        &mut self,
        load: &Load,
        extent: streams::Extent,
        name: &str,
    ) -> anyhow::Result<()> {
        let from = (self.checked + 1).max(extent.first);
        let stored = streams::ids(&self.jetstream, from, extent.last).await?;
        self.checked = extent.last;
        let ids = load.lock().ids.clone();
        for id in ids.iter().filter(|id| !stored.contains(*id)) {
            self.part
                .loses(format!("{name}: event {id} is not in the stream"));
        }
        Ok(())
    }

    /// Each message can still be read.
    async fn read_all(&self) -> anyhow::Result<()> {
        let extent = streams::settled(&self.jetstream).await?;
        streams::ids(&self.jetstream, extent.first, extent.last).await?;
        Ok(())
    }

    fn scan_logs(&mut self, plan: &Plan, name: &str) -> anyhow::Result<()> {
        for (at, log) in self.logs.iter_mut().enumerate() {
            let target = Target::Nats(at);
            let full = |hit: &Hit| hit.target == target && hit.fault == Fault::DiskFull;
            for line in log.damage(plan.hits.iter().any(full))? {
                self.part.damage(format!("{name}: {target}: {line}"));
            }
        }
        Ok(())
    }
}

fn told(ledger: &Ledger) -> String {
    let answers = ledger.answers;
    format!(
        "{} accepted, {} refused, {} unanswered",
        answers.accepted, answers.refused, answers.unanswered
    )
}
