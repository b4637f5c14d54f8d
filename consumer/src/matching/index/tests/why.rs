//! Reasons, and that they agree with what is matched.

use super::*;
use crate::matching::index::Differs;

fn reasons(index: &Index, target: &str, event: &Event) -> Vec<Vec<Differs>> {
    let (namespace, name) = target.split_once('/').unwrap();
    let compared = index.compare(&ObjectRef::new(namespace, name), event);
    let compared = compared.unwrap().into_iter();
    compared.map(|reference| reference.differs).collect()
}

fn scope(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn each_reference_has_its_own_reasons_and_all_of_them() {
    let (mine, theirs) = (store("n", "mine"), cluster_store("theirs"));
    let index = index([
        provided(&mine, "akeyless"),
        provided(&theirs, "conjur"),
        applied(
            "n/x",
            vec![key(&mine, "a"), key(&mine, "b"), key(&theirs, "a")],
        ),
    ]);
    let event = exact("akeyless", "/a");
    assert_eq!(
        reasons(&index, "n/x", &event),
        [vec![], vec![Differs::Secret], vec![Differs::Provider]]
    );
    let narrow = Event {
        target: Some(Reach {
            stores: vec![StorePattern {
                kind: None,
                name: Pattern::new("other"),
            }],
            namespaces: vec![Pattern::new("m")],
            clusters: Vec::new(),
        }),
        ..event
    };
    let outside = [Differs::Namespace, Differs::Store];
    for reference in reasons(&index, "n/x", &narrow) {
        assert_eq!(reference[..2], outside);
    }
    assert_eq!(index.compare(&ObjectRef::new("n", "y"), &narrow), None);
}

#[test]
fn a_place_is_told_by_the_attributes_that_lead_elsewhere() {
    let (aws, gcp, vault) = (store("n", "aws"), store("n", "gcp"), store("n", "vault"));
    let index = index([
        configured(
            &aws,
            &serde_json::json!({ "aws": { "region": "eu", "role": "arn:aws:iam::1:role/eso" } }),
        ),
        configured(
            &gcp,
            &serde_json::json!({ "gcpsm": { "projectID": "acme" } }),
        ),
        configured(
            &vault,
            &serde_json::json!({ "vault": { "path": "kv", "namespace": "a" } }),
        ),
        applied("n/aws", vec![key(&aws, "k")]),
        applied("n/gcp", vec![key(&gcp, "k")]),
        applied("n/vault", vec![key(&vault, "k")]),
    ]);
    for (target, provider, event_key, said, told) in [
        (
            "n/aws",
            "aws-sm",
            "k",
            &[("region", "us"), ("account", "2")][..],
            Some(&[("account", "2")][..]),
        ),
        (
            "n/aws",
            "aws-sm",
            "k",
            &[("region", "eu"), ("account", "1")],
            None,
        ),
        (
            "n/aws",
            "aws-sm",
            "arn:aws:secretsmanager:eu:2:secret:k-AbCdEf",
            &[],
            Some(&[]),
        ),
        (
            "n/gcp",
            "gcp-sm",
            "k",
            &[("project", "other"), ("location", "eu")],
            Some(&[("project", "other"), ("location", "eu")]),
        ),
        (
            "n/gcp",
            "gcp-sm",
            "projects/other/secrets/k",
            &[],
            Some(&[]),
        ),
        (
            "n/vault",
            "vault",
            "kv/data/k",
            &[("namespace", "b"), ("mount", "kv")],
            Some(&[("namespace", "b")]),
        ),
    ] {
        let event = Event {
            scope: scope(said),
            ..exact(provider, event_key)
        };
        let place = reasons(&index, target, &event)
            .concat()
            .into_iter()
            .find_map(|differs| match differs {
                Differs::Place { scope } => Some(scope),
                _ => None,
            });
        assert_eq!(place, told.map(scope), "{target} {event_key} {said:?}");
    }
}
