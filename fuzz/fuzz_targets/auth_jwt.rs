#![no_main]

//! Tokens: the input is header and payload, parted by a NUL byte. As such it proves nothing; signed
//! by the issuer it counts for what it says.

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use eso_relay_fuzz::{NOW, fuzz_target};
use eso_relay_ingress::verify::jwt::{Expected, Keys, Rules, verify};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, from_slice, json};

static ISSUER: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let pair = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, pair.as_ref(), &random).expect("a key")
});

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let (x, y) = ISSUER.public_key().as_ref()[1..].split_at(32);
    let key = json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": text(x), "y": text(y) });
    Keys::parse(json!({ "keys": [key] }).to_string().as_bytes()).expect("a key")
});

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules {
    issuers: vec!["https://issuer".to_owned()],
    audiences: vec!["eso-relay".to_owned()],
    claims: [("admin".to_owned(), Expected::Bool(true))].into(),
    leeway: Duration::from_secs(60),
});

fuzz_target!(|input: &[u8]| {
    let whole = String::from_utf8_lossy(input);
    assert!(verify(&whole, &KEYS, &RULES, NOW).is_err());
    if let Ok(others) = Keys::parse(input) {
        assert!(verify("e30.e30.", &others, &RULES, NOW).is_err());
    }
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (header, payload) = (parts.next().unwrap_or(b""), parts.next().unwrap_or(input));
    let signed = format!("{}.{}", text(header), text(payload));
    assert!(verify(&format!("{signed}."), &KEYS, &RULES, NOW).is_err());
    let signature = ISSUER
        .sign(&SystemRandom::new(), signed.as_bytes())
        .expect("a signature");
    let token = format!("{signed}.{}", text(signature.as_ref()));
    if verify(&token, &KEYS, &RULES, NOW).is_ok() {
        says_what_it_must(
            &from_slice(header).expect("a header"),
            &from_slice(payload).expect("a payload"),
        );
    }
});

fn says_what_it_must(header: &Value, claims: &Value) {
    assert_eq!(header["alg"], "ES256");
    assert!(header.get("crit").is_none());
    assert!(header["kid"] == "k" || header["kid"].is_null());
    assert_eq!(claims["iss"], "https://issuer");
    assert_eq!(claims["admin"], true);
    let ours = |audience: &Value| audience == "eso-relay";
    let audiences = claims["aud"].as_array();
    assert!(ours(&claims["aud"]) || audiences.is_some_and(|several| several.iter().any(ours)));
    let now = NOW.as_duration().as_secs_f64();
    assert!(claims["exp"].as_f64().is_some_and(|exp| exp > now - 60.0));
    for begins in ["nbf", "iat"] {
        let begins = claims.get(begins);
        assert!(begins.is_none_or(|time| time.as_f64().is_some_and(|time| time <= now + 60.0)));
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
