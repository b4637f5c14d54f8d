//! What holds for every scheme that has a secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::{
    kit::{Directory, FILES, NOW, NOW_MS, Shown, check, headers, hex, outcome, scheme},
    *,
};

/// A sender of each kind. Its secrets are numbered.
struct Sender {
    auth: Value,
    /// What the file of a secret holds.
    file: fn(u8) -> String,
    send: fn(u8, &[u8]) -> Shown,
    signs: bool,
}

fn senders() -> Vec<Sender> {
    let knowing = |auth, send| Sender {
        auth,
        file: password,
        send,
        signs: false,
    };
    let signing = |hmac, send| Sender {
        auth: json!({ "hmac-sha256": hmac }),
        file: password,
        send,
        signs: true,
    };
    let standard = |file, send| Sender {
        auth: json!({ "standard-webhooks": { "secret_file": FILES } }),
        file,
        send,
        signs: true,
    };
    vec![
        knowing(
            json!({ "basic": { "username": "eso", "password_file": FILES } }),
            |n, _| {
                let pair = STANDARD.encode(format!("eso:{}", password(n)));
                headers([("authorization", &format!("Basic {pair}"))])
            },
        ),
        knowing(json!({ "bearer": { "token_file": FILES } }), |n, _| {
            headers([("authorization", &format!("Bearer {}", password(n)))])
        }),
        knowing(
            json!({ "header": { "name": "X-Gitlab-Token", "value_file": FILES } }),
            |n, _| headers([("x-gitlab-token", &password(n))]),
        ),
        knowing(
            json!({ "header": { "query": "token", "value_file": FILES } }),
            |n, _| Shown {
                query: Some(format!("a=b&token={}", password(n))),
                ..Shown::default()
            },
        ),
        signing(
            json!({ "preset": "github", "secret_file": FILES }),
            |n, body| headers([("x-hub-signature-256", &format!("sha256={}", mac(n, body)))]),
        ),
        signing(
            json!({ "preset": "doppler", "secret_file": FILES }),
            |n, body| headers([("x-doppler-signature", &format!("sha256={}", mac(n, body)))]),
        ),
        signing(
            json!({ "preset": "pulumi", "secret_file": FILES }),
            |n, body| headers([("pulumi-webhook-signature", &mac(n, body))]),
        ),
        signing(
            json!({ "preset": "infisical", "secret_file": FILES }),
            |n, body| {
                let signature = format!("t={NOW_MS};{}", mac(n, body));
                headers([("x-infisical-signature", &signature)])
            },
        ),
        signing(
            json!({ "header": "X-Sig", "algorithm": "sha1", "encoding": "base64", "secret_file": FILES }),
            |n, body| {
                let tag = tag(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, n, body);
                headers([("x-sig", &STANDARD.encode(tag))])
            },
        ),
        signing(
            json!({ "header": "X-Sig", "algorithm": "sha512", "prefix": "v1:", "secret_file": FILES }),
            |n, body| {
                let tag = tag(hmac::HMAC_SHA512, n, body);
                headers([("x-sig", &format!("v1:{}", hex(&tag)))])
            },
        ),
        standard(whsec, |n, body| {
            let message = [format!("msg_1.{NOW}.").as_bytes(), body].concat();
            let key = hmac::Key::new(hmac::HMAC_SHA256, &[n; 24]);
            standard_headers("v1", hmac::sign(&key, &message).as_ref())
        }),
        standard(whpk, |n, body| {
            let message = [format!("msg_1.{NOW}.").as_bytes(), body].concat();
            standard_headers("v1a", pair(n).sign(&message).as_ref())
        }),
    ]
}

fn password(n: u8) -> String {
    format!("secret-number-{n}")
}

fn whsec(n: u8) -> String {
    format!("whsec_{}", STANDARD.encode([n; 24]))
}

fn pair(n: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[n; 32]).unwrap()
}

fn whpk(n: u8) -> String {
    format!("whpk_{}", STANDARD.encode(pair(n).public_key()))
}

fn tag(algorithm: hmac::Algorithm, n: u8, body: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(algorithm, password(n).as_bytes());
    hmac::sign(&key, body).as_ref().to_vec()
}

fn mac(n: u8, body: &[u8]) -> String {
    hex(&tag(HMAC_SHA256, n, body))
}

fn standard_headers(version: &str, signature: &[u8]) -> Shown {
    headers([
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", &NOW.to_string()),
        (
            "webhook-signature",
            &format!("{version},{}", STANDARD.encode(signature)),
        ),
    ])
}

/// Infisical's says when it was sent.
fn body() -> Vec<u8> {
    json!({ "timestamp": NOW_MS }).to_string().into_bytes()
}

/// The same request with each of its credentials changed in turn.
fn changed(shown: &Shown, change: impl Fn(&str) -> String) -> Vec<Shown> {
    let mut all = Vec::new();
    for at in 0..shown.headers.len() {
        let mut one = shown.clone();
        one.headers[at].1 = change(&one.headers[at].1);
        all.push(one);
    }
    if let Some(query) = &shown.query {
        all.push(Shown {
            query: Some(change(query)),
            ..shown.clone()
        });
    }
    all
}

#[test]
fn the_right_credentials_open_the_door_and_no_others_do() {
    for sender in senders() {
        let (auth, body) = (&sender.auth, &body());
        let scheme = scheme(auth, &[&(sender.file)(1)]);
        let right = (sender.send)(1, body);
        assert!(check(&scheme, &right, body), "{auth}");

        let refused = |shown: &Shown, why: &str| {
            let outcome = outcome(&scheme, shown, body);
            assert_eq!(
                outcome,
                Err(Unauthorized.into()),
                "{auth}, {why}: {shown:?}"
            );
        };
        refused(&Shown::default(), "missing");
        refused(&(sender.send)(2, body), "the secret of another source");
        for cut in 1..=2 {
            let truncated = |value: &str| value[..value.len() - cut].to_owned();
            for shown in changed(&right, truncated) {
                refused(&shown, "truncated");
            }
        }
        for shown in changed(&right, |_| String::new()) {
            refused(&shown, "empty");
        }
        let mut twice = right.clone();
        twice.headers.extend(right.headers.clone());
        twice.query = right.query.as_ref().map(|query| format!("{query}&{query}"));
        refused(&twice, "twice");
    }
}

#[test]
fn two_secrets_count_at_once_and_a_removed_one_no_more() {
    for sender in senders() {
        let (auth, body) = (&sender.auth, &body());
        let directory = Directory::new("rotation");
        let files = [(sender.file)(1), (sender.file)(2)];
        let scheme = directory.open(auth, &[&files[0], &files[1]]).unwrap();
        let counts = |n| check(&scheme, &(sender.send)(n, body), body);
        assert!(counts(1) && counts(2) && !counts(3), "{auth}");

        std::fs::remove_file(directory.file("0").path()).unwrap();
        assert!(matches!(scheme.refresh()[..], [Refresh::Revoked(_)]));
        assert!(!counts(1) && counts(2), "{auth}");

        directory.write("1", &(sender.file)(3));
        assert!(matches!(scheme.refresh()[..], [Refresh::Replaced(_)]));
        assert!(!counts(1) && !counts(2) && counts(3), "{auth}");
    }
}

proptest! {
    #[test]
    fn one_other_letter_in_what_is_shown_is_refused(at in any::<prop::sample::Index>(), to in "[0-9a-z]") {
        let replaced = |value: &str| {
            let at = at.index(value.len());
            if value[at..=at].eq_ignore_ascii_case(&to) {
                return format!("{value}x");
            }
            format!("{}{to}{}", &value[..at], &value[at + 1..])
        };
        for sender in senders() {
            let scheme = scheme(&sender.auth, &[&(sender.file)(1)]);
            for shown in changed(&(sender.send)(1, &body()), replaced) {
                // Other parameters are ignored.
                if shown.query.as_ref().is_some_and(|query| query.ends_with("token=secret-number-1")) {
                    continue;
                }
                prop_assert!(!check(&scheme, &shown, &body()), "{} {:?}", sender.auth, shown);
            }
        }
    }

    #[test]
    fn one_flipped_bit_of_a_signed_body_is_refused(bit in any::<prop::sample::Index>()) {
        for sender in senders().into_iter().filter(|sender| sender.signs) {
            let scheme = scheme(&sender.auth, &[&(sender.file)(1)]);
            let mut body = body();
            let shown = (sender.send)(1, &body);
            let bit = bit.index(body.len() * 8);
            body[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!check(&scheme, &shown, &body), "{}", sender.auth);
        }
    }

    #[test]
    fn no_header_makes_a_scheme_panic_or_opens_the_door(
        value in "(Basic |Bearer |sha256=|t=1700000000000;|v1,|v1a,)?[ -~]{0,60}", query in "[ -~]{0,20}",
    ) {
        for sender in senders() {
            let scheme = scheme(&sender.auth, &[&(sender.file)(1)]);
            for mut shown in changed(&(sender.send)(1, b"other"), |_| value.clone()) {
                shown.query = Some(query.clone());
                prop_assert!(!check(&scheme, &shown, &body()), "{} {:?}", sender.auth, shown);
            }
        }
    }
}
