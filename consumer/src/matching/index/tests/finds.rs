//! References that find secrets by a path and a regular expression.

use super::*;

#[test]
fn a_find_is_compared_by_its_providers_rules() {
    let (b, k, gone) = (store("n", "b"), store("n", "k"), store("n", "gone"));
    let other = |store: &StoreRef| find(store, Some("other"), Some("^db$"));
    let tagged = |store: &StoreRef| {
        let tags = FindSpec {
            regexp: Some("^web$".to_owned()),
            tags: true,
            ..FindSpec::default()
        };
        Reference {
            form: Form::Find(tags),
            ..find(store, None, None)
        }
    };
    let mut index = index([
        provided(&b, "bitwardensecretsmanager"),
        provided(&k, "kubernetes"),
        applied("n/bitwarden", vec![find(&b, Some("other"), Some("^web$"))]),
        applied("n/kubernetes", vec![other(&k)]),
        applied("n/tagged", vec![tagged(&k)]),
        applied("n/unseen", vec![other(&gone)]),
    ]);
    for (provider, found) in [
        ("bitwardensecretsmanager", &["n/bitwarden", "n/unseen"][..]),
        ("kubernetes", &["n/kubernetes", "n/tagged", "n/unseen"]),
        ("conjur", &["n/unseen"]),
        ("onepassword", &["n/unseen"]),
        ("generic", &["n/bitwarden", "n/kubernetes", "n/tagged"]),
    ] {
        assert_eq!(
            matching(&index, &exact(provider, "db")),
            found,
            "{provider}"
        );
    }
    // A store that becomes another has its readers read again, for every event.
    index.apply(provided(&b, "onboardbase"));
    let found = ["n/kubernetes", "n/tagged"];
    assert_eq!(matching(&index, &exact("generic", "db")), found);
}

#[test]
fn a_find_matches_by_path_and_name_together() {
    let (a, v) = (store("n", "a"), store("n", "v"));
    let cases = [
        (None, Some("db"), "prod/db-1", true),
        (None, Some("^db"), "prod/db-1", false),
        (None, Some("^/prod"), "prod/db", true),
        (None, Some("^prod"), "/prod/db", true),
        (Some("/prod"), None, "prod/db", true),
        (Some("/prod"), Some("db"), "test/db", false),
        (Some("/prod"), Some("web"), "prod/db", false),
        (Some("/prod"), Some("db$"), "prod/db", true),
        (None, None, "anything", true),
        (None, Some("[invalid"), "anything", true),
    ];
    for (path, regexp, name, matches) in cases {
        let mut index = index([provided(&a, "akeyless"), provided(&v, "onboardbase")]);
        index.apply(applied("n/a", vec![find(&a, path, regexp)]));
        index.apply(applied("n/v", vec![find(&v, path, regexp)]));
        let case = format!("{path:?} {regexp:?} {name}");
        for provider in ["akeyless", "onboardbase"] {
            let found = index.matching(&exact(provider, name)).targets.len();
            assert_eq!(found == 1, matches, "{provider} {case}");
        }
        let found = index.matching(&exact("generic", name)).targets.len();
        assert_eq!(found == 2, matches, "{case}");
    }
}

#[test]
fn patterns_compile_once_and_may_be_invalid() {
    let s = store("n", "s");
    let mut index = index([
        applied("n/a", vec![find(&s, None, Some("(")), key(&s, "k")]),
        applied("n/b", vec![find(&s, None, Some("("))]),
        applied("n/c", vec![find(&s, None, Some("^c"))]),
    ]);
    assert_eq!(
        matching(&index, &exact("generic", "c")),
        ["n/a", "n/b", "n/c"]
    );
    assert_eq!(index.stats().patterns, 2);
    index.apply(Change::Deleted(ObjectRef::new("n", "a")));
    assert_eq!(index.stats().patterns, 2);
    index.apply(Change::Deleted(ObjectRef::new("n", "b")));
    assert_eq!(index.stats().patterns, 1);
}
