//! Whether a workload has opted in to restarts, and for what.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    By, NamePattern, Patterns, Problems, Read,
    annotations::{Annotations, OLD_RELOADER, RELOADER, list},
    reads::{Seen, Uses, ValuesRef},
};
use crate::{matching::provider::Regexp, object::Counter};

const RESTART: &str = "eso-relay.dev/restart";
const VOLUMES: &str = "eso-relay.dev/restart-volumes";
/// Of the vault-secrets-reloader, after its prefix.
const RELOAD_ON_CHANGE: &str = "reload-on-secret-change";

/// A tool whose annotations on workloads count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Honour {
    /// Reloader of Stakater: `reloader.stakater.com/auto` and its other annotations. Not where it runs itself: both
    /// would restart the same workload.
    Stakater,
}

/// What a workload has opted in to.
#[derive(Debug, Default)]
pub(super) struct OptIn {
    pub(super) reads: Vec<Read>,
    pub(super) patterns: Option<Arc<Patterns>>,
    /// Whether its references to stores count.
    pub(super) references: bool,
    pub(super) counter: Counter,
}

/// `None` without an opt-in.
pub(super) fn of(
    annotations: &Annotations,
    uses: &Uses,
    honour: &[Honour],
    problems: &mut Problems,
) -> Option<OptIn> {
    let own = own(annotations, uses, problems);
    let seed = of_vault_secrets_reloader(annotations);
    let honoured = honour.contains(&Honour::Stakater);
    let stakater = honoured
        .then(|| of_stakater(annotations, uses, problems))
        .flatten();
    if own.is_none() && seed.is_none() && stakater.is_none() {
        return None;
    }
    let mut opt_in = OptIn {
        counter: match (&own, seed) {
            (None, Some(counter)) => counter,
            _ => Counter::Own,
        },
        references: seed.is_some(),
        ..OptIn::default()
    };
    if let Some(Own { reads, references }) = own {
        opt_in.reads = reads;
        opt_in.references |= references;
    }
    if let Some((reads, patterns)) = stakater {
        let own: Vec<_> = opt_in
            .reads
            .iter()
            .map(|read| read.values.clone())
            .collect();
        opt_in
            .reads
            .extend(reads.into_iter().filter(|read| !own.contains(&read.values)));
        opt_in.patterns = patterns;
    }
    Some(opt_in)
}

struct Own {
    reads: Vec<Read>,
    references: bool,
}

/// `true`, or names of Secrets, or both.
fn own(annotations: &Annotations, uses: &Uses, problems: &mut Problems) -> Option<Own> {
    let text = annotations.get(RESTART)?;
    let volumes = annotations.get(VOLUMES) == Some("true");
    let mut own = Own {
        reads: Vec::new(),
        references: false,
    };
    let mut add = |values: &ValuesRef| {
        let read = Read {
            values: values.clone(),
            by: By::Own,
        };
        if !own.reads.contains(&read) {
            own.reads.push(read);
        }
    };
    let mut any = false;
    for part in list(text).filter(|part| *part != "false") {
        if part == "true" {
            let counts = |seen: Seen| volumes || seen == Seen::AtStart;
            uses.iter()
                .filter(|(_, seen)| counts(**seen))
                .for_each(|(values, _)| add(values));
            (any, own.references) = (true, true);
        } else if is_name(part) {
            add(&ValuesRef::Secret(part.into()));
            any = true;
        } else {
            problems.add(
                RESTART,
                "is neither true, false nor a list of names of Secrets",
            );
        }
    }
    any.then_some(own)
}

/// A name of an object (DNS subdomain).
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| inner(*byte))
        && bytes.last().is_some_and(|byte| inner(*byte))
        && bytes
            .iter()
            .all(|byte| inner(*byte) || matches!(byte, b'-' | b'.'))
}

/// On the pod template, exactly `true`.
fn of_vault_secrets_reloader(annotations: &Annotations) -> Option<Counter> {
    let prefixes = [
        (RELOADER, Counter::SecretsReloader),
        (OLD_RELOADER, Counter::Banzaicloud),
    ];
    let mut opted_in = prefixes.into_iter().filter(|(prefix, _)| {
        annotations
            .template
            .is_true(&format!("{prefix}{RELOAD_ON_CHANGE}"))
    });
    Some(opted_in.next()?.1)
}

/// The kinds of object, as Reloader's annotations call them.
const KINDS: [(&str, &str); 2] = [("secret", "secrets"), ("configmap", "configmaps")];
const AUTO: &str = "reloader.stakater.com/auto";
const SEARCH: &str = "reloader.stakater.com/search";

/// Reloader of Stakater (stakater/Reloader `pkg/common/common.go`, `ShouldReload`): all annotations but those that
/// exclude are taken from the workload, or from the pod template if the workload has none of them.
fn of_stakater(
    annotations: &Annotations,
    uses: &Uses,
    problems: &mut Problems,
) -> Option<(Vec<Read>, Option<Arc<Patterns>>)> {
    let (mut reads, mut patterns) = (Vec::new(), Patterns::default());
    let mut any = false;
    for (kind, plural) in KINDS {
        let reload = format!("{kind}.reloader.stakater.com/reload");
        let typed_auto = format!("{kind}.reloader.stakater.com/auto");
        let asked = [AUTO, SEARCH, &reload, &typed_auto];
        let on_object = asked
            .iter()
            .any(|name| annotations.object.get(name).is_some());
        let from = if on_object {
            &annotations.object
        } else {
            &annotations.template
        };
        let excluded = format!("{plural}.exclude.reloader.stakater.com/reload");
        let excluded: Vec<_> =
            list(annotations.object.get(&excluded).unwrap_or_default()).collect();
        let is_excluded = |values: &ValuesRef| excluded.contains(&name(values));
        let auto = [AUTO, &typed_auto]
            .iter()
            .any(|name| from.get(name).is_some_and(is_true_in_go));
        let search = from.is_true(SEARCH);
        if auto || search {
            any = true;
            let by = if auto {
                By::Reloader
            } else {
                By::ReloaderSearch
            };
            let of_kind = uses
                .keys()
                .filter(|values| kind_of(values) == kind && !is_excluded(values));
            reads.extend(of_kind.map(|values| Read {
                values: values.clone(),
                by,
            }));
        }
        for source in list(from.get(&reload).unwrap_or_default()) {
            match Regexp::new(&format!("^{source}$")) {
                (regexp, None) => {
                    any = true;
                    patterns.patterns.push(NamePattern { kind, regexp });
                }
                (_, Some(_)) => {
                    problems.add(&reload, "has a regular expression that cannot be evaluated");
                }
            }
        }
        let excluded = excluded.into_iter().map(|name| match kind {
            "secret" => ValuesRef::Secret(name.into()),
            _ => ValuesRef::ConfigMap(name.into()),
        });
        patterns.excluded.extend(excluded);
    }
    let patterns = Some(patterns).filter(|patterns| !patterns.patterns.is_empty());
    any.then(|| (reads, patterns.map(Arc::new)))
}

pub(super) fn kind_of(values: &ValuesRef) -> &'static str {
    match values {
        ValuesRef::Secret(_) => "secret",
        ValuesRef::ConfigMap(_) => "configmap",
    }
}

pub(super) fn name(values: &ValuesRef) -> &str {
    match values {
        ValuesRef::Secret(name) | ValuesRef::ConfigMap(name) => name,
    }
}

/// Go's `strconv.ParseBool`.
fn is_true_in_go(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "TRUE" | "true" | "True")
}
