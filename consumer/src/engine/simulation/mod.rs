//! Simulates the engine with a stream, a Kubernetes API, several replicas, and random faults.
//!
//! `ESO_RELAY_SCHEDULES=1000000` runs more schedules, `ESO_RELAY_SEED=7` runs one and prints its steps.

mod answers;
mod cluster;
mod finale;
mod health;
mod plan;
mod promises;
mod replica;
mod restarts;
mod server;
mod settles;
mod workload;
mod world;

use std::{env, thread};

use self::world::World;

/// The order of an event in the stream: sequence, then index in the message.
type Order = (u64, usize);

#[test]
fn every_promise_holds() {
    if let Some(seed) = setting("ESO_RELAY_SEED") {
        return run(seed, true);
    }
    let schedules = setting("ESO_RELAY_SCHEDULES").unwrap_or(10_000);
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for seed in (first..schedules).step_by(usize::try_from(threads).unwrap()) {
                    run(seed, false);
                }
            });
        }
    });
}

fn setting(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a whole number")),
    )
}

fn run(seed: u64, verbose: bool) {
    let _replay = Replay(seed);
    let mut world = World::new(seed, verbose);
    world.run();
    world.finish();
}

/// Prints how to replay a failure.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "schedule {seed} failed; to replay it: ESO_RELAY_SEED={seed} cargo test -p eso-relay-consumer every_promise -- --nocapture",
                seed = self.0
            );
        }
    }
}
