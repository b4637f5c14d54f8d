//! Errors in an `auth:` section, and their remedies.

use serde_json::json;

use super::{
    kit::{Directory, FILES, problem},
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
            json!({ "header": "X", "prefix": " sha256=" }),
            "prefix begins with a blank",
        ),
        (
            json!({ "header": "X", "prefix": "sígn=" }),
            "holds what no header carries",
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
fn a_secret_that_no_header_carries_is_refused() {
    let bearer = json!({ "bearer": { "token_file": FILES } });
    let header = json!({ "header": { "name": "X-Key", "value_file": FILES } });
    let basic = json!({ "basic": { "username": "eso", "password_file": FILES } });
    for (auth, secret) in [
        (&bearer, "one\ntwo"),
        (&bearer, "s3cret\n\n"),
        (&bearer, " s3cret"),
        (&bearer, "s3crét"),
        (&header, "one\r\ntwo"),
        (&header, "s3cret\t"),
        (&header, "\u{feff}s3cret"),
        (&basic, "s3cret\n\n"),
        (&basic, "one\ntwo"),
    ] {
        let problem = problem(auth, &["fine", secret]);
        assert!(problem.contains("on one line"), "{secret:?}: {problem}");
        assert!(
            !problem.contains("s3cr") && !problem.contains("two"),
            "{problem}"
        );
    }
    let query = json!({ "header": { "query": "key", "value_file": FILES } });
    for (auth, secret) in [
        (&bearer, "a b~"),
        (&header, "a\tb"),
        (&basic, " s3crét "),
        (&query, "é "),
    ] {
        let directory = Directory::new("fits");
        assert!(directory.open(auth, &[secret]).is_ok(), "{secret:?}");
    }
}

#[test]
fn two_schemes_that_need_the_same_header_are_not_all_to_hold() {
    let basic = json!({ "basic": { "username": "eso", "password_file": FILES } });
    let bearer = json!({ "bearer": { "token_file": FILES } });
    let header = |name: &str| json!({ "header": { "name": name, "value_file": FILES } });
    let query = json!({ "header": { "query": "key", "value_file": FILES } });
    let hmac = json!({ "hmac-sha256": { "preset": "github", "secret_file": FILES } });
    for (all, expected) in [
        (json!([basic, bearer]), "`authorization`"),
        (
            json!([header("X-Key"), header("x-key")]),
            "the header `x-key`",
        ),
        (json!([header("Authorization"), basic]), "`authorization`"),
        (
            json!([hmac, header("X-Hub-Signature-256")]),
            "`x-hub-signature-256`",
        ),
        (json!([query, query]), "the query parameter `key`"),
        (
            json!([basic, { "any": [bearer, basic] }]),
            "`authorization`",
        ),
        (json!([basic, { "all": [hmac, bearer] }]), "`authorization`"),
    ] {
        let problem = problem(&json!({ "all": all }), &["s3cret"]);
        let named = problem.contains("auth.all") && problem.contains(expected);
        assert!(named && problem.contains("write `any`"), "{all}: {problem}");
    }
    for auth in [
        json!({ "all": [basic, hmac, query, header("X-Key")] }),
        json!({ "all": [basic, { "any": [bearer, query] }] }),
        json!({ "any": [basic, bearer] }),
    ] {
        let directory = Directory::new("together");
        assert!(directory.open(&auth, &["s3cret"]).is_ok(), "{auth}");
    }
}

#[test]
fn a_list_of_no_schemes_is_not_an_open_door() {
    for several in ["all", "any"] {
        let problem = problem(&json!({ several: [] }), &[]);
        assert!(problem.contains("list the schemes"), "{problem}");
    }
}
