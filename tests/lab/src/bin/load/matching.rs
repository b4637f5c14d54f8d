//! Finding whom one event means among 100,000 ExternalSecrets ÷ among 1,000, in the consumer's index;
//! and how much that grows ÷ how much a bare map of key to target does, the least that finding can be.

use std::{collections::HashMap, hint::black_box};

use anyhow::ensure;
use eso_relay::Event;
use eso_relay_consumer::{matching::index::Index, object::ObjectRef};
use eso_relay_lab::fleet::{self, Fleet};

use super::{
    Scale, progress,
    report::{Goal, Measure, Unit},
    rounds::{Rounds, median, microseconds},
};

const MANY: usize = 100_000;
const FEW: usize = 1000;
const SLICE: usize = 1000;

pub(crate) fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    progress("matching: filling two indexes and two maps");
    let (many, few) = (Among::new(MANY)?, Among::new(FEW)?);
    let (mut index, mut bare) = (Rounds::default(), Rounds::default());
    for round in 0..=scale.pick(15, 5) {
        let (ours, floor) = (many.in_index()?, few.in_index()?);
        let (ours_bare, floor_bare) = (many.in_map()?, few.in_map()?);
        // The first round warms up.
        if round > 0 {
            index.ours.push(ours);
            index.floor.push(floor);
            bare.ours.push(ours_bare);
            bare.floor.push(floor_bare);
        }
    }
    let growth = Rounds {
        ours: index.ratios(),
        floor: bare.ratios(),
    };
    let ratio = |what, rounds| Measure::ratio(what, Unit::Microseconds, rounds, None);
    Ok(vec![
        ratio("matching: among 100,000 ÷ among 1,000", &index),
        ratio("matching: bare map of 100,000 ÷ of 1,000", &bare),
        Measure::ratio(
            "matching: growth ÷ that of a bare map",
            Unit::Times,
            &growth,
            Goal::AtMost(1.3),
        ),
        Measure::value(
            "matching: one event among 100,000",
            Unit::Microseconds,
            median(&index.ours),
            Goal::AtMost(2.0),
        ),
    ])
}

/// So many objects, and events about them.
struct Among {
    index: Index,
    map: HashMap<String, ObjectRef>,
    events: Vec<Event>,
}

impl Among {
    fn new(objects: usize) -> anyhow::Result<Self> {
        let entry = |number| (fleet::key(number), fleet::target(number));
        Ok(Self {
            index: Fleet(objects).index(),
            map: (0..objects).map(entry).collect(),
            events: events(objects)?,
        })
    }

    fn in_index(&self) -> anyhow::Result<f64> {
        self.find(|event| black_box(self.index.matching(event)).targets.len())
    }

    fn in_map(&self) -> anyhow::Result<f64> {
        self.find(|event| {
            let keys = event.matches.keys().iter();
            let targets = keys.filter_map(|key| self.map.get(key).cloned());
            targets.map(black_box).count()
        })
    }

    /// Per event, each of which means one object.
    fn find(&self, find: impl Fn(&Event) -> usize) -> anyhow::Result<f64> {
        let mut found = 0;
        let figure = microseconds(self.events.iter().collect(), SLICE, |event| {
            found += find(black_box(event));
        });
        let events = self.events.len();
        ensure!(found == events, "{found} found of {events}");
        Ok(figure)
    }
}

/// As many for either index, about objects in no order, so that reading the events costs the same.
fn events(objects: usize) -> anyhow::Result<Vec<Event>> {
    let mut numbers: Vec<usize> = (0..MANY).map(|number| number % objects).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut numbers);
    numbers
        .into_iter()
        .map(|number| fleet::changed("matching", number))
        .collect()
}
