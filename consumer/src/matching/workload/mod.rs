//! Workloads: Deployments, StatefulSets, DaemonSets and Rollouts of Argo. What they read, whether they have opted in to
//! restarts, and their state.
//!
//! A variable of a pod may hold a secret as plain text. So a workload is reduced to a `Manifest` when it is read from
//! the API, which keeps no value of a variable but the path of a reference to a store.

mod annotations;
mod opt_in;
mod reads;
mod references;
mod rollout;

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use self::{annotations::Annotations, opt_in::OptIn, reads::Uses, rollout::Progress};
pub use self::{
    opt_in::Honour,
    reads::ValuesRef,
    references::{StoreReference, Takes},
};
use crate::{
    matching::provider::Regexp,
    object::{
        Counter, ObjectKind, ObjectRef, RESTARTED_FOR_ANNOTATION, Uid, WorkloadKind, WorkloadState,
    },
};

const INTERVAL: &str = "eso-relay.dev/restart-interval";

/// A workload that has opted in, reduced to what is needed here.
#[derive(Debug, Clone)]
pub struct Workload {
    pub target: ObjectRef,
    pub uid: Option<Uid>,
    pub state: WorkloadState,
    /// The Secrets and ConfigMaps whose new values it sees only after a restart.
    pub reads: Vec<Read>,
    pub patterns: Option<Arc<Patterns>>,
    pub references: Vec<StoreReference>,
    /// Its malformed fields. The others count.
    pub problems: Vec<String>,
}

/// A Secret or a ConfigMap that a workload is restarted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub values: ValuesRef,
    pub by: By,
}

/// The annotation by which it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// One of ours.
    Own,
    /// Of Stakater's Reloader.
    Reloader,
    /// The same, only where the Secret or ConfigMap asks for it.
    ReloaderSearch,
}

/// Names of Secrets and ConfigMaps by regular expressions, of Stakater's Reloader.
#[derive(Debug, Default)]
pub struct Patterns {
    patterns: Vec<NamePattern>,
    excluded: Vec<ValuesRef>,
}

#[derive(Debug)]
struct NamePattern {
    kind: &'static str,
    regexp: Regexp,
}

impl Patterns {
    pub(crate) fn name(&self, values: &ValuesRef) -> bool {
        let fits = |pattern: &NamePattern| {
            pattern.kind == opt_in::kind_of(values)
                && pattern.regexp.may_match(opt_in::name(values))
        };
        !self.excluded.contains(values) && self.patterns.iter().any(fits)
    }
}

impl Workload {
    /// Whether anything can restart it.
    pub(crate) fn may_restart(&self) -> bool {
        let moves = |reference: &StoreReference| reference.takes != Takes::Pinned;
        !self.reads.is_empty() || self.patterns.is_some() || self.references.iter().any(moves)
    }
}

/// A workload as the API shows it, without what is not read.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    version: Box<str>,
    uid: Option<Uid>,
    annotations: Annotations,
    uses: Uses,
    references: Vec<StoreReference>,
    progress: Progress,
    deleting: bool,
    problems: Problems,
}

impl Manifest {
    pub(crate) fn of(metadata: &Value, spec: &Value, status: &Value) -> Self {
        let (mut problems, template) = (Problems::default(), &spec["template"]);
        let pod = &template["spec"];
        let annotations = Annotations::of(metadata, &template["metadata"]);
        Self {
            version: metadata["resourceVersion"]
                .as_str()
                .unwrap_or_default()
                .into(),
            uid: metadata["uid"].as_str().and_then(|uid| uid.parse().ok()),
            uses: reads::of(pod, &mut problems),
            references: references::of(pod, &annotations, &mut problems),
            progress: Progress::of(metadata, spec, status),
            deleting: !metadata["deletionTimestamp"].is_null(),
            annotations,
            problems,
        }
    }

    /// `None` if it has not opted in, or is being deleted.
    pub(crate) fn workload(&self, target: ObjectRef, honour: &[Honour]) -> Option<Workload> {
        let ObjectKind::Workload(kind) = target.kind() else {
            return None;
        };
        let mut problems = self.problems.clone();
        let opt_in = opt_in::of(&self.annotations, &self.uses, honour, &mut problems);
        if opt_in.is_none() && problems.0.len() == self.problems.0.len() || self.deleting {
            return None;
        }
        let OptIn {
            reads,
            patterns,
            references,
            counter,
        } = opt_in.unwrap_or_default();
        Some(Workload {
            target,
            uid: self.uid,
            state: self.state(kind, counter, &mut problems),
            reads,
            patterns,
            references: if references {
                self.references.clone()
            } else {
                Vec::new()
            },
            problems: problems.0,
        })
    }

    fn state(
        &self,
        kind: WorkloadKind,
        counter: Counter,
        problems: &mut Problems,
    ) -> WorkloadState {
        // A Rollout is restarted by a field of its spec, not by its pod template.
        let ours = match kind {
            WorkloadKind::Rollout => &self.annotations.object,
            WorkloadKind::DaemonSet | WorkloadKind::Deployment | WorkloadKind::StatefulSet => {
                &self.annotations.template
            }
        };
        let marks = annotations::list(ours.get(RESTARTED_FOR_ANNOTATION).unwrap_or_default());
        let count = ours.get(counter.annotation());
        WorkloadState {
            version: self.version.clone(),
            marks: marks.filter_map(|mark| mark.parse().ok()).collect(),
            counter,
            restarts: count
                .and_then(|count| count.parse().ok())
                .unwrap_or_default(),
            rollout: self.progress.rollout(kind),
            interval: self.interval(problems),
        }
    }

    fn interval(&self, problems: &mut Problems) -> Option<Duration> {
        let text = self.annotations.get(INTERVAL)?;
        let interval = eso_relay::config::duration::parse(text);
        if interval.is_none() {
            problems.add(INTERVAL, "is not a duration such as 10m");
        }
        interval
    }
}

/// What could not be read, without the values.
#[derive(Debug, Clone, Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, place: &str, problem: &str) {
        let problem = format!("{place} {problem}");
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    fn list<'v>(&mut self, parent: &'v Value, field: &str, place: &str) -> &'v [Value] {
        match &parent[field] {
            Value::Null => &[],
            Value::Array(list) => list,
            _ => {
                self.add(&format!("{field} of {place}"), "is not a list");
                &[]
            }
        }
    }
}

#[cfg(test)]
mod tests;
