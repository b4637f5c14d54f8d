//! ConfigMaps and Secrets of the cluster that templates take.

use super::*;
use crate::object::Unrefreshable;

fn taking(target: &str, references: Vec<Reference>, sources: &[&str]) -> ExternalSecret {
    let templates = sources.iter().map(|source| source.parse().unwrap());
    ExternalSecret {
        templates: templates.collect(),
        ..secret(target, references)
    }
}

fn changed(sources: &[&str]) -> Event {
    let keys = sources.iter().map(|&source| source.to_owned()).collect();
    Event {
        kind: Kind::TemplateChanged,
        scope: std::collections::BTreeMap::new(),
        ..event("kubernetes", Match::Exact(Keys::new(keys).unwrap()))
    }
}

#[test]
fn a_source_means_the_templates_that_take_it() {
    // As external-secrets/reloader has it in its `handler_test.go`.
    for (sources, changed_source, matches) in [
        (
            &["ConfigMap/operator-config"][..],
            "ConfigMap/operator-config",
            true,
        ),
        (
            &["ConfigMap/operator-config"],
            "ConfigMap/other-config",
            false,
        ),
        (
            &["ConfigMap/operator-config"],
            "Secret/operator-config",
            false,
        ),
        (&["Secret/my-secret"], "Secret/my-secret", true),
        (
            &["ConfigMap/my-configmap", "Secret/my-secret"],
            "ConfigMap/my-configmap",
            true,
        ),
        (
            &["ConfigMap/my-configmap", "Secret/my-secret"],
            "Secret/my-secret",
            true,
        ),
        (
            &["ConfigMap/my-configmap", "Secret/my-secret"],
            "Secret/other",
            false,
        ),
        (&[], "Secret/my-secret", false),
    ] {
        let index = index([Change::Applied(taking("n/x", Vec::new(), sources))]);
        let found = matching(&index, &changed(&[changed_source]));
        assert_eq!(
            found.len(),
            usize::from(matches),
            "{sources:?} {changed_source}"
        );
        let both = matching(&index, &changed(&[changed_source, "ConfigMap/x"]));
        assert_eq!(both, found);
    }
}

#[test]
fn template_events_and_keys_never_match() {
    let s = cluster_store("s");
    let name = "ConfigMap/app";
    let index = index([
        provided(&s, "kubernetes"),
        applied("n/reads", vec![key(&s, name), find(&s, None, None)]),
        Change::Applied(taking("n/takes", Vec::new(), &[name])),
    ]);
    assert_eq!(matching(&index, &changed(&[name])), ["n/takes"]);
    for provider in ["kubernetes", "generic"] {
        for matches in [
            Match::Exact(Keys::one(name).unwrap()),
            Match::Prefix("ConfigMap".to_owned()),
            Match::Scope,
            Match::All,
        ] {
            let event = event(provider, matches);
            assert_eq!(matching(&index, &event), ["n/reads"], "{event:?}");
        }
    }
}

#[test]
fn a_template_event_stays_where_it_may_reach() {
    let (akeyless, vault) = (cluster_store("akeyless"), store("a", "vault"));
    let sources = &["ConfigMap/app"];
    let both = vec![key(&vault, "k"), key(&akeyless, "k")];
    let index = index([
        Change::Applied(taking("a/both", both, sources)),
        Change::Applied(taking("a/vault", vec![key(&vault, "k")], sources)),
        Change::Applied(taking("a/none", Vec::new(), sources)),
        Change::Applied(taking("b/both", vec![key(&akeyless, "k")], sources)),
    ]);
    let reach = |namespaces: &[&str], stores: &[&str]| Reach {
        namespaces: namespaces.iter().map(|&name| Pattern::new(name)).collect(),
        stores: stores
            .iter()
            .map(|&name| StorePattern {
                kind: None,
                name: Pattern::new(name),
            })
            .collect(),
        ..Reach::default()
    };
    for (target, namespace, expected) in [
        (
            Reach::default(),
            None,
            &["a/both", "a/none", "a/vault", "b/both"][..],
        ),
        (
            Reach::default(),
            Some("a"),
            &["a/both", "a/none", "a/vault"],
        ),
        (Reach::default(), Some("c"), &[]),
        (reach(&["b*"], &[]), None, &["b/both"]),
        (reach(&["b"], &[]), Some("a"), &[]),
        // Who reads through no store that it may reach is out of its reach.
        (reach(&[], &["akey*"]), None, &["a/both", "b/both"]),
        (reach(&["a"], &["vault"]), None, &["a/both", "a/vault"]),
        (reach(&[], &["other"]), None, &[]),
    ] {
        let mut event = changed(sources);
        if let Some(namespace) = namespace {
            event
                .scope
                .insert("namespace".to_owned(), namespace.to_owned());
        }
        event.target = Some(target);
        assert_eq!(matching(&index, &event), expected, "{event:?}");
        for name in ["a/both", "a/none", "a/vault", "b/both"] {
            let (namespace, object) = name.split_once('/').unwrap();
            let compared = index
                .compare(&ObjectRef::new(namespace, object), &event)
                .unwrap();
            let meant = compared.iter().any(Compared::is_meant);
            assert_eq!(meant, expected.contains(&name), "{name}: {compared:?}");
        }
    }
}

#[test]
fn a_template_event_matches_exactly_and_skips() {
    let sources = &["Secret/app"];
    let mut minting = taking("n/minting", Vec::new(), sources);
    minting.refreshable = Refreshable::ByKey;
    let mut once = taking("n/once", Vec::new(), sources);
    once.refreshable = Refreshable::No(Unrefreshable::CreatedOnce);
    let index = index([Change::Applied(minting), Change::Applied(once)]);
    let event = changed(sources);
    assert_eq!(matching(&index, &event), ["n/minting"]);
    assert_eq!(index.matching(&event).skipped.len(), 1);
}

#[test]
fn a_template_that_changes_or_goes_is_not_remembered() {
    let takes = |sources: &[&str]| Change::Applied(taking("n/x", Vec::new(), sources));
    let mut index = index([takes(&["ConfigMap/old"])]);
    index.apply(takes(&["ConfigMap/new"]));
    assert!(matching(&index, &changed(&["ConfigMap/old"])).is_empty());
    assert_eq!(matching(&index, &changed(&["ConfigMap/new"])), ["n/x"]);
    index.apply(Change::Deleted(ObjectRef::new("n", "x")));
    assert!(index.templates.is_empty());
}
