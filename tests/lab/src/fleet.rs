//! A large cluster: 50 ExternalSecrets to a store, two stores to a namespace, two keys to an
//! ExternalSecret. As objects for a stand-in, and as changes for the consumer's index.

use std::collections::BTreeMap;

use eso_relay::{
    Event, Slug,
    command::clock,
    event::{Keys, Kind, Match, Operation, Pattern, Reach},
};
use eso_relay_consumer::{
    matching::{
        index::{Admits, Change, ExternalSecret, Form, Index, Reference, Store, StoreRef},
        provider::Backend,
        workload::{By, Read, ValuesRef, Workload},
    },
    object::{Counter, ObjectRef, RestartMarks, Rollout, WorkloadKind, WorkloadState},
};

use crate::{
    cluster::{Fixture, external_secret, store},
    workloads,
};

pub const PER_STORE: usize = 50;
pub const PER_NAMESPACE: usize = 100;

/// So many ExternalSecrets; number n reads key n.
#[derive(Debug, Clone, Copy)]
pub struct Fleet(pub usize);

/// A path of Akeyless.
pub fn key(number: usize) -> String {
    format!("/prod/team-{}/application-{number}/database", number % 50)
}

pub fn name(number: usize) -> String {
    format!("application-{number}-database")
}

/// That of the ExternalSecret.
pub fn namespace(number: usize) -> String {
    format!("team-{:03}", number / PER_NAMESPACE)
}

/// That of the ExternalSecret, in its namespace.
pub fn store_name(number: usize) -> String {
    format!("akeyless-{}", number / PER_STORE % 2)
}

pub fn target(number: usize) -> ObjectRef {
    ObjectRef::new(&namespace(number), &name(number))
}

pub fn store_ref(number: usize) -> StoreRef {
    StoreRef::Namespaced {
        namespace: namespace(number),
        name: store_name(number),
    }
}

pub fn certificate(number: usize) -> String {
    format!("{}-tls", key(number))
}

impl Fleet {
    /// Of the first ExternalSecret of each store.
    pub fn stores(self) -> impl Iterator<Item = usize> {
        (0..self.0).step_by(PER_STORE)
    }

    /// What an API holds: ExternalSecrets that ESO has synced, with as much text beside the keys as
    /// they usually have.
    pub fn fixtures(self) -> impl Iterator<Item = Fixture> {
        let stores = self.stores().map(|first| {
            let store = store(&store_name(first)).in_namespace(&namespace(first));
            store.akeyless().into()
        });
        let objects = (0..self.0).map(|number| {
            let applied = "kubectl.kubernetes.io/last-applied-configuration";
            external_secret(&name(number))
                .in_namespace(&namespace(number))
                .from_store(&store_name(number))
                .key(&key(number))
                .key(&certificate(number))
                .annotated(applied, &"x".repeat(700))
                .labelled("app.kubernetes.io/name", &name(number))
                .synced()
                .into()
        });
        stores.chain(objects)
    }

    /// Deployments that follow the Secrets of the first ExternalSecrets, with as much text beside them.
    pub fn followers(count: usize) -> impl Iterator<Item = Fixture> {
        (0..count).map(|number| {
            let applied = "kubectl.kubernetes.io/last-applied-configuration";
            let deployment = workloads::Workload::deployment(&namespace(number), &name(number));
            let deployment = deployment.reads_secret(&name(number)).restart();
            deployment.annotated(applied, &"x".repeat(700)).into()
        })
    }

    /// Those of [`Self::fixtures`], as the consumer's watch tells it.
    pub fn index(self) -> Index {
        let mut index = Index::new();
        for first in self.stores() {
            index.apply(Change::StoreApplied(Store {
                name: store_ref(first),
                backend: Some(Backend::Akeyless),
                admits: Admits::default(),
            }));
        }
        for number in 0..self.0 {
            index.apply(Change::Applied(as_read(number)));
        }
        index.apply(Change::Synced);
        index
    }
}

/// What the consumer knows of an ExternalSecret.
pub fn as_read(number: usize) -> ExternalSecret {
    let reference = |key| Reference {
        store: store_ref(number),
        form: Form::Key(key),
        version: None,
        property: None,
    };
    let references = vec![reference(key(number)), reference(certificate(number))];
    ExternalSecret::new(target(number), references)
}

/// What the consumer knows of a workload that follows the Secret of an ExternalSecret.
pub fn follower(number: usize) -> Workload {
    let secret = target(number);
    let values = ValuesRef::Secret(secret.name().into());
    Workload {
        target: ObjectRef::workload(WorkloadKind::Deployment, secret.namespace(), secret.name()),
        uid: None,
        state: WorkloadState {
            version: "1".into(),
            marks: RestartMarks::default(),
            counter: Counter::Own,
            restarts: 0,
            rollout: Rollout::Done,
            interval: None,
        },
        reads: vec![Read {
            values,
            by: By::Own,
        }],
        patterns: None,
        references: Vec::new(),
        problems: Vec::new(),
    }
}

/// A key of one ExternalSecret has changed.
pub fn changed(id: &str, number: usize) -> anyhow::Result<Event> {
    let matches = Match::Exact(Keys::one(key(number))?);
    event(id, "exact", Kind::SecretChanged, matches)
}

/// Everything may have changed for those in the namespaces of the first so many ExternalSecrets.
/// Whole tens of namespaces, which share the beginning of their names.
pub fn scope_changed(id: &str, objects: usize) -> anyhow::Result<Event> {
    let tens = (0..objects).step_by(10 * PER_NAMESPACE);
    let namespaces = tens.map(|first| {
        let mut pattern = namespace(first);
        pattern.pop();
        Pattern::new(pattern + "*")
    });
    let reach = Reach {
        namespaces: namespaces.collect(),
        ..Reach::default()
    };
    let place = ("gateway".to_owned(), "api.akeyless.io".to_owned());
    Ok(Event {
        scope: BTreeMap::from([place]),
        target: Some(reach),
        ..event(id, "mass", Kind::ScopeChanged, Match::Scope)?
    })
}

fn event(id: &str, source: &str, kind: Kind, matches: Match) -> anyhow::Result<Event> {
    let provider: Slug = "akeyless".parse()?;
    let source = source.parse()?;
    Ok(Event {
        kind,
        provider,
        operation: Operation::Updated,
        matches,
        target: None,
        ..Event::refresh_everything(source, id.to_owned(), Reach::default(), clock())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn its_events_match_what_they_name() {
        let index = Fleet(2000).index();
        let matched = |event: Event| index.matching(&event).targets;
        assert_eq!(matched(changed("one", 1234).unwrap()), [target(1234)]);
        let found: BTreeSet<_> = matched(scope_changed("many", 1000).unwrap())
            .into_iter()
            .collect();
        assert_eq!(found, (0..1000).map(target).collect());
    }

    #[test]
    fn it_has_fifty_objects_to_a_store_and_two_stores_to_a_namespace() {
        let (index, fixtures) = (Fleet(200).index(), Fleet(200).fixtures());
        assert_eq!((index.stats().objects, index.stats().stores), (200, 4));
        let places: BTreeSet<_> = fixtures
            .filter_map(|fixture| fixture.namespace().map(str::to_owned))
            .collect();
        assert_eq!(
            places.into_iter().collect::<Vec<_>>(),
            ["team-000", "team-001"]
        );
    }
}
