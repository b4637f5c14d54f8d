//! `cargo bench -p eso-relay-consumer`: what the index costs as the cluster grows.

use std::hint::black_box;

use divan::{Bencher, counter::ItemsCount};
use eso_relay::Event;
use eso_relay_consumer::matching::{
    index::{Admits, Change, ExternalSecret, Form, Index, Store},
    provider::Backend,
};
use eso_relay_lab::fleet::{self, Fleet};

const SIZES: [usize; 3] = [1000, 10_000, 100_000];
const TARGETS: usize = 5000;
const WORKLOADS: usize = 5000;

/// That of the daemon.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    divan::main();
}

/// One event about one key, of objects in no order.
#[divan::bench(args = SIZES, sample_size = 1000)]
fn match_exact(bencher: Bencher<'_, '_>, objects: usize) {
    let (index, mut numbers) = (Fleet(objects).index(), shuffled(objects));
    let events: Vec<Event> = (0..objects)
        .filter_map(|_| fleet::changed("bench", numbers.next()?).ok())
        .collect();
    let mut events = events.iter().cycle();
    bencher.bench_local(|| events.next().map(|event| index.matching(event)));
}

/// The same, with workloads that read the Secrets of the first objects.
#[divan::bench(args = [10_000, 100_000], sample_size = 1000)]
fn match_exact_beside_workloads(bencher: Bencher<'_, '_>, objects: usize) {
    let mut index = Fleet(objects).index();
    for number in 0..WORKLOADS {
        index.apply(Change::WorkloadApplied(fleet::follower(number)));
    }
    let events: Vec<Event> = (0..WORKLOADS)
        .filter_map(|number| fleet::changed("bench", number).ok())
        .collect();
    let mut events = events.iter().cycle();
    bencher.bench_local(|| events.next().map(|event| index.matching(event)));
}

/// An event about everything in 50 namespaces.
#[divan::bench(args = [10_000, 100_000])]
fn match_scope_of_5000(bencher: Bencher<'_, '_>, objects: usize) {
    let index = Fleet(objects).index();
    let event = fleet::scope_changed("bench", TARGETS);
    let event = event.expect("the fleet's own event is well-formed");
    bencher
        .counter(ItemsCount::new(TARGETS))
        .bench_local(|| index.matching(black_box(&event)));
}

/// ESO has written its status: the most frequent change.
#[divan::bench(args = SIZES, sample_size = 500)]
fn update_status(bencher: Bencher<'_, '_>, objects: usize) {
    let (mut index, mut numbers) = (Fleet(objects).index(), shuffled(objects));
    bencher
        .with_inputs(|| fleet::as_read(numbers.next().unwrap_or_default()))
        .bench_local_values(|object| index.apply(Change::Applied(object)));
}

/// Another key in one of two references.
#[divan::bench(args = SIZES, sample_size = 500)]
fn update_key(bencher: Bencher<'_, '_>, objects: usize) {
    let (mut index, mut numbers) = (Fleet(objects).index(), shuffled(objects));
    let mut version = 0;
    bencher
        .with_inputs(|| {
            version += 1;
            let number = numbers.next().unwrap_or_default();
            let mut references = fleet::as_read(number).references;
            references[0].form = Form::Key(format!("{}-{version}", fleet::key(number)));
            ExternalSecret::new(fleet::target(number), references)
        })
        .bench_local_values(|object| index.apply(Change::Applied(object)));
}

/// A store of another provider: the keys of its 50 users are indexed again.
#[divan::bench(args = SIZES, sample_size = 20)]
fn update_store(bencher: Bencher<'_, '_>, objects: usize) {
    let (mut index, mut numbers) = (Fleet(objects).index(), shuffled(objects));
    let mut gitlab = false;
    let mut number = 0;
    bencher
        .counter(ItemsCount::new(fleet::PER_STORE))
        .with_inputs(|| {
            gitlab = !gitlab;
            // There and back, so that the cluster stays as it was.
            if gitlab {
                number = numbers.next().unwrap_or_default();
            }
            let (other, own) = (Backend::Gitlab, Backend::Akeyless);
            Store {
                name: fleet::store_ref(number),
                backend: Some(if gitlab { other } else { own }),
                admits: Admits::default(),
            }
        })
        .bench_local_values(|store| index.apply(Change::StoreApplied(store)));
}

/// The first listing.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn fill(bencher: Bencher<'_, '_>, objects: usize) {
    bencher
        .counter(ItemsCount::new(objects))
        .bench_local(|| -> Index { Fleet(objects).index() });
}

/// The numbers of all objects, again and again, in an order that is the same in each run.
fn shuffled(objects: usize) -> impl Iterator<Item = usize> {
    let mut numbers: Vec<usize> = (0..objects).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut numbers);
    numbers.into_iter().cycle()
}
