use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::verify::jwt::fixture::{N, Signer, jwks, keys, text};

#[test]
fn what_is_not_understood_or_not_for_signatures_is_left_out() {
    let p256 = Signer::p256().jwk("right");
    let with = |name: &str, value: Value| {
        let mut jwk = p256.clone();
        jwk[name] = value;
        jwk
    };
    let right = [
        p256.clone(),
        with("use", json!("sig")),
        with("alg", json!("ES256")),
        with("key_ops", json!(["verify"])),
        with("x5c", json!(["…"])),
    ];
    let wrong = [
        with("use", json!("enc")),
        with("alg", json!("RS256")),
        with("key_ops", json!(["encrypt"])),
        with("crv", json!("P-384")),
        with("kty", json!("OKP")),
        with("kid", json!(1)),
        with("x", json!("AA")),
        with("y", json!("not base64")),
        json!({ "kty": "oct", "k": "c2VjcmV0" }),
        json!({ "kty": "RSA", "n": N }),
        json!({ "kty": "RSA", "n": N, "e": "AQAB", "alg": "PS256" }),
        json!({ "kty": "RSA", "n": text([0xff; 128]), "e": "AQAB" }),
        json!({ "kty": "RSA", "n": text([0xff; 1025]), "e": "AQAB" }),
        json!("key"),
    ];
    for jwk in &right {
        assert_eq!(keys([jwk.clone()]).count(), 1, "{jwk}");
    }
    for jwk in &wrong {
        assert_eq!(Keys::parse(&jwks([jwk.clone()])), Err(NoKeys), "{jwk}");
    }
    assert_eq!(keys(wrong.into_iter().chain(right)).count(), 5);
}

#[test]
fn leading_zeros_of_a_modulus_do_no_harm() {
    let n = [&[0, 0], &*URL_SAFE_NO_PAD.decode(N).unwrap()].concat();
    let keys = keys([json!({ "kty": "RSA", "n": text(n), "e": text([0, 1, 0, 1]) })]);
    let token = Signer::rsa().sign(r#"{"alg":"RS256"}"#, "{}");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let verified = keys.verify(None, Algorithm::Rs256, signed.as_bytes(), &signature);
    assert_eq!(verified, Ok(()));
}

#[test]
fn what_is_no_key_set_is_refused() {
    for wrong in [
        "",
        "{}",
        "[]",
        r#"{"keys":[]}"#,
        r#"{"keys":{}}"#,
        "<html>Sign in</html>",
    ] {
        assert_eq!(Keys::parse(wrong.as_bytes()), Err(NoKeys), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_key_makes_it_panic(x in "[A-Za-z0-9_=-]{0,50}", n in prop::collection::vec(any::<u8>(), 0..300), e in prop::collection::vec(any::<u8>(), 0..10)) {
        let set = jwks([
            json!({ "kty": "RSA", "n": text(n), "e": text(e) }),
            json!({ "kty": "EC", "crv": "P-256", "x": &x, "y": &x }),
            json!({ "kty": "EC", "crv": "P-256", "x": text([7; 32]), "y": text([7; 32]) }),
        ]);
        let keys = Keys::parse(&set).unwrap();
        for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
            prop_assert!(keys.verify(None, algorithm, b"signed", &[7; 64]).is_err());
        }
    }
}
