//! What happens to which process and when, in one round: the seed decides, so that a run repeats.

use std::{fmt, time::Duration};

use fastrand::Rng;
use serde::Serialize;

use super::{
    campaign::Orders,
    stage::{CLUSTERS, REPLICAS},
};

/// Faults begin within this time.
const WINDOW: Duration = Duration::from_secs(8);
/// Between two faults of one process.
const REST: Duration = Duration::from_millis(500);

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Ingress,
    Consumer { cluster: usize, replica: usize },
    Nats(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// SIGKILL; it is started again.
    Kill,
    /// SIGSTOP, then SIGCONT.
    Hang,
    /// Its disk has no space left; then the space is freed and it is started again. The daemons
    /// write no files, so this is for nats-server.
    DiskFull,
}

/// One fault of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) target: Target,
    pub(crate) fault: Fault,
    from: Duration,
    lasts: Duration,
}

/// The faults of a round; they overlap, but those of one process do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) hits: Vec<Hit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Begins,
    Ends,
}

impl Plan {
    pub(crate) fn of(orders: Orders, round: u64) -> Self {
        // Other servers, another campaign.
        let other =
            orders.seed ^ (round << 8 | orders.servers as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut rng = Rng::with_seed(other);
        let mut hits: Vec<Hit> = Vec::new();
        for _ in 0..rng.usize(3..=7) {
            let hit = Hit::random(&mut rng, orders);
            if hits.iter().all(|other| !hit.meets(other)) {
                hits.push(hit);
            }
        }
        Self { hits }
    }

    /// What begins and ends, in the order of time.
    pub(crate) fn steps(&self) -> Vec<(Duration, Hit, Change)> {
        let steps = self.hits.iter().flat_map(|hit| {
            let end = hit.from + hit.lasts;
            [(hit.from, *hit, Change::Begins), (end, *hit, Change::Ends)]
        });
        let mut steps: Vec<_> = steps.collect();
        steps.sort_by_key(|(at, ..)| *at);
        steps
    }
}

impl Hit {
    fn random(rng: &mut Rng, orders: Orders) -> Self {
        let target = match rng.u8(..20) {
            0..10 => Target::Nats(rng.usize(..orders.servers)),
            10..17 => Target::Consumer {
                cluster: rng.usize(..CLUSTERS.len()),
                replica: rng.usize(..REPLICAS),
            },
            _ => Target::Ingress,
        };
        let fault = match (target, rng.u8(..10)) {
            (_, 0..6) => Fault::Kill,
            (Target::Nats(_), 8..) if orders.small_disks => Fault::DiskFull,
            _ => Fault::Hang,
        };
        // Mostly short; one in ten outlasts what waits for an answer: the client's pings, ack_wait.
        let lasts = match rng.u8(..10) {
            0 => rng.u64(5_000..18_000),
            _ => rng.u64(100..3_000),
        };
        Self {
            target,
            fault,
            from: WINDOW.mul_f64(rng.f64()),
            lasts: Duration::from_millis(lasts),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.target == other.target
            && self.from < other.from + other.lasts + REST
            && other.from < self.from + self.lasts + REST
    }
}

impl Target {
    /// What kind of process it is, in the report.
    pub(crate) fn process(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Consumer { .. } => "consumer",
            Self::Nats(_) => "nats_server",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingress => f.write_str("ingress"),
            Self::Consumer { cluster, replica } => {
                write!(f, "{}-{}", CLUSTERS[*cluster], replica + 1)
            }
            Self::Nats(at) => write!(f, "nats-{}", at + 1),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill -9",
            Self::Hang => "hang",
            Self::DiskFull => "full disk",
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hits = self.hits.iter().map(|hit| {
            let (fault, target, from, lasts) = (hit.fault, hit.target, hit.from, hit.lasts);
            format!("{fault} of {target} at {from:.1?} for {lasts:.1?}")
        });
        f.write_str(&hits.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R3: Orders = Orders {
        servers: 3,
        rounds: 1,
        seed: 7,
        small_disks: true,
    };

    fn many(orders: Orders) -> impl Iterator<Item = Plan> {
        (0..2_000).map(move |round| Plan::of(orders, round))
    }

    #[test]
    fn a_seed_repeats_its_plan() {
        let of = |seed, round| Plan::of(Orders { seed, ..R3 }, round);
        for round in 0..50 {
            assert_eq!(of(42, round), of(42, round));
        }
        assert_ne!(of(42, 1), of(42, 2));
        assert_ne!(of(42, 1), of(43, 1));
    }

    #[test]
    fn every_process_gets_every_fault() {
        let hits: Vec<Hit> = many(R3).flat_map(|plan| plan.hits).collect();
        let consumers = (0..CLUSTERS.len()).flat_map(|cluster| {
            (0..REPLICAS).map(move |replica| Target::Consumer { cluster, replica })
        });
        let targets: Vec<Target> = [Target::Ingress]
            .into_iter()
            .chain(consumers)
            .chain((0..3).map(Target::Nats))
            .collect();
        for target in targets {
            for fault in [Fault::Kill, Fault::Hang, Fault::DiskFull] {
                let applies = fault != Fault::DiskFull || matches!(target, Target::Nats(_));
                let found = hits
                    .iter()
                    .any(|hit| hit.target == target && hit.fault == fault);
                assert_eq!(found, applies, "{fault} of {target}");
            }
        }
    }

    #[test]
    fn faults_of_one_process_do_not_overlap() {
        for plan in many(R3) {
            for (at, hit) in plan.hits.iter().enumerate() {
                assert!(
                    !plan.hits[..at].iter().any(|other| hit.meets(other)),
                    "{plan}"
                );
            }
        }
    }

    #[test]
    fn no_disk_is_filled_where_there_is_no_small_one() {
        let no_disks = Orders {
            servers: 1,
            small_disks: false,
            ..R3
        };
        let mut hits = many(no_disks).flat_map(|plan| plan.hits);
        assert!(hits.all(|hit| hit.fault != Fault::DiskFull));
    }

    #[test]
    fn what_begins_ends() {
        for plan in many(R3) {
            let steps = plan.steps();
            assert_eq!(steps.len(), 2 * plan.hits.len());
            assert!(steps.is_sorted_by_key(|(at, ..)| *at));
            for (at, (_, hit, change)) in steps.iter().enumerate() {
                let mut later = steps[at + 1..].iter();
                let next = later.find(|(_, other, _)| other.target == hit.target);
                if *change == Change::Begins {
                    let next = next.map(|(_, hit, change)| (hit.fault, *change));
                    assert_eq!(next, Some((hit.fault, Change::Ends)));
                }
            }
        }
    }
}
