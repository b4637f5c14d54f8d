//! Chooses the target that is patched next.
//!
//! There are two lanes. *Exact*: events that match few objects are patched at once. *Mass*: the rest passes
//! through a [`Window`], so that ESO has room for urgent work; the sources take turns. Optional limits: patches
//! in flight, patches per second, overall and for each store.
//!
//! [`Suspects`], targets that are likely to fail, share a quarter of the slots, of the window and of the rate, so
//! that they do not delay the others.

mod queue;
mod suspects;
#[cfg(test)]
mod tests;
mod token_bucket;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use eso_relay::Slug;

use self::{queue::Queue, suspects::Suspects, token_bucket::TokenBucket};
use super::{Settings, window::Window};
use crate::object::ObjectRef;

/// How urgent a refresh is. The greater the more urgent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// One of many objects that an event of this source matched.
    Mass(Slug),
    Exact,
}

/// Identifies a store, for its rate limit.
pub(crate) type StoreId = u64;

/// A place in the queue: the lower the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// A target in the queue.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) target: ObjectRef,
    pub(super) urgency: Urgency,
    pub(super) stores: Arc<[StoreId]>,
    /// How many objects ESO syncs for it.
    pub(super) weight: usize,
    /// Whether its last patch failed.
    pub(super) failing: bool,
}

#[derive(Debug)]
pub(super) struct Lanes {
    entries: HashMap<Ticket, Entry>,
    exact: Queue,
    mass: BTreeMap<Slug, Queue>,
    /// The source that was served last.
    served: Option<Slug>,
    /// Not in a lane yet, because of the jitter or the rate limit of a store.
    deferred: BTreeSet<(Duration, Ticket)>,
    deferred_until: HashMap<Ticket, Duration>,
    issued: u64,
    in_flight: HashMap<ObjectRef, InFlight>,
    limit: usize,
    suspects: Suspects,
    bucket: Option<TokenBucket>,
    store_rate: Option<f64>,
    stores: HashMap<StoreId, TokenBucket>,
    window: Window,
}

/// A patch that has started.
#[derive(Debug)]
struct InFlight {
    suspect: bool,
    mass: bool,
    stores: Arc<[StoreId]>,
}

impl Lanes {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            entries: HashMap::new(),
            exact: Queue::default(),
            mass: BTreeMap::new(),
            served: None,
            deferred: BTreeSet::new(),
            deferred_until: HashMap::new(),
            issued: 0,
            in_flight: HashMap::new(),
            limit: settings.patches_in_flight.max(1),
            suspects: Suspects::new(settings.patches_per_second),
            bucket: settings.patches_per_second.and_then(TokenBucket::new),
            store_rate: settings.patches_per_second_and_store,
            stores: HashMap::new(),
            window: Window::new(settings.window.min, settings.window.max),
        }
    }

    /// Appends the entry to its queue, which it joins at `from`.
    pub(super) fn push(&mut self, entry: Entry, from: Duration) -> Ticket {
        let ticket = Ticket(self.issued);
        self.issued += 1;
        self.entries.insert(ticket, entry);
        if from.is_zero() {
            self.join(ticket);
        } else {
            self.defer(ticket, from);
        }
        ticket
    }

    pub(super) fn remove(&mut self, ticket: Ticket) {
        if let Some(at) = self.deferred_until.remove(&ticket) {
            self.deferred.remove(&(at, ticket));
        } else {
            self.leave(ticket);
        }
        self.entries.remove(&ticket);
    }

    /// Takes the next target whose patch may start now.
    pub(super) fn start(&mut self, now: Duration) -> Option<ObjectRef> {
        while self.wake_at().is_some_and(|at| at <= now) {
            self.admit_due(now);
            self.window.expire(now);
            let Some(ticket) = self.next(now) else {
                continue;
            };
            self.leave(ticket);
            if let Some(at) = self.stores_allow_at(ticket).filter(|at| *at > now) {
                self.defer(ticket, at);
                continue;
            }
            let entry = self.entries.remove(&ticket)?;
            return Some(self.send(now, entry));
        }
        None
    }

    fn send(&mut self, now: Duration, entry: Entry) -> ObjectRef {
        let patch = InFlight {
            suspect: self.suspects.are(&entry),
            mass: entry.urgency != Urgency::Exact,
            stores: entry.stores,
        };
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now);
        }
        for store in patch.stores.iter() {
            if let Some(bucket) = self.stores.get_mut(store) {
                bucket.take(now);
            }
        }
        if patch.mass {
            let target = entry.target.clone();
            self.window.enter(now, target, entry.weight);
        }
        if patch.suspect {
            self.suspects.started(now, patch.mass);
        }
        self.in_flight.insert(entry.target.clone(), patch);
        entry.target
    }

    /// A patch has a result. `written`: whether it changed the object.
    pub(super) fn ended(&mut self, target: &ObjectRef, written: bool) {
        let Some(patch) = self.in_flight.remove(target) else {
            return;
        };
        if patch.suspect {
            self.suspects.ended(patch.mass);
        }
        if !written {
            self.window.leave(target);
            // ESO does not read the store for it.
            for store in patch.stores.iter() {
                if let Some(bucket) = self.stores.get_mut(store) {
                    bucket.refund();
                }
            }
        }
    }

    /// Its patch failed: its namespace becomes suspect.
    pub(super) fn failed(&mut self, target: &ObjectRef) {
        if self.suspects.add(target) {
            self.mark_namespace(target.namespace(), true);
        }
    }

    /// Its patch got a response, even a refusal: its namespace is not suspect any more.
    pub(super) fn answered(&mut self, target: &ObjectRef) {
        if self.suspects.clear(target.namespace()) {
            self.mark_namespace(target.namespace(), false);
        }
    }

    /// No delivery waits for it any more.
    pub(super) fn forget(&mut self, target: &ObjectRef) {
        if self.suspects.forget(target) {
            self.mark_namespace(target.namespace(), false);
        }
    }

    /// The faults so far were those of the API as a whole.
    pub(super) fn clear_suspects(&mut self) {
        for namespace in self.suspects.take_namespaces() {
            self.mark_namespace(&namespace, false);
        }
    }

    fn mark_namespace(&mut self, namespace: &str, suspect: bool) {
        for queue in self.mass.values_mut().chain([&mut self.exact]) {
            queue.mark_namespace(namespace, suspect);
        }
    }

    pub(super) fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    /// When the next patch may start; `None` until another input.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        if self.in_flight.len() >= self.limit {
            return None;
        }
        let sound = self.is_ready(false).then_some(Duration::ZERO);
        let suspects = self.suspects.next(self.limit);
        let suspects = suspects.filter(|_| self.is_ready(true));
        let later = self.deferred.first().map(|(at, _)| *at);
        let window = (!self.mass.is_empty()).then(|| self.window.opens_at());
        let bucket = self
            .bucket
            .as_ref()
            .map_or(Duration::ZERO, TokenBucket::next);
        let next = sound.into_iter().chain(suspects).chain(later);
        Some(next.chain(window.flatten()).min()?.max(bucket))
    }

    #[cfg(test)]
    pub(super) fn outstanding(&self) -> usize {
        self.window.outstanding()
    }

    /// The size of the window.
    pub(super) fn window_size(&self) -> usize {
        self.window.size()
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn suspects(&self) -> usize {
        self.suspects.namespaces()
    }

    fn join(&mut self, ticket: Ticket) {
        if let Some(entry) = self.entries.get(&ticket) {
            let suspect = self.suspects.contains(entry.target.namespace());
            let queue = match &entry.urgency {
                Urgency::Exact => &mut self.exact,
                Urgency::Mass(source) => self.mass.entry(source.clone()).or_default(),
            };
            queue.insert(ticket, entry, suspect);
        }
    }

    /// Removes the ticket from its queue.
    fn leave(&mut self, ticket: Ticket) {
        let Some(entry) = self.entries.get(&ticket) else {
            return;
        };
        let Urgency::Mass(source) = &entry.urgency else {
            return self.exact.remove(ticket, entry);
        };
        if let Some(queue) = self.mass.get_mut(source) {
            queue.remove(ticket, entry);
            if queue.is_empty() {
                self.mass.remove(source);
            }
        }
    }

    fn defer(&mut self, ticket: Ticket, at: Duration) {
        self.deferred_until.insert(ticket, at);
        self.deferred.insert((at, ticket));
    }

    fn admit_due(&mut self, now: Duration) {
        while let Some((at, ticket)) = self.deferred.first().copied() {
            if at > now {
                return;
            }
            self.deferred.pop_first();
            self.deferred_until.remove(&ticket);
            self.join(ticket);
        }
    }

    /// Whether a patch could start, with or without suspects.
    fn is_ready(&self, suspects: bool) -> bool {
        self.exact.first(suspects).is_some() || self.sources(suspects).next().is_some()
    }

    fn next(&mut self, now: Duration) -> Option<Ticket> {
        let suspects = self.suspects.next(self.limit).is_some_and(|at| at <= now);
        if let Some(first) = self.exact.first(suspects) {
            return Some(first);
        }
        let (source, first) = self.sources(suspects).next()?;
        self.served = Some(source.clone());
        Some(first)
    }

    /// The sources with mass work, if the window is open, from the one whose turn it is; each with its first ticket.
    fn sources(&self, suspects: bool) -> impl Iterator<Item = (&Slug, Ticket)> {
        let suspects = suspects && self.suspects.has_mass_room(self.window.size());
        let after = self.served.as_ref();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let turn = self.mass.range::<Slug, _>((after, Bound::Unbounded));
        let all = turn.chain(&self.mass);
        let open = self.window.is_open();
        all.filter(move |_| open)
            .filter_map(move |(source, queue)| Some((source, queue.first(suspects)?)))
    }

    /// When the rate limits of its stores allow it.
    fn stores_allow_at(&mut self, ticket: Ticket) -> Option<Duration> {
        let rate = self.store_rate?;
        let mut latest = None;
        for store in self.entries.get(&ticket)?.stores.iter() {
            if !self.stores.contains_key(store) {
                self.stores.insert(*store, TokenBucket::new(rate)?);
            }
            latest = latest.max(self.stores.get(store).map(TokenBucket::next));
        }
        latest
    }
}
