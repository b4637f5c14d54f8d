//! Schemes that show the secret itself.

use proptest::prelude::*;
use serde_json::json;

use super::{
    kit::{FILES, Shown, check, headers, scheme},
    *,
};

#[test]
fn basic_takes_the_right_pair_only() {
    let basic = scheme(
        &json!({ "basic": { "username": "eso", "password_file": FILES } }),
        &["hunter2:and:more"],
    );
    let says = |value: String| check(&basic, &headers([("authorization", &value)]), b"");
    // Base64 of eso:hunter2:and:more, in the case of the scheme's name that each client likes.
    let right = "ZXNvOmh1bnRlcjI6YW5kOm1vcmU=";
    for name in ["Basic", "basic", "BASIC"] {
        assert!(says(format!("{name} {right}")));
    }
    for wrong in [
        "ZXNvOmh1bnRlcjI=",         // eso:hunter2
        "eDpodW50ZXIyOmFuZDptb3Jl", // x:hunter2:and:more
        "ZXNv",                     // eso
        "Og==",                     // :
        "",
        "%%%",
        "ZXNvOmh1bnRlcjI6YW5kOm1vcmU", // no padding
    ] {
        assert!(!says(format!("Basic {wrong}")), "{wrong}");
    }
}

#[test]
fn bearer_takes_the_right_token_only() {
    let bearer = scheme(&json!({ "bearer": { "token_file": FILES } }), &["t0ken"]);
    let says = |value| check(&bearer, &headers([("authorization", value)]), b"x");
    assert!(says("Bearer t0ken") && says("bearer t0ken"));
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer t0ke",
        "Bearer t0ken2",
        "Basic t0ken",
        "t0ken",
    ] {
        assert!(!says(wrong), "{wrong}");
    }
}

#[test]
fn a_query_parameter_is_taken_by_its_name_and_decoded() {
    let auth = json!({ "header": { "query": "token", "value_file": FILES } });
    let scheme = scheme(&auth, &["a b/c"]);
    let asks = |query: &str| {
        let shown = Shown {
            query: Some(query.to_owned()),
            ..Shown::default()
        };
        check(&scheme, &shown, b"")
    };
    assert!(asks("token=a%20b%2Fc") && asks("x=1&token=a+b/c&y="));
    for wrong in [
        "",
        "token",
        "token=",
        "Token=a+b/c",
        "tokens=a+b/c",
        "x=token=a+b/c",
        "token=a+b/c&token=x",
    ] {
        assert!(!asks(wrong), "{wrong}");
    }
    // A header of that name is not the parameter.
    assert!(!check(&scheme, &headers([("token", "a b/c")]), b""));
}

#[test]
fn without_a_scheme_everybody_is_believed() {
    let none = scheme(&json!("none"), &[]);
    assert!(check(&none, &Shown::default(), b"anything") && none.is_open());
}

proptest! {
    #[test]
    fn equal_is_equality(one in prop::collection::vec(any::<u8>(), 0..4), other in prop::collection::vec(any::<u8>(), 0..4)) {
        prop_assert_eq!(equal(&one, &other), one == other);
        prop_assert!(equal(&one, &one));
    }
}
