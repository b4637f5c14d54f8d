//! The engine before an ESO with few workers, in virtual time: what an urgent refresh waits for
//! amid a mass of others, and what that costs the mass.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::*;

const MANY: usize = 5_000;
/// Of the API for a patch, and of ESO for a sync.
const PATCH: Duration = Duration::from_millis(10);
const SYNC: Duration = Duration::from_millis(100);
/// An urgent event comes so often.
const EVERY: Duration = Duration::from_secs(5);

/// What comes next. Ordered by time, then by turn.
type Next = Reverse<(Duration, u64, What)>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Answer(ObjectRef),
    Synced(ObjectRef),
    Urgent,
}

struct Model {
    engine: Engine,
    now: Duration,
    next: BinaryHeap<Next>,
    turns: u64,
    /// ESO's queue, and its workers that have nothing to do.
    queue: VecDeque<ObjectRef>,
    idle: usize,
    /// Of mass work.
    synced: Vec<ObjectRef>,
    /// How many of the mass ESO skips.
    silent: usize,
    urgent_since: Option<Duration>,
    urgent_took: Vec<Duration>,
    values: HashMap<ObjectRef, RefreshMark>,
    sequence: u64,
}

impl Model {
    fn new(workers: usize, window: WindowBounds) -> Self {
        let settings = Settings {
            window,
            ..Settings::default()
        };
        Self {
            engine: Engine::new(settings, 7),
            now: START,
            next: BinaryHeap::new(),
            turns: 0,
            queue: VecDeque::new(),
            idle: workers,
            synced: Vec::new(),
            silent: 0,
            urgent_since: None,
            urgent_took: Vec::new(),
            values: HashMap::new(),
            sequence: 0,
        }
    }

    fn at(&mut self, after: Duration, what: What) {
        self.turns += 1;
        self.next
            .push(Reverse((self.now + after, self.turns, what)));
    }

    fn mass(&mut self, source: &str, count: usize) {
        let names: Vec<_> = (0..count).map(|at| format!("{source}-{at}")).collect();
        self.deliver(&names, &Urgency::Mass(source.parse().unwrap()));
    }

    fn deliver(&mut self, names: &[String], urgency: &Urgency) {
        self.sequence += 1;
        let refreshes: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
        let mut delivery = delivery(self.sequence, &refreshes);
        for refresh in &mut delivery.refreshes {
            refresh.urgency = urgency.clone();
        }
        self.tell(Input::Delivery(delivery));
    }

    fn tell(&mut self, input: Input) {
        for output in tell_all(&mut self.engine, self.now, input) {
            if let Output::Patch { target, value } = output {
                self.values.insert(target.clone(), value);
                self.at(PATCH, What::Answer(target));
            }
        }
    }

    fn take_up(&mut self) {
        while self.idle > 0 {
            let Some(target) = self.queue.pop_front() else {
                return;
            };
            self.idle -= 1;
            self.at(SYNC, What::Synced(target));
        }
    }

    /// Runs until `mass` objects are synced.
    fn run(&mut self, mass: usize) -> Duration {
        while self.synced.len() < mass {
            self.step();
        }
        self.now.saturating_sub(START)
    }

    fn step(&mut self) {
        let wake = self.engine.wake_at();
        let next = self.next.peek().map(|Reverse((at, ..))| *at);
        if let Some(wake) = wake.filter(|wake| next.is_none_or(|next| *wake < next)) {
            self.now = wake;
            return self.tell(Input::Tick);
        }
        let Reverse((at, _, what)) = self.next.pop().expect("it has come to a stand");
        self.now = at;
        self.happen(what);
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Answer(target) => {
                let value = self.values[&target];
                if self.silent > 0 && target.name() != "urgent" {
                    self.silent -= 1;
                } else {
                    self.queue.push_back(target.clone());
                }
                self.tell(Input::Patched {
                    target,
                    value,
                    outcome: Outcome::Done,
                });
                self.take_up();
            }
            What::Synced(target) => {
                self.idle += 1;
                self.take_up();
                if target.name() == "urgent" {
                    let since = self.urgent_since.take().unwrap();
                    self.urgent_took.push(self.now.saturating_sub(since));
                } else {
                    self.synced.push(target.clone());
                }
                let value = Some(self.values[&target]);
                self.tell(Input::Observed {
                    target,
                    value,
                    sync: SyncState::Synced,
                });
            }
            What::Urgent => {
                self.at(EVERY, What::Urgent);
                if self.urgent_since.is_none() {
                    self.urgent_since = Some(self.now);
                    self.deliver(&["urgent".to_owned()], &Urgency::Exact);
                }
            }
        }
    }
}

fn adaptive() -> WindowBounds {
    Settings::default().window
}

#[test]
fn an_urgent_refresh_overtakes_mass_work() {
    let lone = PATCH + SYNC;
    for workers in [1, 10] {
        let all = WindowBounds {
            min: MANY,
            max: MANY,
        };
        let mut at_once = Model::new(workers, all);
        at_once.mass("a", MANY);
        let floor = at_once.run(MANY);

        let mut paced = Model::new(workers, adaptive());
        paced.mass("a", MANY);
        let alone = paced.run(MANY);
        let tenth_more = floor + floor / 10;
        assert!(alone <= tenth_more, "{workers}: {alone:?}, {floor:?}");

        let mut paced = Model::new(workers, adaptive());
        paced.mass("a", MANY);
        paced.at(EVERY, What::Urgent);
        paced.run(MANY);
        let longest = paced.urgent_took.iter().max().unwrap();
        assert!(*longest <= lone * 10, "{workers} workers: {longest:?}");
        assert!(paced.urgent_took.len() >= 9);

        // What it would be without the window: the assertions above can fail.
        at_once = Model::new(workers, all);
        at_once.mass("a", MANY);
        at_once.at(EVERY, What::Urgent);
        at_once.run(MANY);
        assert!(at_once.urgent_took.iter().all(|took| *took > lone * 10));
    }
}

/// As many as the smallest window, and more.
#[test]
fn silent_objects_keep_the_window_small() {
    for silent in [4, 6] {
        let mut model = Model::new(1, adaptive());
        model.silent = silent;
        model.mass("a", 500);
        let took = model.run(400);
        assert!(took <= SYNC * 400 + SECOND * 10, "{silent}: {took:?}");
        let window = model.engine.window();
        assert!(window <= 16, "{silent}: {window}");
    }
}

#[test]
fn an_eso_that_is_down_gets_mass_work_at_the_slowest_pace() {
    let mut model = Model::new(10, adaptive());
    model.mass("a", 5_000);
    model.run(1_000);
    (model.silent, model.idle) = (usize::MAX, 0);
    let (since, before) = (model.now, model.values.len());
    while model.now < since + SECOND * 60 {
        model.step();
    }
    let patched = model.values.len() - before;
    assert!((60..=200).contains(&patched), "{patched} in a minute");
}

#[test]
fn a_small_source_does_not_wait_for_a_large_one() {
    let mut model = Model::new(1, adaptive());
    model.mass("large", 1_000);
    model.mass("small", 10);
    model.run(40);
    let small = model
        .synced
        .iter()
        .filter(|it| it.name().starts_with("small"));
    assert_eq!(small.count(), 10);
}

#[test]
fn a_silent_eso_does_not_block_mass_work() {
    let mut model = Model::new(0, adaptive());
    model.mass("a", 1_000);
    while !model.engine.is_idle() {
        let wake = model.engine.wake_at();
        let next = model.next.pop().map(|Reverse((at, _, what))| (at, what));
        if let Some((at, what)) = next {
            model.now = at;
            model.happen(what);
        } else {
            model.now = wake.unwrap();
            model.tell(Input::Tick);
        }
    }
    let hour = Duration::from_secs(3600);
    let took = model.now.saturating_sub(START);
    assert!(took < hour, "{took:?}");
}
