//! What one change of the cluster costs in an index of 100,000 ExternalSecrets.

use anyhow::ensure;
use eso_relay_consumer::matching::{
    index::{Admits, Change, ExternalSecret, Form, Store},
    provider::Backend,
};
use eso_relay_lab::fleet::{self, Fleet};

use super::{
    Scale, progress,
    report::{Goal, Measure, Unit},
    rounds::{median, microseconds},
};

const OBJECTS: usize = 100_000;
const SLICE: usize = 100;
const STORES: usize = OBJECTS / fleet::PER_STORE;

pub(crate) fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    progress("update: filling an index");
    let mut index = Fleet(OBJECTS).index();
    let (rounds, changes) = (scale.pick(9, 3), scale.pick(10, 2) * STORES);
    let mut numbers: Vec<usize> = (0..OBJECTS).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut numbers);
    let mut measure = |what: &str, change: &dyn Fn(usize, usize) -> Change| {
        let figures: Vec<f64> = (0..=rounds)
            .map(|round| {
                let changes = (0..changes).map(|at| change(round, at)).collect();
                microseconds(changes, SLICE, |change| drop(index.apply(change)))
            })
            .collect();
        // The first round warms up.
        let figure = median(&figures[1..]);
        Measure::value(what, Unit::Microseconds, figure, Goal::AtMost(50.0))
    };
    let measures = vec![
        measure("update: an ExternalSecret's status", &|_, at| {
            Change::Applied(fleet::as_read(numbers[at]))
        }),
        measure("update: an ExternalSecret's key", &|round, at| {
            let number = numbers[at];
            let mut references = fleet::as_read(number).references;
            references[0].form = Form::Key(format!("{}-{round}", fleet::key(number)));
            Change::Applied(ExternalSecret::new(fleet::target(number), references))
        }),
        // Each is changed and changed back.
        measure("update: a store that 50 read through", &|_, at| {
            let away = (at / STORES).is_multiple_of(2);
            let (own, other) = (Backend::Akeyless, Backend::Gitlab);
            Change::StoreApplied(Store {
                name: fleet::store_ref(at % STORES * fleet::PER_STORE),
                backend: Some(if away { other } else { own }),
                admits: Admits::default(),
            })
        }),
    ];
    ensure!(index.stats().objects == OBJECTS, "{:?}", index.stats());
    Ok(measures)
}
