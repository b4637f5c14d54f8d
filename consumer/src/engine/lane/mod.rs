//! Which target is patched next.
//!
//! Two lanes. *Exact*: what few objects wait for goes at once. *Mass*: what is meant for many flows
//! through a [`Window`], so that ESO has room for what is urgent; its sources take turns. Besides there
//! may be ceilings: patches at once, patches per second, over all and for each store.
//!
//! [`Suspects`] share a quarter of the slots, of the window and of the rate: while they fail or hang,
//! the others go on.

mod pace;
mod queue;
mod suspects;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use eso_relay::Slug;

use self::{pace::Pace, queue::Queue, suspects::Suspects};
use super::{Settings, window::Window};
use crate::object::ObjectRef;

/// How soon a refresh is wanted. The greater the more urgent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// One of many, by events of this source.
    Mass(Slug),
    Exact,
}

/// A store, for a ceiling of its own.
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
    /// Whose turn it was last.
    served: Option<Slug>,
    /// Neither yet: for jitter, or for the ceiling of a store.
    deferred: BTreeSet<(Duration, Ticket)>,
    deferred_until: HashMap<Ticket, Duration>,
    issued: u64,
    in_flight: HashMap<ObjectRef, InFlight>,
    limit: usize,
    suspects: Suspects,
    pace: Option<Pace>,
    store_rate: Option<f64>,
    stores: HashMap<StoreId, Pace>,
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
            pace: settings.patches_per_second.and_then(Pace::new),
            store_rate: settings.patches_per_second_and_store,
            stores: HashMap::new(),
            window: Window::new(settings.window.min, settings.window.max),
        }
    }

    /// To the end of its queue, which it joins at `from`.
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

    /// The next target whose patch may start now.
    pub(super) fn start(&mut self, now: Duration) -> Option<ObjectRef> {
        while self.wake_at().is_some_and(|at| at <= now) {
            self.admit_due(now);
            self.window.expire(now);
            let Some(ticket) = self.next(now) else {
                continue;
            };
            self.leave(ticket);
            if let Some(at) = self.store_may_at(ticket).filter(|at| *at > now) {
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
        if let Some(pace) = &mut self.pace {
            pace.take(now);
        }
        for store in patch.stores.iter() {
            if let Some(pace) = self.stores.get_mut(store) {
                pace.take(now);
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

    /// A patch has ended, and has written nothing if not `written`.
    pub(super) fn ended(&mut self, target: &ObjectRef, written: bool) {
        let Some(patch) = self.in_flight.remove(target) else {
            return;
        };
        if patch.suspect {
            self.suspects.ended(patch.mass);
        }
        if !written {
            self.window.leave(target);
            // ESO reads nothing for it.
            for store in patch.stores.iter() {
                if let Some(pace) = self.stores.get_mut(store) {
                    pace.refund();
                }
            }
        }
    }

    /// Its patch failed, and so may the others of its namespace.
    pub(super) fn failed(&mut self, target: &ObjectRef) {
        if self.suspects.add(target) {
            self.mark_namespace(target.namespace(), true);
        }
    }

    /// Its patch got an answer, if only a refusal.
    pub(super) fn answered(&mut self, target: &ObjectRef) {
        if self.suspects.clear(target.namespace()) {
            self.mark_namespace(target.namespace(), false);
        }
    }

    /// Nothing is wanted of it any more.
    pub(super) fn forget(&mut self, target: &ObjectRef) {
        if self.suspects.forget(target) {
            self.mark_namespace(target.namespace(), false);
        }
    }

    /// The faults so far were of the API as a whole.
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

    /// When the next patch may start, if only time is wanting.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        if self.in_flight.len() >= self.limit {
            return None;
        }
        let sound = self.is_ready(false).then_some(Duration::ZERO);
        let suspects = self.suspects.next(self.limit);
        let suspects = suspects.filter(|_| self.is_ready(true));
        let later = self.deferred.first().map(|(at, _)| *at);
        let window = (!self.mass.is_empty()).then(|| self.window.opens_at());
        let pace = self.pace.as_ref().map_or(Duration::ZERO, Pace::next);
        let next = sound.into_iter().chain(suspects).chain(later);
        Some(next.chain(window.flatten()).min()?.max(pace))
    }

    #[cfg(test)]
    pub(super) fn outstanding(&self) -> usize {
        self.window.outstanding()
    }

    /// How many there may be.
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

    /// Out of its queue.
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

    /// Whether anything could start, if suspects may too or not.
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

    /// The sources of mass work that has room, from the one whose turn it is, each with its first.
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

    /// When the ceiling of its stores lets it through.
    fn store_may_at(&mut self, ticket: Ticket) -> Option<Duration> {
        let rate = self.store_rate?;
        let mut latest = None;
        for store in self.entries.get(&ticket)?.stores.iter() {
            if !self.stores.contains_key(store) {
                self.stores.insert(*store, Pace::new(rate)?);
            }
            latest = latest.max(self.stores.get(store).map(Pace::next));
        }
        latest
    }
}
