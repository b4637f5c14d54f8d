//! What is wrong with an `auth:` section, and what mends it.

use serde_json::json;

use super::{
    kit::{FILES, problem},
    *,
};

#[test]
fn a_signature_is_described_by_a_preset_or_setting_by_setting() {
    let hmac = |settings: serde_json::Value| {
        let mut auth = json!({ "hmac-sha256": { "secret_file": FILES } });
        for (name, value) in settings.as_object().unwrap() {
            auth["hmac-sha256"][name] = value.clone();
        }
        auth
    };
    for (settings, expected) in [
        (json!({}), "header is not the name of a header"),
        (
            json!({ "header": "no header" }),
            "header is not the name of a header",
        ),
        (
            json!({ "preset": "github", "header": "X" }),
            "remove `header`",
        ),
        (
            json!({ "preset": "doppler", "prefix": "" }),
            "remove `prefix`",
        ),
        (
            json!({ "preset": "pulumi", "encoding": "hex" }),
            "remove `encoding`",
        ),
        (
            json!({ "preset": "infisical", "algorithm": "sha256" }),
            "remove `algorithm`",
        ),
        (
            json!({ "preset": "github", "tolerance": "1m" }),
            "tolerance needs a signed time",
        ),
        (
            json!({ "header": "X", "tolerance": "1m" }),
            "tolerance needs a signed time",
        ),
    ] {
        let problem = problem(&hmac(settings.clone()), &["s3cret"]);
        assert!(
            problem.contains(expected) && problem.contains("auth.hmac-sha256."),
            "{settings}: {problem}"
        );
    }
    for settings in [
        json!({ "preset": "gitea" }),
        json!({ "header": "X", "algorithm": "md5" }),
    ] {
        assert!(serde_json::from_value::<AuthConfig>(hmac(settings)).is_err());
    }
}

#[test]
fn a_header_or_a_parameter_is_named_and_not_both() {
    for (settings, expected) in [
        (json!({ "value_file": FILES }), "needs either `name`"),
        (
            json!({ "name": "X", "query": "x", "value_file": FILES }),
            "needs either `name`",
        ),
        (
            json!({ "query": "", "value_file": FILES }),
            "needs either `name`",
        ),
        (
            json!({ "name": "a b", "value_file": FILES }),
            "auth.header.name is not the name",
        ),
    ] {
        let problem = problem(&json!({ "header": settings }), &["s3cret"]);
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_list_of_no_schemes_is_not_an_open_door() {
    for several in ["all", "any"] {
        let problem = problem(&json!({ several: [] }), &[]);
        assert!(problem.contains("list the schemes"), "{problem}");
    }
}
