//! Label selectors in kubectl's syntax: `team=a,tier!=dev,env in (x,y),!old`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use kube::core::{Expression, Selector, SelectorExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The labels of an object.
pub(crate) type Labels = BTreeMap<String, String>;

/// Equality (`k=v`, `k==v`, `k!=v`), sets (`k in (v,w)`, `k notin (v,w)`) and presence (`k`, `!k`),
/// joined by commas. All must hold; the empty one selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct LabelSelector(Selector);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form k=v, k!=v, k in (v,w), k notin (v,w), k or !k")]
pub struct SelectorError(String);

impl LabelSelector {
    /// A selector in an object: `matchLabels` and `matchExpressions`, all of which must hold. `None` if Kubernetes would
    /// not evaluate it.
    pub fn of_object(json: &serde_json::Value) -> Option<Self> {
        let selector: v1::LabelSelector = serde_json::from_value(json.clone()).ok()?;
        let sound = |one: &v1::LabelSelectorRequirement| {
            let has_values = one.values.as_ref().is_some_and(|values| !values.is_empty());
            has_values == matches!(one.operator.as_str(), "In" | "NotIn")
        };
        let mut requirements = selector.match_expressions.iter().flatten();
        requirements.all(sound).then_some(())?;
        selector.try_into().ok().map(Self)
    }

    pub fn selects_all(&self) -> bool {
        self.0.selects_all()
    }

    pub fn selects(&self, labels: &Labels) -> bool {
        self.0.matches(labels)
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let one = |part: &str| expression(part).ok_or_else(|| SelectorError(part.trim().into()));
        let expressions: Result<Selector, _> = parts(text).map(one).collect();
        expressions.map(Self)
    }
}

/// Splits at commas outside brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |letter| {
        inside = match letter {
            '(' => true,
            ')' => false,
            _ => inside,
        };
        letter == ',' && !inside
    })
}

fn expression(part: &str) -> Option<Expression> {
    let part = part.trim();
    if let Some(set) = part.strip_suffix(')') {
        let (head, values) = set.split_once('(')?;
        let mut words = head.split_whitespace();
        let (key, operator) = (name(words.next()?)?, words.next()?);
        let values = values.split(',').map(value).collect::<Option<_>>()?;
        return match (operator, words.next()) {
            ("in", None) => Some(Expression::In(key, values)),
            ("notin", None) => Some(Expression::NotIn(key, values)),
            _ => None,
        };
    }
    if let Some((key, wanted)) = part.split_once("!=") {
        return Some(Expression::NotEqual(name(key)?, value(wanted)?));
    }
    if let Some((key, wanted)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Expression::Equal(name(key)?, value(wanted)?));
    }
    match part.strip_prefix('!') {
        Some(key) => Some(Expression::DoesNotExist(name(key)?)),
        None => Some(Expression::Exists(name(part)?)),
    }
}

/// A label's key, with or without a prefix.
fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let label = text.rsplit_once('/').map_or(text, |(_, label)| label);
    (!label.is_empty()).then(|| value(text))?
}

/// A label's value, which may be empty.
fn value(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"-_./".contains(&letter);
    text.bytes().all(fits).then(|| text.to_owned())
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for LabelSelector {
    type Error = SelectorError;

    fn try_from(text: String) -> Result<Self, SelectorError> {
        text.parse()
    }
}

impl From<LabelSelector> for String {
    fn from(selector: LabelSelector) -> Self {
        selector.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_selected_as_kubectl_does_it() {
        let labels = [("team", "a"), ("tier", "prod"), ("example.com/env", "")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let labels = BTreeMap::from(labels);
        for (text, selected) in [
            ("", true),
            (" ", true),
            ("team=a", true),
            ("team==a", true),
            ("team = b", false),
            ("team=a,tier!=dev", true),
            ("team=a,tier!=prod", false),
            ("missing!=x", true),
            ("team in (a, b),tier", true),
            ("team in (b)", false),
            ("team notin (b,c)", true),
            ("missing notin (b)", true),
            ("!missing", true),
            ("!team", false),
            ("missing", false),
            ("example.com/env=", true),
            ("example.com/env", true),
        ] {
            let selector: LabelSelector = text.parse().unwrap();
            assert_eq!(selector.selects(&labels), selected, "{text}");
        }
    }

    #[test]
    fn a_selector_of_an_object_is_read_as_kubernetes_does() {
        let one = |operator: &str, values: serde_json::Value| {
            let one = json!({ "key": "env", "operator": operator, "values": values });
            json!({ "matchExpressions": [one] })
        };
        let both = json!({
            "matchLabels": { "team": "a" },
            "matchExpressions": [{ "key": "env", "operator": "Exists" }],
        });
        for (selector, text) in [
            (json!({}), Some("")),
            (json!({ "matchLabels": { "team": "a" } }), Some("team=a")),
            (both, Some("team=a,env")),
            (one("In", json!(["x"])), Some("env in (x)")),
            (one("NotIn", json!(["x"])), Some("env notin (x)")),
            (one("DoesNotExist", json!([])), Some("!env")),
            (one("In", json!([])), None),
            (one("NotIn", json!(null)), None),
            (one("Exists", json!(["x"])), None),
            (one("Like", json!(["x"])), None),
            (json!({ "matchLabels": { "team": 7 } }), None),
            (json!([]), None),
            (json!("team=a"), None),
        ] {
            let read = LabelSelector::of_object(&selector);
            let read = read.map(|selector| selector.to_string());
            assert_eq!(read.as_deref(), text, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_by_the_part_that_is_none() {
        for (text, part) in [
            ("team=a,", ""),
            ("=a", "=a"),
            ("!", "!"),
            ("team in a", "team in a"),
            ("a=b,team in (a", "team in (a"),
            ("team within (a)", "team within (a)"),
            ("team in in (a)", "team in in (a)"),
            ("replicas>1", "replicas>1"),
            ("a=b=c", "a=b=c"),
            ("a=b c", "a=b c"),
            ("example.com/=x", "example.com/=x"),
        ] {
            let error = text.parse::<LabelSelector>().unwrap_err();
            assert_eq!(error, SelectorError(part.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_selector_is_written_as_it_is_read(text in "[ab!=, ()>/]{0,9}| ?a (not)?in \\([ab,]{0,4}\\)") {
            if let Ok(selector) = text.parse::<LabelSelector>() {
                prop_assert_eq!(selector.to_string().parse(), Ok(selector));
            }
        }
    }
}
