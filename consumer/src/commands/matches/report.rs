//! The report: which objects each event matches, and why the ones asked for do not.

use std::collections::BTreeSet;

use anyhow::Context as _;
use eso_relay::{Event, Slug, event};
use serde::Serialize;
use serde_json::Value;

use crate::{
    config::FindPolicy,
    kubernetes::Listed,
    matching::{
        index::{
            self, Compared, Differs, FindSpec, Matched, MatchedWorkload, StoreRef, Unrestarted,
        },
        tenancy::NotPermitted,
    },
    object::{ObjectKind, ObjectRef, Unrefreshable},
};

#[derive(Debug, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a permission of its own"
)]
pub(super) struct Report {
    /// `None` when it is not configured.
    pub(super) cluster: Option<Slug>,
    /// How many were listed.
    pub(super) external_secrets: usize,
    pub(super) stores: usize,
    pub(super) without_cluster_stores: bool,
    pub(super) without_namespaces: bool,
    pub(super) without_kes: bool,
    /// Namespaces that may not be listed.
    pub(super) closed: Vec<String>,
    pub(super) without_finds: bool,
    /// The kinds of workload that may not be listed.
    pub(super) without_workloads: Vec<&'static str>,
    pub(super) events: Vec<Answer>,
}

/// The answer for one event.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// As in the stream.
    pub(super) event: Value,
    pub(super) reaches_cluster: bool,
    /// The objects that would be refreshed, each with the references that match.
    pub(super) matches: Vec<Object>,
    /// The objects that match but are skipped.
    pub(super) skipped: Vec<Left>,
    /// The workloads that read a secret of the event; empty unless `restart.enabled`.
    pub(super) workloads: Vec<Restart>,
    /// The objects asked for.
    pub(super) objects: Vec<Asked>,
    #[serde(skip)]
    pub(super) title: String,
    #[serde(skip)]
    pub(super) provider: Slug,
}

#[derive(Debug, Serialize)]
pub(super) struct Object {
    pub(super) namespace: String,
    pub(super) name: String,
    /// As in logs.
    #[serde(skip)]
    pub(super) target: String,
    /// Whether it has `spec.syncWindows`, which do not delay a refresh by an event.
    pub(super) sync_windows: bool,
    pub(super) references: Vec<Reference>,
}

#[derive(Debug, Serialize)]
pub(super) struct Left {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) reason: &'static str,
    pub(super) advice: &'static str,
    /// What its namespace does not permit, if that is the reason.
    pub(super) not_permitted: Option<NotPermitted>,
}

#[derive(Debug, Serialize)]
pub(super) struct Restart {
    pub(super) namespace: String,
    /// `Deployment/web`.
    pub(super) workload: String,
    /// ESO syncs these before it is restarted.
    pub(super) after: Vec<String>,
    /// Whether it reads a secret of the event from the store itself.
    pub(super) reads_store: bool,
    /// Why it is not restarted.
    pub(super) reason: Option<&'static str>,
    pub(super) advice: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Asked {
    #[serde(flatten)]
    pub(super) object: Object,
    pub(super) state: State,
    /// Its malformed fields.
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Matches,
    /// It matches, and is among the answer's `skipped`.
    Skipped,
    Differs,
    NotFound,
    /// Its namespace was not listed.
    NotLookedAt,
}

#[derive(Debug, Serialize)]
pub(super) struct Reference {
    /// `None` for a template's.
    pub(super) store: Option<Store>,
    #[serde(flatten)]
    pub(super) reads: Reads,
    pub(super) differs: Vec<Differs>,
}

#[derive(Debug, Serialize)]
pub(super) struct Store {
    /// `None` for what an object of KES says itself.
    pub(super) kind: Option<event::StoreKind>,
    pub(super) name: String,
    /// `None` when the store is missing, or may not be listed.
    pub(super) provider: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reads {
    Key(String),
    Find {
        path: Option<String>,
        regexp: Option<String>,
    },
    /// `ConfigMap/<name>` or `Secret/<name>`.
    Template(String),
}

impl Report {
    /// `namespaces`: those that were listed; empty: all.
    pub(super) fn of(
        events: &[Event],
        cluster: Option<Slug>,
        asked: &[ObjectRef],
        namespaces: &[String],
        listed: &Listed,
    ) -> anyhow::Result<Self> {
        let index = &listed.index;
        let answers = events.iter().map(|event| {
            let reaches = cluster
                .as_ref()
                .is_none_or(|cluster| event.reaches_cluster(cluster));
            Answer::of(event, reaches, asked, namespaces, listed)
        });
        let stats = index.stats();
        Ok(Self {
            events: answers.collect::<Result<_, _>>()?,
            cluster,
            external_secrets: stats.objects,
            stores: stats.stores,
            without_cluster_stores: listed.without_cluster_stores,
            without_namespaces: listed.without_namespaces,
            without_kes: listed.without_kes,
            closed: listed.closed.iter().cloned().collect(),
            without_finds: listed.find == FindPolicy::Ignore,
            without_workloads: listed
                .without_workloads
                .iter()
                .map(|kind| kind.as_str())
                .collect(),
        })
    }

    /// Notes that are needed to interpret the answer.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let of_clusters = |answer: &Answer| answer.event["data"]["target"]["clusters"].is_array();
        if self.cluster.is_none() && self.events.iter().any(of_clusters) {
            notes.push("The event is for some clusters only, and the name of this one is unknown: pass its consumer's file as --config.".to_owned());
        }
        if self.without_cluster_stores {
            notes.push("No permission to list clustersecretstores: objects that read through one are compared by their keys alone.".to_owned());
        }
        if self.without_kes {
            notes.push("No permission to list externalsecrets of kubernetes-client.io: none of KES is refreshed.".to_owned());
        }
        if self.without_namespaces {
            notes.push("No permission to list namespaces: a namespaceSelector of a store allows every namespace.".to_owned());
        }
        if !self.closed.is_empty() {
            let closed = self.closed.join(", ");
            notes.push(format!("No permission to list externalsecrets or secretstores in {closed}: their objects are not part of this."));
        }
        if !self.without_workloads.is_empty() {
            let kinds = self.without_workloads.join(", ");
            notes.push(format!("No permission to list workloads of these kinds: {kinds}. None of them is restarted."));
        }
        if self.without_finds {
            notes.push("Every dataFrom[].find is ignored (setting `refresh.find`).".to_owned());
        }
        let matches = self.events.iter().flat_map(|answer| &answer.matches);
        let windows: BTreeSet<_> = matches
            .filter(|object| object.sync_windows)
            .map(|object| format!("{}/{}", object.namespace, object.name))
            .map(|name| name.trim_start_matches('/').to_owned())
            .collect();
        if !windows.is_empty() {
            let windows = Vec::from_iter(windows).join(", ");
            notes.push(format!("The spec.syncWindows of {windows} delay refreshes by refreshInterval, but not a refresh by an event."));
        }
        if self.events.iter().all(|answer| answer.matches.is_empty()) {
            let asked = self.events.iter().any(|answer| !answer.objects.is_empty());
            let hint = if asked {
                ""
            } else {
                "; --object NAMESPACE/NAME explains why one does not"
            };
            let all = self.external_secrets;
            notes.push(format!("None of {all} ExternalSecrets matches{hint}."));
        }
        notes
    }
}

impl Answer {
    fn of(
        event: &Event,
        reaches_cluster: bool,
        asked: &[ObjectRef],
        namespaces: &[String],
        listed: &Listed,
    ) -> anyhow::Result<Self> {
        let index = &listed.index;
        let mut meant = if reaches_cluster {
            index.matching_all_workloads(event)
        } else {
            Matched::default()
        };
        meant.targets.sort();
        meant
            .workloads
            .sort_by(|one, other| one.workload.cmp(&other.workload));
        meant
            .skipped
            .sort_by(|one, other| one.target.cmp(&other.target));
        let is_skipped =
            |target: &ObjectRef| meant.skipped.iter().any(|left| left.target == *target);
        let asked = asked.iter().map(|target| {
            let outside =
                !namespaces.is_empty() && namespaces.iter().all(|name| name != target.namespace());
            let references = index.compare(target, event);
            let state = match &references {
                _ if outside => State::NotLookedAt,
                None => State::NotFound,
                Some(_) if is_skipped(target) => State::Skipped,
                // Perhaps through its owner.
                Some(references)
                    if reaches_cluster && references.iter().any(Compared::is_meant) =>
                {
                    State::Matches
                }
                Some(_) => State::Differs,
            };
            Asked {
                object: Object {
                    sync_windows: index.has_sync_windows(target),
                    ..Object::of(target, references.unwrap_or_default())
                },
                state,
                problems: index.problems_of(target).to_vec(),
            }
        });
        let objects = asked.collect();
        let matches = meant.targets.iter().map(|target| {
            let mut read = index.owned(target).chain([target]);
            let references = read.find_map(|object| {
                let mut references = index.compare(object, event)?;
                references.retain(Compared::is_meant);
                (!references.is_empty()).then_some(references)
            });
            Object {
                sync_windows: index.has_sync_windows(target),
                ..Object::of(target, references.unwrap_or_default())
            }
        });
        let skipped = meant.skipped.iter().map(|left| Left {
            namespace: left.target.namespace().to_owned(),
            name: Object::of(&left.target, Vec::new()).name,
            reason: left.reason.as_str(),
            advice: left.reason.advice(),
            not_permitted: index
                .not_permitted(&left.target)
                .filter(|_| left.reason == Unrefreshable::NotPermitted),
        });
        Ok(Self {
            event: serde_json::from_slice(&event::encode(event)).context("cannot print JSON")?,
            reaches_cluster,
            matches: matches.collect(),
            skipped: skipped.collect(),
            workloads: (meant.workloads.iter())
                .map(|matched| Restart::of(matched, listed.restart_by_find))
                .collect(),
            objects,
            title: format!("Event {} of {}", event.id, event.provider),
            provider: event.provider.clone(),
        })
    }
}

impl Restart {
    fn of(matched: &MatchedWorkload, by_find: bool) -> Self {
        let Object {
            namespace, name, ..
        } = Object::of(&matched.workload, Vec::new());
        let against = matched.against;
        let against = against.filter(|reason| !by_find || *reason != Unrestarted::Find);
        Self {
            namespace,
            workload: name,
            after: matched.follows.iter().map(ObjectRef::to_string).collect(),
            reads_store: matched.reads_store,
            reason: against.map(Unrestarted::as_str),
            advice: against.map(Unrestarted::advice),
        }
    }
}

impl Object {
    fn of(target: &ObjectRef, references: Vec<Compared>) -> Self {
        Self {
            namespace: target.namespace().to_owned(),
            // With its kind, unless it is an ExternalSecret.
            name: match target.kind() {
                ObjectKind::ExternalSecret => target.name().to_owned(),
                ObjectKind::ClusterExternalSecret => target.to_string(),
                ObjectKind::Workload(kind) => format!("{}/{}", kind.as_str(), target.name()),
                ObjectKind::KesExternalSecret => format!("KES/{}", target.name()),
                ObjectKind::PushSecret => format!("PushSecret/{}", target.name()),
            },
            target: target.to_string(),
            sync_windows: false,
            references: references.into_iter().map(Reference::of).collect(),
        }
    }
}

impl Reference {
    fn of(compared: Compared) -> Self {
        let Compared {
            store,
            provider,
            reads,
            differs,
        } = compared;
        let provider = provider.map(|provider| provider.to_string());
        Self {
            store: store.map(|store| Store::of(&store, provider)),
            reads: match reads {
                index::Reads::Key(key) => Reads::Key(key),
                index::Reads::Find(FindSpec { path, regexp, .. }) => Reads::Find { path, regexp },
                index::Reads::Template(source) => Reads::Template(source.to_string()),
            },
            differs,
        }
    }
}

impl Store {
    fn of(store: &StoreRef, provider: Option<String>) -> Self {
        Self {
            kind: store.kind(),
            name: store.name().to_owned(),
            provider,
        }
    }

    /// Whether its provider is unknown.
    pub(super) fn is_unknown(&self) -> bool {
        self.provider.is_none()
    }
}
