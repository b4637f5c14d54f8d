use proptest::prelude::*;
use ring::hmac;
use serde_json::json;

use super::kit::{FILES, NOW_MS, check, headers, hex, scheme};

#[test]
fn githubs_example_signature_fits_githubs_example_body() {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    let hex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let free = json!({ "hmac-sha256": { "header": "X-Hub-Signature-256", "prefix": "sha256=", "secret_file": FILES } });
    let preset = json!({ "hmac-sha256": { "preset": "github", "secret_file": FILES } });
    for auth in [free, preset] {
        let github = scheme(&auth, &[SECRET]);
        let says =
            |value: &str, body| check(&github, &headers([("x-hub-signature-256", value)]), body);
        assert!(says(&format!("sha256={hex}"), BODY), "{auth}");
        assert!(
            says(&format!("sha256={}", hex.to_uppercase()), BODY),
            "{auth}"
        );
        assert!(!says(&format!("sha256={hex}"), b"Hello, World?"), "{auth}");
        for wrong in [hex, "sha256=", "sha256=7", "sha256=zz", "sha256=7571", ""] {
            assert!(!says(wrong, BODY), "{auth} {wrong}");
        }
    }
    let auth =
        json!({ "hmac-sha256": { "header": "x", "encoding": "base64", "secret_file": FILES } });
    let base64 = scheme(&auth, &[SECRET]);
    let says = |value| check(&base64, &headers([("x", value)]), BODY);
    assert!(says("dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc="));
    assert!(!says("dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc") && !says(hex));
}

#[test]
fn the_vectors_of_rfc_2202_and_rfc_4231_fit() {
    let b = "\u{b}".repeat(20);
    let jefe = ("Jefe", "what do ya want for nothing?");
    let hi = (b.as_str(), "Hi There");
    for (algorithm, (key, data), expected) in [
        ("sha1", hi, "b617318655057264e28bc0b6fb378c8ef146be00"),
        ("sha1", jefe, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (
            "sha256",
            hi,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            "sha256",
            jefe,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            "sha512",
            hi,
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        ),
        (
            "sha512",
            jefe,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        for named in ["sha1", "sha256", "sha512"] {
            let auth = json!({ "hmac-sha256": { "header": "x", "algorithm": named, "secret_file": FILES } });
            let fits = check(
                &scheme(&auth, &[key]),
                &headers([("x", expected)]),
                data.as_bytes(),
            );
            assert_eq!(
                fits,
                named == algorithm,
                "{algorithm} {expected} as {named}"
            );
        }
    }
}

/// Signed as Infisical does it: the MAC is over the body alone.
fn infisical(tolerance: Option<&str>, header_ms: &str, body: &str) -> bool {
    let mut auth = json!({ "hmac-sha256": { "preset": "infisical", "secret_file": FILES } });
    if let Some(tolerance) = tolerance {
        auth["hmac-sha256"]["tolerance"] = json!(tolerance);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
    let tag = hmac::sign(&key, body.as_bytes());
    let value = format!("t={header_ms};{}", hex(tag.as_ref()));
    check(
        &scheme(&auth, &["s3cret"]),
        &headers([("x-infisical-signature", &value)]),
        body.as_bytes(),
    )
}

#[test]
fn infisicals_time_must_be_near_on_either_side() {
    let at = |tolerance, apart: i64| {
        let time = NOW_MS + apart;
        infisical(
            tolerance,
            &time.to_string(),
            &json!({ "event": "secrets.modified", "timestamp": time }).to_string(),
        )
    };
    for apart in [0, 300_000, -300_000] {
        assert!(at(None, apart), "{apart}");
    }
    for apart in [300_001, -300_001] {
        assert!(!at(None, apart), "{apart}");
    }
    assert!(at(Some("10s"), -10_000) && !at(Some("10s"), -10_001));
}

#[test]
fn infisicals_time_counts_only_as_the_signed_body_says_it() {
    let now = NOW_MS.to_string();
    let ago = NOW_MS - 3_600_000;
    // An old request, sent again with a new time in its unsigned header.
    assert!(!infisical(
        None,
        &now,
        &json!({ "timestamp": ago }).to_string()
    ));
    for body in [
        "{}",
        "not json",
        r#"{"timestamp":"1700000000000"}"#,
        r#"{"timestamp":1700000000000.0}"#,
        r#"{"timestamp":1700000000000,"timestamp":1700000000000}"#,
        r#"{"a":{"timestamp":1700000000000}}"#,
        "",
    ] {
        assert!(!infisical(None, &now, body), "{body}");
    }
    let body = json!({ "timestamp": NOW_MS }).to_string();
    for time in [
        "",
        "now",
        "1700000000000.0",
        "99999999999999999999",
        "9223372036854775807",
        "-1",
    ] {
        assert!(!infisical(None, time, &body), "{time}");
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_of_a_tag_is_refused(
        body in prop::collection::vec(any::<u8>(), 0..100), bit in any::<prop::sample::Index>(),
    ) {
        let auth = json!({ "hmac-sha256": { "header": "x", "secret_file": FILES } });
        let scheme = scheme(&auth, &["s3cret"]);
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
        let mut tag = hmac::sign(&key, &body).as_ref().to_vec();
        let says = |tag: &[u8]| {
            check(&scheme, &headers([("x", &hex(tag))]), &body)
        };
        prop_assert!(says(&tag));
        let bit = bit.index(tag.len() * 8);
        tag[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!says(&tag));
    }
}
