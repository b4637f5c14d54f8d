//! Decides by configuration and the objects' own settings what may be refreshed. Sources: [`Unrefreshable`].

use serde_json::Value;

use super::object::{Directive, Object};
use crate::{
    config::{
        FindPolicy, ForcePolicy, GeneratorPolicy, KesConfig, KubernetesConfig, RefreshConfig,
        RestartConfig, TenancyConfig,
    },
    matching::{
        index::{Admits, Admitted},
        selector::{LabelSelector, Labels},
        tenancy::{Claims, Permitted, Tenancy},
        workload::Honour,
    },
    object::{Refreshable, Unrefreshable},
};

/// Which objects the configuration selects. By default all.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub(crate) struct Selection {
    /// Of ExternalSecrets, by their labels.
    pub labels: LabelSelector,
    /// Values of `spec.controller` of a store; empty for any.
    pub controller_classes: Vec<String>,
    pub find: FindPolicy,
    pub generators: GeneratorPolicy,
    /// Policies that are overridden.
    pub force: Vec<ForcePolicy>,
    /// Whether PushSecrets are refreshed.
    pub push_secrets: bool,
    /// Whether ExternalSecrets of KES are refreshed.
    pub kes: bool,
    /// Which objects their namespace must permit.
    pub tenancy: Option<Tenancy>,
    /// Whether workloads are restarted.
    pub workloads: bool,
    /// Whether an event that matches only a `find` restarts them.
    pub restart_by_find: bool,
    /// Tools whose annotations on workloads count.
    pub honour: Vec<Honour>,
}

impl Selection {
    pub(crate) fn of(
        kubernetes: &KubernetesConfig,
        refresh: &RefreshConfig,
        restart: &RestartConfig,
        kes: &KesConfig,
        tenancy: &TenancyConfig,
    ) -> Self {
        Self {
            labels: refresh.selector.clone().unwrap_or_default(),
            controller_classes: kubernetes.controller_classes.clone(),
            find: refresh.find,
            generators: refresh.generators,
            force: refresh.force.clone(),
            push_secrets: refresh.push_secrets,
            kes: kes.enabled,
            tenancy: tenancy.rule(kes, kubernetes),
            workloads: restart.enabled,
            restart_by_find: restart.find,
            honour: restart.honour.clone(),
        }
    }
}

pub(super) fn refreshable(object: &Object, selection: &Selection) -> Refreshable {
    let generators = selection.generators;
    if let Some(reason) = unrefreshable(object, selection) {
        Refreshable::No(reason)
    } else if generators == GeneratorPolicy::Always || !has_generator(&object.spec) {
        Refreshable::Yes
    } else if generators == GeneratorPolicy::Keys {
        Refreshable::ByKey
    } else {
        Refreshable::No(Unrefreshable::Generator)
    }
}

/// For a PushSecret: a change of the metadata is pushed whatever its policy and interval (ESO
/// `pushsecret_controller.go`, `shouldRefresh`).
pub(super) fn pushable(object: &Object, selection: &Selection) -> Refreshable {
    let mints = object.spec["selector"]["generatorRef"].is_object();
    if let Some(reason) = left_out(object.into(), selection) {
        Refreshable::No(reason)
    } else if mints && selection.generators == GeneratorPolicy::Never {
        Refreshable::No(Unrefreshable::Generator)
    } else {
        Refreshable::Yes
    }
}

/// What excludes an object of any kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Excludable<'o> {
    pub(super) deleting: bool,
    pub(super) directive: Directive,
    pub(super) labels: &'o Value,
}

impl<'o> From<&'o Object> for Excludable<'o> {
    fn from(object: &'o Object) -> Self {
        Self {
            deleting: object.deleting,
            directive: object.directive,
            labels: &object.labels,
        }
    }
}

/// Why an object of any kind is excluded.
pub(super) fn left_out(object: Excludable<'_>, selection: &Selection) -> Option<Unrefreshable> {
    if object.deleting {
        Some(Unrefreshable::Deleting)
    } else if object.directive == Directive::Ignored {
        Some(Unrefreshable::Ignored)
    } else if !selected(object.labels, &selection.labels) {
        Some(Unrefreshable::NotSelected)
    } else {
        None
    }
}

/// `None` when a change of its annotation refreshes it, or when that is unknown.
fn unrefreshable(object: &Object, selection: &Selection) -> Option<Unrefreshable> {
    let policy = || policy(object).filter(|policy| !forces(object, selection, *policy));
    left_out(object.into(), selection)
        .or_else(|| policy().map(ForcePolicy::reason))
        .or_else(|| is_immutable(object).then_some(Unrefreshable::Immutable))
}

/// Whether its policy makes ESO skip it, and that is overridden. Also before its first sync, which ESO may have
/// done before the watch shows it.
pub(super) fn is_forced(object: &Object, selection: &Selection) -> bool {
    declared(&object.spec).is_some_and(|policy| forces(object, selection, policy))
}

fn forces(object: &Object, selection: &Selection, policy: ForcePolicy) -> bool {
    object.directive == Directive::Forced || selection.force.contains(&policy)
}

/// The policy by which ESO does not read its values again when the metadata change. Before the first sync, and
/// while the target is missing, ESO reads them whatever the policy.
fn policy(object: &Object) -> Option<ForcePolicy> {
    let pending = object.pending;
    let reads_anyway = |policy: &ForcePolicy| match policy {
        ForcePolicy::CreatedOnce => pending.first_read,
        ForcePolicy::IntervalZero => false,
    };
    if pending.first_sync || pending.target {
        return None;
    }
    declared(&object.spec).filter(|policy| !reads_anyway(policy))
}

fn declared(spec: &Value) -> Option<ForcePolicy> {
    let policy = spec["refreshPolicy"].as_str();
    let interval = spec["refreshInterval"].as_str();
    if policy == Some("CreatedOnce") {
        Some(ForcePolicy::CreatedOnce)
    } else if policy != Some("OnChange") && interval.is_some_and(never_elapses) {
        Some(ForcePolicy::IntervalZero)
    } else {
        None
    }
}

/// A target that is no Secret is written anyway (ESO `reconcileGenericTarget`).
fn is_immutable(object: &Object) -> bool {
    let target = &object.spec["target"];
    let is_secret = !target["manifest"].is_object();
    target["immutable"] == Value::Bool(true)
        && is_secret
        && object.written
        && !object.pending.target
}

/// Only in `dataFrom[]`: the API defines one in `data[]`, which ESO does not run (ESO `apis/externalsecrets/v1`).
fn has_generator(spec: &Value) -> bool {
    let entries = spec["dataFrom"].as_array();
    let generator = |entry: &Value| entry["sourceRef"]["generatorRef"].is_object();
    entries.is_some_and(|entries| entries.iter().any(generator))
}

fn selected(labels: &Value, selector: &LabelSelector) -> bool {
    if selector.selects_all() {
        return true;
    }
    selector.selects(&self::labels(labels))
}

/// `metadata.labels`.
pub(super) fn labels(labels: &Value) -> Labels {
    let label = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let labels = labels.as_object().into_iter().flatten();
    labels.filter_map(label).collect()
}

/// Whose objects a store admits. Malformed conditions admit every namespace. The conditions of a SecretStore are
/// not read, as in ESO.
pub(super) fn admits(object: &Object, is_cluster_store: bool, selection: &Selection) -> Admits {
    let classes = &selection.controller_classes;
    let class = object.spec["controller"].as_str().unwrap_or_default();
    Admits {
        foreign: !class.is_empty()
            && !classes.is_empty()
            && classes.iter().all(|ours| ours != class),
        namespaces: Some(&object.spec["conditions"])
            .filter(|_| is_cluster_store)
            .and_then(namespaces),
        role: selection
            .tenancy
            .as_ref()
            .and_then(|_| role(&object.spec["provider"])),
    }
}

/// The role of a store: of AWS, or by which it logs in to Vault.
fn role(provider: &Value) -> Option<String> {
    let vault = ["vault", "openBao"].map(|name| &provider[name]["auth"]);
    let mut roles = vec![&provider["aws"]["role"]];
    roles.extend(vault.iter().flat_map(|auth| {
        [
            &auth["kubernetes"]["role"],
            &auth["jwt"]["role"],
            &auth["iam"]["vaultRole"],
        ]
    }));
    let mut roles = roles.into_iter().filter_map(Value::as_str);
    roles.find(|role| !role.is_empty()).map(str::to_owned)
}

/// What the namespace of an ExternalSecret of ESO must permit; the roles are those of its stores.
pub(super) fn claims(spec: &Value, selection: &Selection) -> Option<Box<Claims>> {
    let tenancy = selection.tenancy.as_ref().filter(|rule| rule.of_eso)?;
    let list = |field: &str| spec[field].as_array().into_iter().flatten();
    let data = list("data").map(|entry| &entry["remoteRef"]["key"]);
    let extracted = list("dataFrom").map(|entry| &entry["extract"]["key"]);
    // A `find` without a path finds everything.
    let found = list("dataFrom").map(|entry| &entry["find"]);
    let found = found.filter(|find| find.is_object());
    let found = found.map(|find| find["path"].as_str().unwrap_or_default());
    let keys = data.chain(extracted).filter_map(Value::as_str);
    Some(Box::new(Claims {
        names: keys.chain(found).map(Into::into).collect(),
        role: None,
        enforced: tenancy.enforce,
    }))
}

/// The annotations of a namespace that the rule names.
pub(super) fn permitted(annotations: &Value, selection: &Selection) -> Permitted {
    let Some(tenancy) = &selection.tenancy else {
        return Permitted::default();
    };
    let text = |name: &str| annotations[name].as_str().map(str::to_owned);
    Permitted {
        names: text(&tenancy.names),
        roles: text(&tenancy.roles),
    }
}

/// `None` for all.
fn namespaces(conditions: &Value) -> Option<Admitted> {
    let conditions = conditions.as_array().filter(|list| !list.is_empty())?;
    let mut all = Admitted::default();
    for condition in conditions {
        let selector = condition.as_object()?.get("namespaceSelector");
        if let Some(selector) = selector.filter(|selector| !selector.is_null()) {
            all.selectors.push(LabelSelector::of_object(selector)?);
        }
        all.names.extend(texts(&condition["namespaces"])?);
        all.regexes.extend(texts(&condition["namespaceRegexes"])?);
    }
    Some(all)
}

/// `None` when it is neither a list of texts nor null.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(list) => list
            .iter()
            .map(|text| Some(text.as_str()?.to_owned()))
            .collect(),
        _ => None,
    }
}

/// Whether this is a Go duration (`time.ParseDuration`) of 0 or less.
fn never_elapses(text: &str) -> bool {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return true;
    }
    let mut positive = false;
    while !rest.is_empty() {
        let Some((nanoseconds, after)) = part(rest) else {
            return false;
        };
        positive |= nanoseconds >= 1.0;
        rest = after;
    }
    !text.trim_start_matches(['-', '+']).is_empty() && (negative || !positive)
}

/// In nanoseconds. `m`, the beginning of `ms`, comes after it.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// One number with its unit, and the rest.
fn part(text: &str) -> Option<(f64, &str)> {
    let digits = |c: char| !c.is_ascii_digit() && c != '.';
    let (number, rest) = text.split_at(text.find(digits)?);
    let number: f64 = number.parse().ok()?;
    let unit = |(unit, size): &(&str, f64)| Some((number * size, rest.strip_prefix(*unit)?));
    UNITS.iter().find_map(unit)
}

#[cfg(test)]
mod tests;
