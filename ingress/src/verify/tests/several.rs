//! Several schemes at once.

use ring::hmac;
use serde_json::{Value, json};

use super::{
    kit::{FILES, Shown, check, headers, outcome, scheme},
    *,
};

pub(super) fn bearer() -> Value {
    json!({ "bearer": { "token_file": FILES } })
}

pub(super) fn key() -> Value {
    json!({ "header": { "name": "X-Key", "value_file": FILES } })
}

pub(super) fn signed() -> Value {
    json!({ "hmac-sha256": { "header": "X-Sig", "encoding": "base64", "secret_file": FILES } })
}

/// A request that shows what is right, or wrong, or nothing, of each: bearer, key, signature.
pub(super) fn shows(shown: [Option<bool>; 3]) -> Shown {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let sign =
        |body: &[u8]| STANDARD.encode(hmac::sign(&hmac::Key::new(HMAC_SHA256, b"s3cret"), body));
    let values = [
        (
            "authorization",
            "Bearer s3cret".to_owned(),
            "Bearer wrong".to_owned(),
        ),
        ("x-key", "s3cret".to_owned(), "wrong".to_owned()),
        ("x-sig", sign(b"body"), sign(b"other")),
    ];
    let mut request = Shown::default();
    for ((name, right, wrong), shown) in values.into_iter().zip(shown) {
        if let Some(shown) = shown {
            request
                .headers
                .push((name, if shown { right } else { wrong }));
        }
    }
    request
}

/// Every way to show three things.
fn ways() -> Vec<[Option<bool>; 3]> {
    let each = [None, Some(false), Some(true)];
    let mut ways = Vec::new();
    for bearer in each {
        for key in each {
            for signature in each {
                ways.push([bearer, key, signature]);
            }
        }
    }
    ways
}

#[test]
fn all_and_any_mean_what_they_say_also_below_each_other() {
    type Means = fn([bool; 3]) -> bool;
    let (bearer, key, signed) = (bearer(), key(), signed());
    let table: [(Value, Means); 7] = [
        (json!({ "all": [bearer, key, signed] }), |[b, k, s]| {
            b && k && s
        }),
        (json!({ "any": [bearer, key, signed] }), |[b, k, s]| {
            b || k || s
        }),
        (
            json!({ "all": [bearer, { "any": [key, signed] }] }),
            |[b, k, s]| b && (k || s),
        ),
        (
            json!({ "any": [bearer, { "all": [key, signed] }] }),
            |[b, k, s]| b || (k && s),
        ),
        (
            json!({ "any": [{ "any": [key] }, { "all": [bearer, signed] }] }),
            |[b, k, s]| k || (b && s),
        ),
        (json!({ "all": ["none", bearer] }), |[b, ..]| b),
        (json!({ "any": ["none", bearer] }), |_| true),
    ];
    for (auth, means) in table {
        let scheme = scheme(&auth, &["s3cret"]);
        assert_eq!(scheme.is_open(), means([false; 3]), "{auth}");
        for way in ways() {
            let expected = means(way.map(|shown| shown == Some(true)));
            // Nothing tells which of them failed.
            let expected = if expected {
                Ok(())
            } else {
                Err(Unauthorized.into())
            };
            assert_eq!(
                outcome(&scheme, &shows(way), b"body"),
                expected,
                "{auth} {way:?}"
            );
        }
    }
}

#[test]
fn a_signature_in_all_or_any_still_has_to_fit_the_body() {
    for several in ["all", "any"] {
        let scheme = scheme(&json!({ several: [signed()] }), &["s3cret"]);
        let right = shows([None, None, Some(true)]);
        assert!(check(&scheme, &right, b"body") && !check(&scheme, &right, b"bodz"));
    }
}

#[test]
fn the_challenge_is_the_same_whatever_was_shown() {
    let any = scheme(&json!({ "any": [signed(), bearer()] }), &["s3cret"]);
    assert_eq!(any.challenge(), Some("Bearer realm=\"eso-relay\""));
    assert_eq!(
        scheme(&json!({ "all": [signed(), key()] }), &["s3cret"]).challenge(),
        None
    );
}

#[test]
fn secrets_of_all_of_them_are_read_again() {
    let directory = kit::Directory::new("several");
    let auth = json!({ "any": [bearer(), { "all": [key(), signed()] }] });
    let scheme = directory.open(&auth, &["old"]).unwrap();
    directory.write("0", "s3cret");
    assert_eq!(scheme.refresh().len(), 3);
    assert!(check(
        &scheme,
        &headers([("authorization", "Bearer s3cret")]),
        b""
    ));
}

#[test]
fn a_sender_that_may_be_right_is_asked_to_try_again() {
    let wrong = || Refused::from(Unauthorized);
    assert_eq!(worse(wrong(), wrong()), wrong());
    for (one, other) in [
        (wrong(), Refused::Unavailable),
        (Refused::Unavailable, wrong()),
        (Refused::Unavailable, Refused::Unavailable),
    ] {
        assert_eq!(worse(one, other), Refused::Unavailable);
    }
    // One scheme could not be asked before the body came, another one fails at the body.
    let holds = |mut pending: Pending<'_>, body| futures::executor::block_on(pending.hold(body));
    let scheme = scheme(&signed(), &["s3cret"]);
    let Scheme::Hmac(hmac) = &scheme else {
        unreachable!()
    };
    let claim = || {
        let mut headers = HeaderMap::new();
        let value = shows([None, None, Some(true)]).headers[0]
            .1
            .parse()
            .unwrap();
        headers.insert("x-sig", value);
        let request = Request {
            headers: &headers,
            certificate: None,
            query: None,
            now: Timestamp::UNIX_EPOCH,
        };
        Pending::Any(
            vec![Pending::Hmac(hmac.claim(&request).unwrap())],
            Refused::Unavailable,
        )
    };
    assert_eq!(holds(claim(), b"other"), Err(Refused::Unavailable));
    assert_eq!(holds(claim(), b"body"), Ok(()));
}
