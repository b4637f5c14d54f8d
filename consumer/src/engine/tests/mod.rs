use std::time::Duration;

use eso_relay::{event::Fingerprint, stream::Reason};

use super::{settings::MAX_EVENTS, *};
use crate::object::{Fault, Kept, Outcome, RefreshMark, Rejection, Stage, SyncState};

const START: Duration = Duration::from_secs(1000);
const SECOND: Duration = Duration::from_secs(1);

fn engine() -> Engine {
    Engine::new(Settings::default(), 7)
}

fn target(name: &str) -> ObjectRef {
    ObjectRef::new("apps", name)
}

fn event(sequence: u64, index: usize) -> Fingerprint {
    format!("{sequence:018}{index:02}").parse().unwrap()
}

fn value(sequence: u64, index: usize) -> RefreshMark {
    RefreshMark {
        event: event(sequence, index),
        stage: Stage::First,
    }
}

/// A first delivery whose events mean these targets.
fn delivery(sequence: u64, refreshes: &[(&str, usize)]) -> Delivery {
    Delivery {
        sequence,
        attempt: 1,
        pending: 0,
        age: Duration::ZERO,
        kept: Kept::Stream,
        refreshes: refreshes
            .iter()
            .map(|&(name, index)| Refresh {
                target: target(name),
                event: event(sequence, index),
                index,
                settle: None,
                carries: None,
                sync: SyncState::Waiting,
                urgency: Urgency::Exact,
                stores: [].into(),
                weight: 1,
            })
            .collect(),
        restarts: Vec::new(),
        rejected: Vec::new(),
    }
}

fn rejection(index: usize) -> Rejection {
    Rejection {
        index: Some(index),
        reason: Reason::Undecodable,
        error: "unknown version".to_owned(),
    }
}

fn patch(name: &str, sequence: u64, index: usize) -> Output {
    Output::Patch {
        target: target(name),
        value: value(sequence, index),
    }
}

fn patched(name: &str, sequence: u64, index: usize, outcome: Outcome) -> Input {
    Input::Patched {
        target: target(name),
        value: value(sequence, index),
        outcome,
    }
}

fn retry(fault: Fault, after: Option<Duration>) -> Outcome {
    Outcome::Retry {
        fault,
        after,
        error: "503".to_owned(),
    }
}

fn refused() -> Outcome {
    Outcome::Refused {
        error: "422".to_owned(),
    }
}

/// The outputs, without the reported steps.
fn tell(engine: &mut Engine, now: Duration, input: Input) -> Vec<Output> {
    let mut outputs = tell_all(engine, now, input);
    outputs.retain(|output| !matches!(output, Output::Step { .. }));
    outputs
}

fn tell_all(engine: &mut Engine, now: Duration, input: Input) -> Vec<Output> {
    engine.handle(now, input);
    std::iter::from_fn(|| engine.next_output()).collect()
}

fn take(engine: &mut Engine, delivery: Delivery) -> Vec<Output> {
    tell(engine, START, Input::Delivery(delivery))
}

/// Ticks when a timer is due, until there is an output other than progress.
fn next(engine: &mut Engine) -> (Duration, Vec<Output>) {
    loop {
        let now = engine.wake_at().unwrap();
        let mut outputs = tell(engine, now, Input::Tick);
        outputs.retain(|output| !matches!(output, Output::Progress(_)));
        if !outputs.is_empty() {
            return (now, outputs);
        }
    }
}

/// The reason of each dead letter, by the event's index.
fn letters(outputs: &[Output]) -> Vec<(Option<usize>, Reason)> {
    let [Output::DeadLetter { rejections, .. }] = outputs else {
        panic!("not one dead letter: {outputs:?}");
    };
    rejections.iter().map(|it| (it.index, it.reason)).collect()
}

mod answering;
mod deliveries;
mod faults;
mod observing;
mod pacing;
mod parking;
mod pending;
mod restarting;
mod settling;
mod stopping;
