//! Matches an event with references, in one of four ways, within the event's reach; and decides which of the
//! matched objects are refreshed and which skipped. Templates: [`super::templates`].

use std::collections::{BTreeSet, HashMap, HashSet};

use eso_relay::event::{Event, Kind, Match, Operation};

use super::{
    Index, MatchedWorkload, StoreRef, Unrestarted,
    lookup::{Family, Named, Posting, View},
    restarts::{Found, restarts},
    stores::StoreEntry,
};
use crate::{
    matching::provider::{Provider, Query, Reading, Rules},
    object::{ObjectKind, ObjectRef, Refreshable, Unrefreshable},
};

/// The objects that an event matches, each once.
#[derive(Debug, Default)]
pub struct Matched {
    /// To be refreshed.
    pub targets: Vec<ObjectRef>,
    /// Skipped, with the reason.
    pub skipped: Vec<Skipped>,
    /// Those that read a secret of an event that may restart workloads.
    pub workloads: Vec<MatchedWorkload>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub target: ObjectRef,
    pub reason: Unrefreshable,
}

/// A set of objects.
#[derive(Debug)]
pub struct Among(HashSet<u32>);

impl Index {
    /// The objects that the event matches. The cost of an exact event depends on how many these are and on the
    /// number of distinct `find` patterns, not on the number of objects.
    pub fn matching(&self, event: &Event) -> Matched {
        let mut matcher = Matcher::new(self, event, None);
        matcher.restarts = !self.workloads.is_empty() && restarts(event);
        matcher.find()
    }

    /// As [`Self::matching`], with the workloads that are not restarted whatever the event.
    pub fn matching_all_workloads(&self, event: &Event) -> Matched {
        let mut matcher = Matcher::new(self, event, None);
        matcher.restarts = !self.workloads.is_empty();
        matcher.find()
    }

    /// A set for [`Self::matching_among`], valid until the next change.
    pub fn among(&self, targets: &BTreeSet<ObjectRef>) -> Among {
        let ids = targets.iter().filter_map(|target| self.ids.get(target));
        Among(ids.copied().collect())
    }

    /// The objects of the set that the event matches; no workloads, since what an object reads when it is first seen
    /// is no change.
    pub fn matching_among(&self, event: &Event, among: &Among) -> Matched {
        Matcher::new(self, event, Some(among)).find()
    }
}

/// The queries of an event, by family. A `generic` event compares keys through every store, and URLs; a provider's
/// event matches through its own stores and through unknown ones.
pub(super) fn readings(event: &Event) -> Vec<(Family, Query<'_>)> {
    let providers = match Provider::of_event(&event.provider) {
        Some(providers) if event.matches != Match::All => providers,
        _ => {
            let keys = (Family::Any, Provider::query_anywhere(&[], event));
            let urls = Family::Of(Provider::Webhook);
            return vec![keys, (urls, Provider::Webhook.query(event))];
        }
    };
    let unknown = (Family::Unknown, Provider::query_anywhere(&providers, event));
    let known = providers.into_iter().map(|provider| {
        let query = provider.query(event);
        (Family::Of(provider), query)
    });
    known.chain([unknown]).collect()
}

/// The rules of the store for events of the family; `None` when the store does not belong to it.
pub(super) fn view<'v>(family: &Family, store: &'v StoreEntry) -> Option<&'v View> {
    [&store.any, &store.view]
        .into_iter()
        .find(|view| view.family == *family)
}

struct Matcher<'a> {
    index: &'a Index,
    event: &'a Event,
    /// An object for each of its references that match, with the reason why that one does not count.
    matches: Vec<(u32, Option<Unrefreshable>, Way)>,
    /// Whether the event may reach everything that an owner owns.
    within: HashMap<&'a ObjectRef, bool>,
    /// Only these count.
    among: Option<&'a Among>,
    /// Whether workloads are looked for.
    restarts: bool,
}

/// How a reference matches: in doubt by a `find`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Key,
    Find,
}

impl<'a> Matcher<'a> {
    fn new(index: &'a Index, event: &'a Event, among: Option<&'a Among>) -> Self {
        Self {
            index,
            event,
            matches: Vec::new(),
            within: HashMap::new(),
            among,
            restarts: false,
        }
    }

    fn find(mut self) -> Matched {
        let (index, event) = (self.index, self.event);
        if event.kind == Kind::TemplateChanged {
            let readers = index.template_readers(event).filter(|id| self.counts(*id));
            self.matches = readers.map(|id| (id, None, Way::Key)).collect();
            return self.into_matched();
        }
        for (family, query) in &readings(event) {
            match &event.matches {
                Match::Exact(_) => {
                    index.lookup.candidates(family, query, |posting| {
                        self.verify(posting, family, query);
                    });
                    index
                        .lookup
                        .finders(family, query, |posting| self.add_finder(posting));
                }
                Match::Prefix(_) => self.add_references(family, |rules, reading| {
                    rules.reaches(reading, query) && rules.is_below(reading, query)
                }),
                Match::Scope => {
                    self.add_references(family, |rules, reading| rules.reaches(reading, query));
                }
                Match::All => self.add_references(family, |_, _| true),
            }
        }
        self.into_matched()
    }

    fn counts(&self, object: u32) -> bool {
        self.among
            .is_none_or(|Among(objects)| objects.contains(&object))
    }

    /// Checks the event's reach, for each reference and not for the object as a whole.
    fn allows(&self, posting: Posting) -> bool {
        match &self.event.target {
            _ if !self.counts(posting.object) => false,
            None => true,
            Some(reach) => {
                let store = self.index.stores.get(posting.store);
                let object = self.index.objects.get(posting.object);
                store.is_some_and(|store| self.index.stores.is_within(&store.name, reach))
                    && object
                        .is_some_and(|object| reach.allows_namespace(object.target.namespace()))
            }
        }
    }

    /// Whether the event may reach any object that reads through the store. A SecretStore is used in its own namespace
    /// only, so one that is out of reach is skipped as a whole.
    fn may_reach(&self, store: &StoreEntry) -> bool {
        self.event.target.as_ref().is_none_or(|reach| {
            self.index.stores.is_within(&store.name, reach)
                && match &store.name {
                    StoreRef::Namespaced { namespace, .. } => reach.allows_namespace(namespace),
                    StoreRef::Cluster { .. } | StoreRef::Any { .. } | StoreRef::Implied(_) => true,
                }
        })
    }

    fn add(&mut self, way: Way, posting: Posting, against: Option<Unrefreshable>) {
        if self.allows(posting) {
            self.matches.push((posting.object, against, way));
        }
    }

    /// Adds an object that matches by a `find` and not by a key.
    fn add_finder(&mut self, posting: Posting) {
        let Some(object) = self.index.objects.get(posting.object) else {
            return;
        };
        let by_key = object.refreshable == Refreshable::ByKey;
        let against = by_key.then_some(Unrefreshable::Generator);
        let store = self.index.stores.get(posting.store);
        if store.is_none_or(|store| store.view.rules().can_find()) {
            self.add(Way::Find, posting, against);
        } else if self.index.only_finds_in_vain(object) {
            self.add(Way::Find, posting, Some(Unrefreshable::FindNotSupported));
        }
    }

    /// Adds a candidate if one of its keys matches in full.
    fn verify(&mut self, posting: Posting, family: &Family, query: &Query<'_>) {
        let store = self.index.stores.get(posting.store);
        let Some((store, view)) = store.and_then(|store| Some((store, view(family, store)?)))
        else {
            return;
        };
        let rules = view.rules();
        let reads = |named: Named<'_>| match named {
            Named::Key(remote) => {
                rules.reads(remote, query) && rules.reaches(&Reading::Key(remote), query)
            }
            Named::Find(_) => false,
        };
        let own_rules = store.view.rules();
        let mut stays = false;
        for (place, named) in self.index.references(posting, store, view) {
            if !reads(named) {
                continue;
            }
            let version = self.index.details.version(posting.object, place);
            if version.is_some_and(|version| stays_as_it_is(own_rules, version, self.event)) {
                stays = true;
            } else {
                return self.add(Way::Key, posting, None);
            }
        }
        if stays {
            self.add(Way::Key, posting, Some(Unrefreshable::PinnedVersion));
        }
    }

    fn add_references(
        &mut self,
        family: &Family,
        wanted: impl Fn(&dyn Rules, &Reading<'_>) -> bool,
    ) {
        for (id, store) in self.index.stores.iter() {
            let Some(view) = view(family, store).filter(|_| self.may_reach(store)) else {
                continue;
            };
            let rules = view.rules();
            let users: Vec<u32> = match self.among {
                Some(Among(objects)) => store.users.intersection(objects).copied().collect(),
                None => store.users.iter().copied().collect(),
            };
            for user in &users {
                let posting = Posting {
                    object: *user,
                    store: id,
                };
                let references = self.index.references(posting, store, view);
                let mut matching = references
                    .map(|(_, named)| named.reading())
                    .filter(|reading| wanted(rules, reading));
                match matching.next() {
                    None => {}
                    Some(Reading::Key(_)) => self.add(Way::Key, posting, None),
                    Some(Reading::Find(_))
                        if matching.any(|one| matches!(one, Reading::Key(_))) =>
                    {
                        self.add(Way::Key, posting, None);
                    }
                    Some(Reading::Find(_)) => self.add_finder(posting),
                }
            }
        }
    }

    fn into_matched(mut self) -> Matched {
        let (mut matched, mut workloads) = (Matched::default(), Found::default());
        let mut found = std::mem::take(&mut self.matches);
        found.sort_unstable();
        // One reference without a reason against it is enough, and sorts first.
        found.dedup_by_key(|(id, _, _)| *id);
        for (id, against, way) in found {
            self.judge(id, against, way, (&mut matched, &mut workloads));
        }
        if self.restarts {
            matched.workloads = workloads.into_matched(self.index, self.event);
        }
        let mut owners = HashSet::new();
        let targets = &mut matched.targets;
        targets.retain(|target| !target.is_owner() || owners.insert(target.clone()));
        matched
    }

    /// `against`: a reason that depends on the event.
    fn judge(
        &mut self,
        id: u32,
        against: Option<Unrefreshable>,
        way: Way,
        (matched, workloads): (&mut Matched, &mut Found),
    ) {
        let Some(object) = self.index.objects.get(id) else {
            return;
        };
        let (target, own) = (object.target.clone(), object.refreshable.refusal());
        let is_push = target.kind() == ObjectKind::PushSecret;
        // Only an event that names a secret makes ESO push it.
        if is_push && !matches!(self.event.matches, Match::Exact(_)) {
            return;
        }
        let other = || {
            if is_push {
                return self.index.push_echo(id, object, self.event);
            }
            self.index
                .refused(id, object)
                .into_iter()
                .chain(against)
                .min()
        };
        let readers = self
            .restarts
            .then(|| self.index.workloads.readers(id, &target));
        let readers = readers.unwrap_or_default();
        if let Some(reason) = own.or_else(other) {
            workloads.follow(readers, None, Some(Unrestarted::Skipped));
            matched.skipped.push(Skipped { target, reason });
        } else {
            // A forced object needs its own status reset: its owner's annotation does not refresh it.
            let owner = self.owner(id).filter(|_| !object.forced).cloned();
            let target = owner.unwrap_or(target);
            let in_doubt = way == Way::Find && !self.event.restart;
            let against = in_doubt.then_some(Unrestarted::Find);
            workloads.follow(readers, Some(&target), against);
            matched.targets.push(target);
        }
    }

    /// The owner whose annotation refreshes the object. An owner refreshes everything that it owns, so it is not
    /// used where the event may not reach all of these, or where the namespace of one does not permit it.
    fn owner(&mut self, id: u32) -> Option<&'a ObjectRef> {
        let index = self.index;
        let owner = index.owners.of(id)?;
        let restricted = self
            .event
            .target
            .as_ref()
            .filter(|it| !it.namespaces.is_empty());
        let held = index.claims.contains_key(&id);
        if restricted.is_none() && !held {
            return Some(owner);
        }
        let within = *self.within.entry(owner).or_insert_with(|| {
            let children = index.owners.children(owner);
            let mut children = children.filter_map(|id| Some((id, index.objects.get(id)?)));
            children.all(|(id, child)| {
                let namespace = child.target.namespace();
                restricted.is_none_or(|reach| reach.allows_namespace(namespace))
                    && index.denial(id).is_none()
            })
        });
        within.then_some(owner)
    }
}

/// Whether the event does not change the version that a reference asks for. An event that is no new value, or that
/// was sent by hand, may concern any version.
fn stays_as_it_is(rules: &dyn Rules, version: &str, event: &Event) -> bool {
    let changed = event.version.as_ref();
    let new = matches!(event.operation, Operation::Created | Operation::Updated);
    event.kind != Kind::RefreshRequested
        && (new || changed.is_some_and(|version| version.id.is_some()))
        && rules.is_other_version(version, changed)
}

impl Index {
    /// What the object's references through the store name, each with its index among all.
    fn references<'i>(
        &'i self,
        posting: Posting,
        store: &'i StoreEntry,
        view: &'i View,
    ) -> impl Iterator<Item = (usize, Named<'i>)> {
        let objects = self.objects.get(posting.object).into_iter();
        objects.flat_map(move |object| {
            let owner = (posting.object, object.target.namespace());
            let references = object.references.iter().enumerate();
            let through = references.filter(move |(_, entry)| entry.store == posting.store);
            through.map(move |(place, entry)| {
                let form = (place, &entry.form);
                (place, self.details.named(owner, form, store, view))
            })
        })
    }
}
