use super::*;
use crate::matching::provider::tests::{finds, in_scope, reads, reads_all_of, reads_below};

fn store(url: &str) -> String {
    serde_json::json!({ "webhook": { "url": url } }).to_string()
}

/// Which of these events mean a reference with this key.
fn meaning<'e>(url: &str, key: &str, events: &[&'e str]) -> Vec<&'e str> {
    let means = |event: &&&str| reads(&store(url), key, ("webhook", &[event], &[]));
    events.iter().filter(means).copied().collect()
}

#[test]
fn a_key_in_the_path() {
    let url = "https://h/s/{{ .remoteRef.key }}";
    let same = ["a/b", "/a/b", "a%2Fb", "https://h/s/a%2Fb", "/s/a/b"];
    assert_eq!(meaning(url, "a/b", &same), same);
    let none: [&str; 0] = [];
    let others = ["b", "/s/a", "https://other/s/a/b", "https://h/s/a/b/c", "s"];
    assert_eq!(meaning(url, "a/b", &others), none);
}

#[test]
fn a_key_in_the_query() {
    let url = "https://h/?q={{ .remoteRef.key }}";
    let same = [
        "x y",
        "https://h/?q=x+y",
        "https://h?q=x%20y",
        "/?q=x+y",
        // One that names no query may mean any.
        "https://h/",
    ];
    assert_eq!(meaning(url, "x y", &same), same);
    let none: [&str; 0] = [];
    assert_eq!(
        meaning(url, "x y", &["https://h/?q=x", "https://h/?q=x+y&z"]),
        none
    );
}

#[test]
fn a_url_without_key_means_every_reference() {
    let url = "https://h/secrets";
    for (event, read) in [
        ("https://h/secrets", &["username", "password"][..]),
        ("/secrets", &["username", "password"]),
        ("username", &["username"]),
        ("https://h/secrets?x=y", &[]),
        ("/secrets/username", &[]),
    ] {
        let mut keys = vec!["username", "password"];
        keys.retain(|key| !meaning(url, key, &[event]).is_empty());
        assert_eq!(keys, read, "{event}");
    }
    for (scope, within) in [
        (("host", "h"), true),
        (("host", "h:443"), true),
        (("host", "i"), false),
        (("path", "/secrets"), true),
        (("path", "/"), true),
        (("path", "/secrets/more"), false),
        (("path", "/other"), false),
    ] {
        for key in ["username", "password"] {
            let found = in_scope(&store(url), key, ("webhook", &[], &[scope]));
            assert_eq!(found, within, "{scope:?} {key}");
        }
    }
}

#[test]
fn what_a_template_takes_beside_the_key_counts() {
    let spec = store(
        "https://h/{{ .remoteRef.namespace }}/{{ .remoteRef.key }}?v={{ .remoteRef.version }}&p={{ .remoteRef.property }}",
    );
    let remote = RemoteRef {
        key: "a",
        version: "2",
        property: Some("user name"),
        namespace: "team",
    };
    let unknown = RemoteRef {
        property: None,
        ..remote
    };
    for (event, known, perhaps) in [
        ("a", true, true),
        ("https://h/team/a?v=2&p=user+name", true, true),
        ("/team/a", true, true),
        ("https://h/team/a?v=2&p=password", false, true),
        ("https://h/team/a?v=3&p=user+name", false, false),
        ("https://h/other/a?v=2&p=user+name", false, false),
        ("/other/a", false, false),
    ] {
        let said = ("webhook", &[event][..], &[][..]);
        assert_eq!(reads_all_of(&spec, remote, said), known, "{event}");
        assert_eq!(reads_all_of(&spec, unknown, said), perhaps, "{event}");
    }
}

#[test]
fn what_is_not_evaluated_may_be_anything() {
    let anything = ["https://h/s/ANYTHING", "/s/ANYTHING", "a/b"];
    let upper = "https://h/s/{{ .remoteRef.key | upper }}";
    assert_eq!(meaning(upper, "a/b", &anything), anything);
    let none: [&str; 0] = [];
    let others = ["https://i/s/A", "https://h/t/A", "ANYTHING", "A/B"];
    assert_eq!(meaning(upper, "a/b", &others), none);
    for (url, event, read) in [
        (
            "https://h/{{ .t.x }}/{{ .remoteRef.key }}/v",
            "https://h/team/a/v",
            true,
        ),
        (
            "https://h/{{ .t.x }}/{{ .remoteRef.key }}/v",
            "https://h/team/b/v",
            false,
        ),
        // It may be empty.
        ("https://h/{{ .t.x }}/{{ .remoteRef.key }}/v", "/a/v", true),
        ("https://h/s/{{ .t.x }}", "https://h/s", true),
        (
            "https://h/s/{{ .remoteRef.key }}?t={{ .t.x }}",
            "https://h/s/a?t=word",
            true,
        ),
        (
            "https://h/s/{{ .remoteRef.key }}?t={{ .t.x }}",
            "https://h/s/a",
            true,
        ),
        (
            "https://h/s/{{ .remoteRef.key }}?t={{ .t.x }}",
            "https://h/s/b?t=word",
            false,
        ),
        (
            "https://{{ .t.host }}/s/{{ .remoteRef.key }}",
            "https://any/s/a",
            true,
        ),
        (
            "https://{{ .t.user }}:{{ .t.word }}@h/s/{{ .remoteRef.key }}",
            "https://h/s/a",
            true,
        ),
        (
            "https://{{ .t.user }}:{{ .t.word }}@h/s/{{ .remoteRef.key }}",
            "https://i/s/a",
            false,
        ),
        (
            "https://h/{{ if .t.x }}a{{ else }}b{{ end }}/{{ .remoteRef.key }}",
            "/c/a",
            true,
        ),
        (
            "https://h/{{ if .t.x }}a{{ else }}b{{ end }}/{{ .remoteRef.key }}",
            "/c/b",
            false,
        ),
        ("https://h/s/{{- .remoteRef.key -}} /v", "/s/a/v", true),
        (
            "https://{{/* a */}}h{{/* b */}}:443/s/{{ .remoteRef.key }}",
            "https://h/s/a",
            true,
        ),
        (
            "https://{{ .remoteRef.key }}.h:443/s",
            "https://A.h/s/",
            true,
        ),
        (
            "https://h/s/{{/* }} */}}{{ $.remoteRef.key }}",
            "/s/a",
            true,
        ),
        ("https://h/s/{{ \"}}\" }}{{.remoteRef.key}}", "/s/xa", true),
    ] {
        assert_eq!(
            meaning(url, "a", &[event]).len() == 1,
            read,
            "{url} {event}"
        );
    }
}

#[test]
fn without_a_url_keys_count_as_they_are_written() {
    for url in [
        "",
        "h/s",
        "https://",
        "https:///s",
        "https://u@/s",
        "{{ .remoteRef.key }}",
        "https://h/{{ .remoteRef.key",
        "https://h/{{ `}} ",
    ] {
        assert_eq!(
            meaning(url, "/s", &["s", "/s", "https://h/s", "t"]),
            ["s", "/s"],
            "{url}"
        );
        let scope = ("webhook", &[][..], &[("host", "other")][..]);
        assert!(in_scope(&store(url), "s", scope), "{url}");
    }
    assert!(reads(
        r#"{"webhook": {"url": 7}}"#,
        "s",
        ("webhook", &["s"], &[])
    ));
}

#[test]
fn an_unknown_place_excludes_none() {
    let url = "https://h:8443/v1/team/{{ .remoteRef.key }}";
    for (url, scope, within) in [
        (url, &[("host", "h")][..], true),
        (url, &[("host", "h:8443")], true),
        (url, &[("host", "https://h:8443/v1")], true),
        (url, &[("host", "h:443")], false),
        (url, &[("path", "/v1")], true),
        (url, &[("path", "v1/team/")], true),
        (url, &[("path", "/v1/team/a")], true),
        (url, &[("path", "/v1/team/b")], false),
        (url, &[("path", "/v1/te")], false),
        (
            "https://{{ .t.host }}/v1",
            &[("host", "i"), ("path", "/v2")],
            true,
        ),
        ("https://h/v1/{{ .t.x }}", &[("path", "/v1/team/a")], true),
        ("https://h/v1/{{ .t.x }}", &[("path", "/v2")], false),
    ] {
        let found = in_scope(&store(url), "a", ("webhook", &[], scope));
        assert_eq!(found, within, "{url} {scope:?}");
        let found = reads(&store(url), "a", ("webhook", &["a"], scope));
        assert_eq!(found, within, "{url} {scope:?}");
    }
}

#[test]
fn a_prefix_is_one_of_keys_or_of_documents() {
    for (url, prefix, below) in [
        ("https://h/s/{{ .remoteRef.key }}", "team", true),
        ("https://h/s/{{ .remoteRef.key }}", "/team/", true),
        ("https://h/s/{{ .remoteRef.key }}", "/s/team", true),
        ("https://h/s/{{ .remoteRef.key }}", "https://h/s", true),
        ("https://h/s/{{ .remoteRef.key }}", "https://i/s", false),
        ("https://h/s/{{ .remoteRef.key }}", "/s/other", false),
        ("https://h/s/{{ .remoteRef.key }}", "tea", false),
        ("https://h/s/{{ .remoteRef.key | upper }}", "/s/TEAM", true),
        ("https://h/s/{{ .remoteRef.key | upper }}", "/t", false),
    ] {
        let found = reads_below(&store(url), "team/db", ("webhook", prefix));
        assert_eq!(found, below, "{url} {prefix}");
    }
}

/// It is compared all the same, so that it can be said why it is not refreshed.
#[test]
fn a_find_is_not_supported() {
    let spec = store("https://h/{{ .remoteRef.key }}");
    let said = ("webhook", &["team/db"][..], &[][..]);
    assert!(finds(&spec, Some("team"), None, said) && !finds(&spec, None, Some("web"), said));
    assert!(!Webhook { url: None }.can_find());
}

#[test]
fn an_unknown_store_matches_any_spelling() {
    let keys = spellings("https://h/v1/a%2Fb/value?q=x+y");
    for key in ["a/b", "v1/a/b/value", "x y", "value"] {
        assert!(keys.iter().any(|known| known == key), "{key} {keys:?}");
    }
    assert!(spellings("a/b").is_empty());
    let long = "/a".repeat(1000);
    assert!(spellings(&long).len() < 50);
    let mut names = Vec::new();
    query_names(&long, Scope(&std::collections::BTreeMap::new()), &mut names);
    assert!(names.len() <= MAX_DEPTH + 3, "{}", names.len());
}

/// Deeper than folders are told apart.
#[test]
fn a_deep_document_is_found() {
    let url = format!(
        "https://h{}/{{{{ .remoteRef.key | upper }}}}/v",
        "/a".repeat(40)
    );
    let event = format!("https://h{}/X/v", "/a".repeat(40));
    assert_eq!(meaning(&url, "x", &[&event]).len(), 1);
}

#[test]
fn no_url_is_printed() {
    let token = "https://h/s?token=hunter2";
    let spec = serde_json::json!({ "url": token });
    let printed = format!("{:?}", Webhook::of(&spec));
    assert!(
        printed.contains('h') && !printed.contains("hunter2"),
        "{printed}"
    );
}
