//! Finding whom one event means among 100,000 ExternalSecrets ÷ among 1,000, in the consumer's index.

use std::{hint::black_box, time::Instant};

use eso_relay::Event;
use eso_relay_consumer::{
    index::{Admits, Change, ExternalSecret, Form, Index, Reference, Store, StoreRef},
    provider::Backend,
    target::Target,
};

use super::{
    Scale,
    events::{STORE, event, key, name},
    progress,
    report::{Goal, Measure, Unit},
    rounds::{Rounds, median},
};

const MANY: usize = 100_000;
const FEW: usize = 1000;

pub(crate) fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    progress("matching: filling two indexes");
    let (among_many, among_few) = (index(MANY), index(FEW));
    let (many, few) = (events(MANY)?, events(FEW)?);
    let mut measured = Rounds::default();
    for round in 0..=scale.pick(9, 5) {
        let (ours, floor) = (
            microseconds(&among_many, &many)?,
            microseconds(&among_few, &few)?,
        );
        // The first round warms up.
        if round > 0 {
            measured.ours.push(ours);
            measured.floor.push(floor);
        }
    }
    Ok(vec![
        Measure::ratio(
            "matching: among 100,000 ÷ among 1,000",
            Unit::Microseconds,
            &measured,
            Goal::AtMost(1.3),
        ),
        Measure::value(
            "matching: one event among 100,000",
            Unit::Microseconds,
            median(&measured.ours),
            Goal::AtMost(2.0),
        ),
    ])
}

/// As many ExternalSecrets, each with two keys of its own, in fifty namespaces.
pub(crate) fn index(objects: usize) -> Index {
    let mut index = Index::new();
    for team in 0..50 {
        index.apply(Change::StoreApplied(Store {
            name: store(team),
            backend: Some(Backend::Akeyless),
            admits: Admits::default(),
        }));
    }
    for number in 0..objects {
        let reference = |key| Reference {
            store: store(number % 50),
            form: Form::Key(key),
            version: None,
        };
        index.apply(Change::Applied(ExternalSecret::new(
            Target::new(&namespace(number % 50), &name(number)),
            vec![
                reference(key(number)),
                reference(format!("{}-tls", key(number))),
            ],
        )));
    }
    index.apply(Change::Synced);
    index
}

fn namespace(team: usize) -> String {
    format!("team-{team}")
}

fn store(team: usize) -> StoreRef {
    StoreRef::Namespaced {
        namespace: namespace(team),
        name: STORE.to_owned(),
    }
}

/// As many for either index, about objects in no order, so that reading the events costs the same.
fn events(objects: usize) -> anyhow::Result<Vec<Event>> {
    let mut numbers: Vec<usize> = (0..MANY).map(|number| number % objects).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut numbers);
    let akeyless: eso_relay::Slug = "akeyless".parse()?;
    numbers
        .into_iter()
        .map(|number| {
            Ok(Event {
                provider: akeyless.clone(),
                ..event("matching", number)?
            })
        })
        .collect()
}

/// Per event.
fn microseconds(index: &Index, events: &[Event]) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut found = 0;
    for event in events {
        found += black_box(index.matching(black_box(event))).targets.len();
    }
    let took = started.elapsed();
    anyhow::ensure!(found == events.len(), "{found} found of {}", events.len());
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(took.as_secs_f64() * 1e6 / events.len() as f64)
}
