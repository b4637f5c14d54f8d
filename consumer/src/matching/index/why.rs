//! Explains why an event matches an object or not, reference by reference. Only for the command `matches`.

use std::collections::BTreeMap;

use eso_relay::event::{Event, Kind, Match, TemplateSource};
use serde::Serialize;

use super::{
    Index, Object,
    change::{FindSpec, StoreRef},
    lookup,
    lookup::Family,
    matching::{readings, view},
    stores::StoreEntry,
    templates,
};
use crate::{
    matching::provider::{Provider, Reading},
    object::ObjectRef,
};

/// The comparison of one reference with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// `None` for a template.
    pub store: Option<StoreRef>,
    /// `None` when the store is missing, or may not be listed.
    pub provider: Option<Provider>,
    pub reads: Reads,
    /// Why the event does not match it; empty if it does.
    pub differs: Vec<Differs>,
}

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    Key(String),
    Find(FindSpec),
    Template(TemplateSource),
}

/// Why an event does not match a reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Differs {
    /// The event is about sources of templates and this is a key of a store, or the other way round.
    Kind,
    /// The event's reach excludes the namespace.
    Namespace,
    /// The event's reach excludes the store; for a template, every store of the object.
    Store,
    /// The store is another provider's.
    Provider,
    /// ESO's provider does not implement `find`, and other references of the object count.
    FindNotSupported,
    /// It names another secret.
    Secret,
    /// It reads in another place than these attributes of the event's scope; if empty, than the event's keys.
    Place { scope: BTreeMap<String, String> },
}

impl Compared {
    /// Whether the event matches the reference.
    pub fn is_meant(&self) -> bool {
        self.differs.is_empty()
    }
}

impl Index {
    /// Compares all references of the object, those of its template last; `None` when it does not exist.
    /// [`Index::matching`] returns the object if any of them matches; a PushSecret only for an exact event.
    pub fn compare(&self, target: &ObjectRef, event: &Event) -> Option<Vec<Compared>> {
        let id = *self.ids.get(target)?;
        let object = self.objects.get(id)?;
        let owner = (id, target.namespace());
        let in_vain = self.only_finds_in_vain(object);
        let compared = object.references.iter().enumerate();
        let compared = compared.filter_map(|(place, entry)| {
            let store = self.stores.get(entry.store)?;
            let form = (place, &entry.form);
            let named = self.details.named(owner, form, store, &store.view);
            let reading = named.reading();
            let mut differs = self.differs(target, store, &reading, event);
            // Else it is skipped for this.
            if matches!(reading, Reading::Find(_)) && !store.view.rules().can_find() && !in_vain {
                differs.push(Differs::FindNotSupported);
            }
            Some(Compared {
                store: Some(store.name.clone()),
                provider: match &store.view.family {
                    Family::Of(provider) => Some(provider.clone()),
                    Family::Any | Family::Unknown => None,
                },
                reads: match &entry.form {
                    lookup::Form::Key(key) => Reads::Key(key.to_string()),
                    lookup::Form::Find(find) => Reads::Find(find.spec().clone()),
                },
                differs,
            })
        });
        let templates = self.templates.of(id).iter().map(|source| Compared {
            store: None,
            provider: None,
            reads: Reads::Template(source.clone()),
            differs: self.template_differs(object, source, event),
        });
        Some(compared.chain(templates).collect())
    }

    fn differs(
        &self,
        object: &ObjectRef,
        store: &StoreEntry,
        reading: &Reading<'_>,
        event: &Event,
    ) -> Vec<Differs> {
        let mut differs = Vec::new();
        if let Some(reach) = &event.target {
            if !reach.allows_namespace(object.namespace()) {
                differs.push(Differs::Namespace);
            }
            if !self.stores.is_within(&store.name, reach) {
                differs.push(Differs::Store);
            }
        }
        if event.kind == Kind::TemplateChanged {
            differs.push(Differs::Kind);
            return differs;
        }
        let readings = readings(event);
        let mut seen = readings.iter();
        let Some((view, query)) = seen.find_map(|(family, query)| {
            let view = view(family, store)?;
            let is_of_kind = view.rules().is_of_kind(reading, query);
            is_of_kind.then_some((view, query))
        }) else {
            differs.push(Differs::Provider);
            return differs;
        };
        let rules = view.rules();
        let same_secret = match (&event.matches, reading) {
            (Match::Exact(_), Reading::Key(remote)) => rules.reads(*remote, query),
            (Match::Exact(_), Reading::Find(pattern)) => rules.finds(pattern, query),
            (Match::Prefix(_), _) => rules.is_below(reading, query),
            (Match::Scope | Match::All, _) => true,
        };
        if !same_secret {
            differs.push(Differs::Secret);
        }
        if !reaches(store, reading, event) {
            let scope = elsewhere(store, reading, event);
            differs.push(Differs::Place { scope });
        }
        differs
    }

    fn template_differs(
        &self,
        object: &Object,
        source: &TemplateSource,
        event: &Event,
    ) -> Vec<Differs> {
        let mut differs = Vec::new();
        if let Some(reach) = &event.target {
            if !reach.allows_namespace(object.target.namespace()) {
                differs.push(Differs::Namespace);
            }
            if !self.reads_through_one_of(object, reach) {
                differs.push(Differs::Store);
            }
        }
        if event.kind != Kind::TemplateChanged {
            differs.push(Differs::Kind);
            return differs;
        }
        if !templates::sources(event).any(|named| named == *source) {
            differs.push(Differs::Secret);
        }
        if !templates::is_there(object, event) {
            let scope = event.scope.clone();
            differs.push(Differs::Place { scope });
        }
        differs
    }
}

/// Whether the reference reads in the event's place, as far as both are known.
fn reaches(store: &StoreEntry, reading: &Reading<'_>, event: &Event) -> bool {
    event.matches == Match::All
        || readings(event).iter().all(|(family, query)| {
            view(family, store).is_none_or(|view| view.rules().reaches(reading, query))
        })
}

/// The attributes of the event's scope that exclude the reference, each alone; or the whole scope, if only together.
fn elsewhere(store: &StoreEntry, reading: &Reading<'_>, event: &Event) -> BTreeMap<String, String> {
    // Alone, and together with the event's keys, which may override it.
    let leads = |scope: &BTreeMap<String, String>| {
        [Match::Scope, event.matches.clone()]
            .into_iter()
            .all(|matches| {
                let event = Event {
                    matches,
                    scope: scope.clone(),
                    ..event.clone()
                };
                !reaches(store, reading, &event)
            })
    };
    let alone = event.scope.iter().filter(|(name, value)| {
        let (name, value) = ((*name).clone(), (*value).clone());
        leads(&BTreeMap::from([(name, value)]))
    });
    let alone: BTreeMap<_, _> = alone
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if alone.is_empty() && leads(&event.scope) {
        event.scope.clone()
    } else {
        alone
    }
}
