//! Which target is patched next.
//!
//! Two lanes. *Exact*: what few objects wait for goes at once. *Mass*: what is meant for many flows
//! through a [`Window`], so that ESO has room for what is urgent; its sources take turns. Besides there
//! may be ceilings: patches at once, patches per second, over all and for each store.

mod pace;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use eso_relay::Slug;

use self::pace::Pace;
use super::{Settings, window::Window};
use crate::target::Target;

/// How soon a refresh is wanted. The greater the more urgent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// One of many, by events of this source.
    Mass(Slug),
    Exact,
}

/// A store, for a ceiling of its own.
pub type StoreId = u64;

/// A place in the queue: the lower the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// A target in the queue.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) target: Target,
    pub(super) urgency: Urgency,
    pub(super) stores: Arc<[StoreId]>,
}

type Queue = BTreeMap<Ticket, Entry>;

#[derive(Debug)]
pub(super) struct Lanes {
    exact: Queue,
    mass: BTreeMap<Slug, Queue>,
    /// Whose turn it was last.
    served: Option<Slug>,
    /// Neither yet: for jitter, or for the ceiling of a store.
    later: BTreeMap<(Duration, Ticket), Entry>,
    later_at: HashMap<Ticket, Duration>,
    issued: u64,
    in_flight: usize,
    limit: usize,
    pace: Option<Pace>,
    store_rate: Option<f64>,
    stores: HashMap<StoreId, Pace>,
    window: Window,
}

impl Lanes {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            exact: Queue::new(),
            mass: BTreeMap::new(),
            served: None,
            later: BTreeMap::new(),
            later_at: HashMap::new(),
            issued: 0,
            in_flight: 0,
            limit: settings.patches_in_flight.max(1),
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
        if from.is_zero() {
            self.join(ticket, entry);
        } else {
            self.put_off(ticket, entry, from);
        }
        ticket
    }

    pub(super) fn remove(&mut self, ticket: Ticket) {
        if let Some(at) = self.later_at.remove(&ticket) {
            self.later.remove(&(at, ticket));
        } else if self.exact.remove(&ticket).is_none() {
            self.mass.retain(|_, queue| {
                queue.remove(&ticket);
                !queue.is_empty()
            });
        }
    }

    /// The next target whose patch may start now, with at most `most` in flight.
    pub(super) fn start(&mut self, now: Duration, most: usize) -> Option<Target> {
        while self.wake_at(most).is_some_and(|at| at <= now) {
            self.let_join(now);
            let (ticket, entry) = self.pop()?;
            if let Some(at) = self.store_may_at(&entry).filter(|at| *at > now) {
                self.put_off(ticket, entry, at);
                continue;
            }
            self.in_flight += 1;
            if let Some(pace) = &mut self.pace {
                pace.take(now);
            }
            for store in entry.stores.iter() {
                if let Some(pace) = self.stores.get_mut(store) {
                    pace.take(now);
                }
            }
            if entry.urgency != Urgency::Exact {
                self.window.enter(now, entry.target.clone());
            }
            return Some(entry.target);
        }
        None
    }

    /// A patch has ended, and has written nothing if not `written`.
    pub(super) fn ended(&mut self, target: &Target, written: bool) {
        self.in_flight -= 1;
        if !written {
            self.window.leave(target);
        }
    }

    pub(super) fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    /// When the next patch may start, if only time is wanting.
    pub(super) fn wake_at(&self, most: usize) -> Option<Duration> {
        if self.in_flight >= self.limit.min(most) {
            return None;
        }
        let mass = !self.mass.is_empty() && self.window.is_open();
        let ready = (mass || !self.exact.is_empty()).then_some(Duration::ZERO);
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        let pace = self.pace.as_ref().map_or(Duration::ZERO, Pace::next);
        Some(ready.into_iter().chain(later).min()?.max(pace))
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
        let mass: usize = self.mass.values().map(Queue::len).sum();
        self.exact.len() + mass + self.later.len()
    }

    fn join(&mut self, ticket: Ticket, entry: Entry) {
        let queue = match &entry.urgency {
            Urgency::Exact => &mut self.exact,
            Urgency::Mass(source) => self.mass.entry(source.clone()).or_default(),
        };
        queue.insert(ticket, entry);
    }

    fn put_off(&mut self, ticket: Ticket, entry: Entry, at: Duration) {
        self.later_at.insert(ticket, at);
        self.later.insert((at, ticket), entry);
    }

    fn let_join(&mut self, now: Duration) {
        while let Some(first) = self.later.first_entry() {
            if first.key().0 > now {
                return;
            }
            let ((_, ticket), entry) = first.remove_entry();
            self.later_at.remove(&ticket);
            self.join(ticket, entry);
        }
    }

    fn pop(&mut self) -> Option<(Ticket, Entry)> {
        if let Some(first) = self.exact.pop_first() {
            return Some(first);
        }
        if !self.window.is_open() {
            return None;
        }
        let after = self
            .served
            .as_ref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.mass.range::<Slug, _>((after, Bound::Unbounded)).next();
        let source = next.or_else(|| self.mass.first_key_value())?.0.clone();
        let queue = self.mass.get_mut(&source)?;
        let first = queue.pop_first();
        if queue.is_empty() {
            self.mass.remove(&source);
        }
        self.served = Some(source);
        first
    }

    /// When the ceiling of its stores lets it through.
    fn store_may_at(&mut self, entry: &Entry) -> Option<Duration> {
        let rate = self.store_rate?;
        let mut latest = None;
        for store in entry.stores.iter() {
            if !self.stores.contains_key(store) {
                self.stores.insert(*store, Pace::new(rate)?);
            }
            latest = latest.max(self.stores.get(store).map(Pace::next));
        }
        latest
    }
}
