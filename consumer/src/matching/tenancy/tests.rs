//! The cases of KES (`lib/poller.test.js`), but for those whose annotation is a list, which Kubernetes does not have.

use serde_json::{Value, json};

use super::*;
use crate::kubernetes::claims_of_kes;

const ENFORCED: bool = true;

fn permitted(names: Option<&str>, roles: Option<&str>, spec: &Value, enforced: bool) -> bool {
    let permitted = Permitted {
        names: names.map(str::to_owned),
        roles: roles.map(str::to_owned),
    };
    let claims = claims_of_kes(spec, enforced);
    let (permits, _) = Permits::new(&permitted);
    permits
        .refuses(&claims, claims.role.as_deref().into_iter())
        .is_none()
}

#[test]
fn roles_are_permitted_as_kes_does() {
    for (roles, spec, expected) in [
        (None, json!({}), true),
        (Some(""), json!({}), true),
        (Some(".*"), json!({ "roleArn": "whatever" }), true),
        (Some("^$"), json!({ "roleArn": "whatever" }), false),
        (
            Some("arn:aws:iam::123456789012:role/.*"),
            json!({ "roleArn": "arn:aws:iam::123456789012:role/somerole" }),
            true,
        ),
        (Some("my-kiam-role.*"), json!({}), true),
    ] {
        assert_eq!(
            permitted(None, roles, &spec, false),
            expected,
            "{roles:?} {spec}"
        );
    }
}

#[test]
fn names_are_permitted_as_kes_does() {
    const TEAM_A: Option<&str> = Some("dev/team-a/.*");
    let key = |key: &str| json!({ "key": key, "name": "somethingelse" });
    let (a, b) = ("dev/team-a/secret", "dev/team-b/secret");
    for (names, spec, expected) in [
        (None, json!({}), true),
        (Some(""), json!({}), true),
        (Some(".*"), json!({ "data": [key("whatever")] }), true),
        (TEAM_A, json!({ "data": [key(a)] }), true),
        (TEAM_A, json!({ "data": [key(b)] }), false),
        (TEAM_A, json!({ "data": [{ "path": a }] }), true),
        (
            TEAM_A,
            json!({ "data": [{ "key": a, "name": "x", "path": "" }] }),
            false,
        ),
        (
            TEAM_A,
            json!({ "data": [{ "key": "this-should-fail", "path": "dev/team-a/such-path" }] }),
            false,
        ),
        (
            TEAM_A,
            json!({ "data": [{ "key": "dev/team-a/such-key", "path": "this-should-fail" }] }),
            false,
        ),
        (TEAM_A, json!({ "data": [{ "path": b }] }), false),
        (TEAM_A, json!({ "data": [{ "path": b, "key": a }] }), false),
        (TEAM_A, json!({ "dataFrom": [b] }), false),
        (Some(""), json!({ "dataFrom": ["test"] }), true),
        (TEAM_A, json!({ "dataFrom": [a] }), true),
        (
            Some(".*"),
            json!({ "data": [key("whatever")], "dataFrom": ["something"] }),
            true,
        ),
        (
            TEAM_A,
            json!({ "data": [key(b)], "dataFrom": ["dev/team-a/ok-secret"] }),
            false,
        ),
        (
            TEAM_A,
            json!({ "data": [key("dev/team-a/ok-secret")], "dataFrom": [b] }),
            false,
        ),
        // Beyond KES, which does not look at these.
        (
            TEAM_A,
            json!({ "dataFromWithOptions": [{ "key": b }] }),
            false,
        ),
        (
            TEAM_A,
            json!({ "dataFromWithOptions": [{ "key": a }] }),
            true,
        ),
        (TEAM_A, json!({ "properties": [key(b)] }), false),
        // Unanchored.
        (
            Some("/dev/a/.*"),
            json!({ "dataFrom": ["/prod/dev/a/x"] }),
            true,
        ),
        (
            Some("^/dev/a/.*$"),
            json!({ "dataFrom": ["/prod/dev/a/x"] }),
            false,
        ),
    ] {
        assert_eq!(
            permitted(names, None, &spec, false),
            expected,
            "{names:?} {spec}"
        );
    }
    for (role, value, expected) in [
        ("roleArn", "b", false),
        ("vaultRole", "b", false),
        ("roleArn", "a", true),
        ("vaultRole", "a", true),
    ] {
        let spec = json!({ "data": [key("whatever")], role: value });
        assert_eq!(
            permitted(Some(".*"), Some("a"), &spec, false),
            expected,
            "{spec}"
        );
    }
}

#[test]
fn missing_annotations_permit_nothing_where_enforced() {
    let from = |key: &str| json!({ "dataFrom": [key] });
    let with_role = json!({ "dataFrom": ["a"], "roleArn": "a" });
    for (names, roles, spec, expected) in [
        (None, None, json!({}), false),
        (Some(""), None, from("test"), false),
        (None, Some(""), from("test"), false),
        (Some("a"), None, with_role.clone(), false),
        (Some("a"), Some(""), with_role, false),
        (Some("a"), Some("b"), from("a"), true),
    ] {
        let found = permitted(names, roles, &spec, ENFORCED);
        assert_eq!(found, expected, "{names:?} {roles:?} {spec}");
    }
}

#[test]
fn an_expression_that_is_read_differently_permits_nothing() {
    for source in [
        "a(?=b)",
        "(a)\\1",
        "(?i)A",
        "\\Aa",
        "a\\z",
        "[[:alpha:]]",
        "[a&&b]",
        "\\pL",
        "(",
        "(?!b)a",
    ] {
        let permitted = Permitted {
            names: Some(source.to_owned()),
            roles: None,
        };
        let (permits, problems) = Permits::new(&permitted);
        assert_eq!(problems.len(), 1, "{source}");
        let claims = Claims {
            names: vec!["a".into()],
            ..Claims::default()
        };
        let refused = permits.refuses(&claims, std::iter::empty());
        assert_eq!(refused, Some(NotPermitted::Name("a".into())), "{source}");
    }
    for source in ["^a$", "a|b", "(?:a|b)+", "\\d+|a", "a\\/b|a", "[a-z]{1,3}"] {
        let (permit, problem) = Permit::new(source);
        assert!(permit.permits("a") && problem.is_none(), "{source}");
    }
}
