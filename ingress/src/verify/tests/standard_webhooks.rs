use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::json;

use super::{
    kit::{Directory, FILES, NOW, Shown, check, headers, problem, scheme},
    *,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn standard() -> Scheme {
    let auth = json!({ "standard-webhooks": { "secret_file": FILES } });
    scheme(&auth, &[SECRET])
}

/// The `v1` signature by [`SECRET`].
fn signature(id: &str, time: i64, body: &str) -> String {
    let secret = STANDARD.decode(&SECRET["whsec_".len()..]).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let tag = hmac::sign(&key, format!("{id}.{time}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

fn shown(id: &str, time: i64, signature: &str) -> Shown {
    headers([
        ("webhook-id", id),
        ("webhook-timestamp", &time.to_string()),
        ("webhook-signature", signature),
    ])
}

#[test]
fn the_vector_of_the_reference_libraries_fits() {
    // https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/javascript/src/index.test.ts
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let body = r#"{"test": 2432232314}"#;
    let (id, time) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
    assert_eq!(signature(id, time, body), expected);
    // Its time is years ago: so wide a tolerance takes it.
    let auth = json!({ "standard-webhooks": { "secret_file": FILES, "tolerance": "10years" } });
    let wide = scheme(&auth, &[SECRET]);
    assert!(check(&wide, &shown(id, time, expected), body.as_bytes()));
    assert!(!check(
        &standard(),
        &shown(id, time, expected),
        body.as_bytes()
    ));
}

#[test]
fn the_time_must_be_near_on_either_side() {
    let at = |time| {
        check(
            &standard(),
            &shown("m", time, &signature("m", time, "b")),
            b"b",
        )
    };
    assert!(at(NOW) && at(NOW - 300) && at(NOW + 300));
    assert!(!at(NOW - 301) && !at(NOW + 301) && !at(i64::MAX) && !at(i64::MIN));
}

#[test]
fn one_of_several_signatures_suffices_and_versions_to_come_are_skipped() {
    let right = signature("m", NOW, "b");
    let wrong = signature("m", NOW, "other");
    let says = |list: String| check(&standard(), &shown("m", NOW, &list), b"b");
    assert!(says(format!("{wrong} {right}")) && says(format!("{right} {wrong}")));
    assert!(says(format!(
        "v2,{} nonsense v1 v1,%%% {right}",
        "A".repeat(80)
    )));
    // Bytes of the one kind are no signature of the other.
    for version in ["v1a", "v2", "V1", ""] {
        assert!(!says(right.replace("v1", version)), "{version}");
    }
    assert!(!says(format!("{right},{right}")) && !says(format!("{wrong}	{right}")));
}

#[test]
fn a_long_list_of_signatures_is_not_tried_to_its_end() {
    let (right, wrong) = (signature("m", NOW, "b"), signature("m", NOW, "other"));
    let after = |count: usize| {
        let list = format!("{}{right}", format!("{wrong} ").repeat(count));
        check(&standard(), &shown("m", NOW, &list), b"b")
    };
    assert!(after(7) && !after(8));
}

#[test]
fn the_names_of_svix_are_taken_too_but_not_half_of_each() {
    let named = |names: [&'static str; 3]| {
        let [id, time, signed] = names;
        headers([
            (id, "m"),
            (time, &NOW.to_string()),
            (signed, &signature("m", NOW, "b")),
        ])
    };
    assert!(check(
        &standard(),
        &named(["svix-id", "svix-timestamp", "svix-signature"]),
        b"b"
    ));
    for mixed in [
        ["webhook-id", "svix-timestamp", "svix-signature"],
        ["svix-id", "webhook-timestamp", "webhook-signature"],
        ["svix-id", "svix-timestamp", "webhook-signature"],
    ] {
        assert!(!check(&standard(), &named(mixed), b"b"), "{mixed:?}");
    }
    // Signed by Svix's names, beside an id that is not signed.
    let mut beside = named(["svix-id", "svix-timestamp", "svix-signature"]);
    beside.headers.push(("webhook-id", "fresh".to_owned()));
    assert!(!check(&standard(), &beside, b"b"));
}

#[test]
fn a_secret_that_is_none_is_named_at_the_start_and_not_taken_at_a_rotation() {
    let auth = json!({ "standard-webhooks": { "secret_file": FILES } });
    for wrong in [
        "hunter2",
        "whsec_",
        "whsec_%%%",
        "whsec_aHVudGVyMg==",
        "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ] {
        let problem = problem(&auth, &[SECRET, wrong]);
        assert!(problem.contains("/1 holds neither whsec_"), "{problem}");
        assert!(!problem.contains(wrong) || wrong == "whsec_", "{problem}");
    }

    let directory = Directory::new("rotation");
    let scheme = directory.open(&auth, &[SECRET]).unwrap();
    directory.write("0", "hunter2");
    assert!(matches!(scheme.refresh()[..], [Refresh::Kept(..)]));
    assert!(scheme.refresh().is_empty());
    let right = shown("m", NOW, &signature("m", NOW, "b"));
    assert!(check(&scheme, &right, b"b"));
}
