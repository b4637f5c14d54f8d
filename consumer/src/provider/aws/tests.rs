use crate::provider::tests::{finds, reads};

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
        (r#""region": "us-west-2""#, elsewhere, false),
        (r#""region": "us-west-2""#, foreign, false),
        (r#""region": "eu-west-1""#, "prod/db", false),
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
    let elsewhere = r#"{"aws": {"region": "eu-west-1"}}"#;
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
        let spec = r#"{"aws": {"region": "eu-west-1"}}"#;
        assert!(!finds(spec, path, regexp, event), "{path:?} {regexp:?}");
    }
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
