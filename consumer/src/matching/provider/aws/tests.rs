use crate::matching::provider::tests::{finds, in_scope, reads};

const ARN: &str = "arn:aws:secretsmanager:us-west-2:012345678901:secret:prod/db-a1b2c3";
const EVENT: [&str; 4] = ["prod/db", ARN, "prod/db-a1b2c3", "prod/db"];
const SCOPE: [(&str, &str); 2] = [("account", "012345678901"), ("region", "us-west-2")];

#[test]
fn a_secret_is_named_by_name_by_arn_and_by_partial_arn() {
    let partial = "arn:aws:secretsmanager:us-west-2:012345678901:secret:prod/db";
    let elsewhere = "arn:aws:secretsmanager:eu-west-1:012345678901:secret:prod/db";
    let foreign = "arn:aws:secretsmanager:us-west-2:999999999999:secret:prod/db";
    let role = r#""role": "arn:aws:iam::012345678901:role/eso""#;
    let other_role = r#""role": "arn:aws:iam::999999999999:role/eso""#;
    for (settings, key, read) in [
        (r#""region": "us-west-2""#, "prod/db", true),
        (r#""region": "us-west-2""#, ARN, true),
        (r#""region": "us-west-2""#, partial, true),
        (r#""region": "us-west-2""#, "prod/db2", false),
        (r#""region": "us-west-2""#, "/prod/db", false),
        // Perhaps replicas.
        (r#""region": "us-west-2""#, elsewhere, true),
        (r#""region": "eu-west-1""#, "prod/db", true),
        (r#""region": "us-west-2""#, foreign, false),
        // A full ARN has its own place, whatever the store's.
        (r#""region": "eu-west-1""#, ARN, true),
        (other_role, "prod/db", false),
        (other_role, ARN, true),
        (role, "prod/db", true),
        (r#""prefix": "prod/""#, "db", true),
        (r#""prefix": "prod/""#, "prod/db", false),
        (r#""service": "SecretsManager""#, "prod/db", true),
        (r#""service": "ParameterStore""#, "prod/db", false),
        (r#""service": "CertificateManager""#, "prod/db", false),
    ] {
        let spec = format!(r#"{{"aws": {{{settings}}}}}"#);
        let found = reads(&spec, key, ("aws-sm", &EVENT, &SCOPE));
        assert_eq!(found, read, "{spec} {key}");
    }
}

#[test]
fn a_name_alone_and_an_arn_alone_are_enough() {
    let spec = r#"{"aws": {"region": "us-west-2"}}"#;
    for (key, said, read) in [
        (ARN, "prod/db", true),
        ("prod/db", ARN, true),
        ("prod/db-a1b2c3", "prod/db", false),
    ] {
        let found = reads(spec, key, ("aws-sm", &[said], &[]));
        assert_eq!(found, read, "{key} {said}");
    }
    // The event's ARN tells the place that its scope does not.
    let elsewhere = r#"{"aws": {"role": "arn:aws:iam::999999999999:role/eso"}}"#;
    assert!(!reads(elsewhere, "prod/db", ("aws-sm", &[ARN], &[])));
}

#[test]
fn a_name_that_ends_like_a_tail_is_not_cut_short() {
    let arn = "arn:aws:secretsmanager:us-west-2:012345678901:secret:db-abc123-x1y2z3";
    let partial = "arn:aws:secretsmanager:us-west-2:012345678901:secret:db-abc123";
    for (key, read) in [
        ("db-abc123", true),
        (partial, true),
        (arn, true),
        ("db", false),
    ] {
        let event = ("aws-sm", &["db-abc123", arn][..], &[][..]);
        assert_eq!(reads(r#"{"aws": {}}"#, key, event), read, "{key}");
    }
}

#[test]
fn a_find_goes_by_the_full_name_in_secrets_manager() {
    for (path, regexp, found) in [
        (None, Some("^prod/db$"), true),
        (None, Some("^db"), false),
        (Some("prod"), Some("db"), true),
        (Some("pro"), None, true),
        (Some("test"), Some("db"), false),
        (Some("!test"), Some("db"), true),
        (Some("!prod"), Some("web"), false),
    ] {
        let event = ("aws-sm", &EVENT[..], &SCOPE[..]);
        let spec = r#"{"aws": {"region": "us-west-2"}}"#;
        assert_eq!(
            finds(spec, path, regexp, event),
            found,
            "{path:?} {regexp:?}"
        );
        let spec = r#"{"aws": {"role": "arn:aws:iam::999999999999:role/eso"}}"#;
        assert!(!finds(spec, path, regexp, event), "{path:?} {regexp:?}");
    }
}

#[test]
fn a_replica_changes_with_its_primary() {
    let replica = ARN.replace("us-west-2", "eu-west-1");
    for (settings, key, read) in [
        (r#""region": "eu-west-1""#, "prod/db", true),
        (r#""region": "eu-west-1""#, &*replica, true),
        (r#""region": "us-west-2""#, &*replica, true),
        (
            r#""region": "eu-west-1", "role": "arn:aws:iam::999999999999:role/eso""#,
            "prod/db",
            false,
        ),
        // A parameter has none.
        (
            r#""region": "eu-west-1", "service": "ParameterStore""#,
            "prod/db",
            false,
        ),
    ] {
        let spec = format!(r#"{{"aws": {{{settings}}}}}"#);
        for event in ["aws-sm", "aws"] {
            let found = reads(&spec, key, (event, &EVENT, &SCOPE));
            assert_eq!(found, read, "{spec} {key} {event}");
        }
    }
    // An event for a whole region means that region.
    let event = ("aws-sm", &[][..], &SCOPE[..]);
    for (region, found) in [("us-west-2", true), ("eu-west-1", false)] {
        let spec = format!(r#"{{"aws": {{"region": "{region}"}}}}"#);
        assert_eq!(in_scope(&spec, "prod/db", event), found, "{region}");
    }
}

#[test]
fn a_secret_is_read_through_parameter_store_too() {
    let of = |more: &str| format!(r#"{{"aws": {{"service": "ParameterStore"{more}}}}}"#);
    for (more, key, read) in [
        ("", "/aws/reference/secretsmanager/prod/db", true),
        ("", "/aws/reference/secretsmanager/prod/db:AWSCURRENT", true),
        (
            r#", "prefix": "/aws/reference/secretsmanager/""#,
            "prod/db",
            true,
        ),
        (
            r#", "region": "eu-west-1""#,
            "/aws/reference/secretsmanager/prod/db",
            true,
        ),
        ("", "/aws/reference/secretsmanager/prod/web", false),
        ("", "/prod/db", false),
        ("", "prod/db", false),
    ] {
        for event in ["aws-sm", "aws"] {
            let plain = event == "aws" && key.ends_with("prod/db") && more.is_empty();
            let found = reads(&of(more), key, (event, &EVENT, &SCOPE));
            let own = plain && !key.contains("reference");
            assert_eq!(found, read || own, "{more} {key} {event}");
        }
        // Everything in the region, of Secrets Manager alone.
        let scope = ("aws-sm", &[][..], &SCOPE[..]);
        let proxied = key.contains("reference") || more.contains("reference");
        let region = !more.contains("region");
        assert_eq!(
            in_scope(&of(more), key, scope),
            proxied && region,
            "{more} {key}"
        );
    }
    let event = ("aws-sm", &EVENT[..], &SCOPE[..]);
    assert!(
        !finds(&of(""), None, None, event),
        "what is listed is another's"
    );
    let parameter = ("aws-ps", &["/prod/db"][..], &SCOPE[..]);
    assert!(!reads(
        &of(""),
        "/aws/reference/secretsmanager/prod/db",
        parameter
    ));
}

#[test]
fn a_parameter_is_named_by_name_version_and_arn() {
    let arn = "arn:aws:ssm:us-east-1:123456789012:parameter/a/b";
    for (prefix, key, read) in [
        ("", "/a/b", true),
        ("", "/a/b:3", true),
        ("", arn, true),
        (
            "",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/a/b",
            false,
        ),
        ("/a/", "b", true),
        ("", "/a", false),
        ("", "/a/b/c", false),
    ] {
        let spec = format!(r#"{{"aws": {{"service": "ParameterStore", "prefix": "{prefix}"}}}}"#);
        let event = ("aws-ps", &["/a/b", arn][..], &[][..]);
        assert_eq!(reads(&spec, key, event), read, "{prefix} {key}");
    }
}

#[test]
fn a_path_of_parameter_store_is_a_folder() {
    for (path, regexp, found) in [
        (None, Some("^/a/b$"), true),
        (Some("/"), Some("b"), true),
        (Some("/a"), None, true),
        (Some("/a/"), None, true),
        (Some("/a/b"), None, false),
        (Some("/"), Some("^c"), false),
    ] {
        let spec = r#"{"aws": {"service": "ParameterStore"}}"#;
        let event = ("aws-ps", &["/a/b"][..], &[][..]);
        assert_eq!(
            finds(spec, path, regexp, event),
            found,
            "{path:?} {regexp:?}"
        );
    }
}
