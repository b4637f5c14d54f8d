//! Which credential has verified a request.

use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};

use super::{
    kit::{check, headers, scheme},
    several::{bearer, key, shows, signed},
    *,
};

/// The counters of the scheme's credentials, in the order of the configuration.
fn counted(scheme: &Scheme) -> Vec<Counter> {
    let mut uses = Vec::new();
    for credentials in scheme.credentials() {
        credentials.count_uses(|| {
            let counter = Counter::default();
            uses.push(counter.clone());
            counter
        });
    }
    uses
}

fn counts(uses: &[Counter]) -> Vec<u64> {
    uses.iter().map(Counter::get).collect()
}

#[test]
fn the_second_of_two_credentials_counts_for_itself() {
    let scheme = scheme(&bearer(), &["old", "new"]);
    let uses = counted(&scheme);
    let sends = |token: &str| {
        let shown = headers([("authorization", &format!("Bearer {token}"))]);
        check(&scheme, &shown, b"body")
    };
    assert!(sends("new") && sends("new") && sends("old"));
    assert!(!sends("wrong"));
    assert_eq!(counts(&uses), [1, 2]);
}

/// What counts for a request that shows what is right or wrong of each: bearer, key, signature.
fn counts_of(auth: &Value, way: [Option<bool>; 3]) -> Vec<u64> {
    let scheme = scheme(auth, &["s3cret"]);
    let uses = counted(&scheme);
    check(&scheme, &shows(way), b"body");
    counts(&uses)
}

#[test]
fn only_what_has_verified_the_whole_request_counts() {
    let (bearer, key, signed) = (bearer(), key(), signed());
    let all = json!({ "all": [bearer, key, signed] });
    let any = json!({ "any": [bearer, key, signed] });
    let nested = json!({ "any": [{ "all": [bearer, signed] }, key] });
    let (right, wrong) = (Some(true), Some(false));
    for (auth, way, expected) in [
        (&all, [right, right, right], [1, 1, 1]),
        // The body is another one than the sender signed.
        (&all, [right, right, wrong], [0, 0, 0]),
        (&all, [right, wrong, right], [0, 0, 0]),
        (&any, [right, right, right], [1, 0, 0]),
        (&any, [wrong, None, right], [0, 0, 1]),
        (&any, [wrong, wrong, wrong], [0, 0, 0]),
        // The first of both fails at the signature.
        (&nested, [right, right, wrong], [0, 0, 1]),
        (&nested, [right, right, right], [1, 1, 0]),
    ] {
        assert_eq!(counts_of(auth, way), expected, "{auth} {way:?}");
    }
}
