use proptest::prelude::*;
use ring::hmac;
use serde_json::json;

use super::*;
use crate::verify::jwt::fixture::{N, Signer, keys, text};

/// The payload of RFC 7515 A.2 and A.3, and of RFC 7519 §3.1 and §6.1.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// RFC 7515 A.2.
const RS256: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// RFC 7515 A.3.
const ES256: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn examples() -> Keys {
    keys([
        json!({ "kty": "RSA", "n": N, "e": "AQAB" }),
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }),
    ])
}

fn claims(token: &str, keys: &Keys) -> Result<Claims, Wrong> {
    Token::parse(token)?.claims(keys)
}

fn wrong(token: &str, keys: &Keys) -> Wrong {
    claims(token, keys).unwrap_err()
}

#[test]
fn the_examples_of_rfc_7515_are_signed() {
    for (header, signature) in [
        ("eyJhbGciOiJSUzI1NiJ9", RS256),
        ("eyJhbGciOiJFUzI1NiJ9", ES256),
    ] {
        let claims = claims(&format!("{header}.{PAYLOAD}.{signature}"), &examples()).unwrap();
        assert_eq!(claims.get("iss"), Some(&json!("joe")));
        assert_eq!(claims.get("http://example.com/is_root"), Some(&json!(true)));
    }
}

#[test]
fn the_examples_of_rfc_7519_without_a_private_keys_signature_are_refused() {
    let hs256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    let tag = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let none = "eyJhbGciOiJub25lIn0";
    for token in [
        format!("{hs256}.{PAYLOAD}.{tag}"),
        format!("{none}.{PAYLOAD}."),
        format!("{none}.{PAYLOAD}.{RS256}"),
    ] {
        assert_eq!(wrong(&token, &examples()), Wrong::Token);
    }
}

#[test]
fn a_public_key_is_never_taken_for_a_shared_secret() {
    let jwk = Signer::rsa().jwk("a");
    let signed = format!("{}.{}", text(r#"{"alg":"HS256","kid":"a"}"#), text("{}"));
    for secret in [N, &jwk.to_string()] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, signed.as_bytes());
        let token = format!("{signed}.{}", text(tag));
        assert_eq!(wrong(&token, &keys([jwk.clone()])), Wrong::Token);
    }
}

#[test]
fn the_algorithm_has_to_fit_the_type_of_the_key() {
    let (rsa, p256) = (Signer::rsa(), Signer::p256());
    let keys = keys([rsa.jwk("rsa"), p256.jwk("p256")]);
    for (signer, alg, kid, fits) in [
        (&rsa, "RS256", "rsa", true),
        (&p256, "ES256", "p256", true),
        (&rsa, "ES256", "rsa", false),
        (&rsa, "RS256", "p256", false),
        (&p256, "RS256", "p256", false),
        (&p256, "ES256", "rsa", false),
        (&rsa, "RS384", "rsa", false),
        (&rsa, "PS256", "rsa", false),
        (&rsa, "rs256", "rsa", false),
        (&rsa, "HS256", "rsa", false),
        (&rsa, "none", "rsa", false),
    ] {
        let token = signer.sign(&json!({ "alg": alg, "kid": kid }).to_string(), "{}");
        let got = claims(&token, &keys).map(drop);
        let expected = if fits { Ok(()) } else { Err(Wrong::Token) };
        assert_eq!(got, expected, "{alg} {kid}");
    }
}

#[test]
fn the_kid_chooses_the_key_and_without_one_all_are_tried() {
    let (mine, other) = (Signer::p256(), Signer::p256());
    let keys = keys([other.jwk("other"), mine.jwk("mine")]);
    let signed = |header| mine.sign(header, "{}");
    assert!(claims(&signed(r#"{"alg":"ES256","kid":"mine"}"#), &keys).is_ok());
    assert!(claims(&signed(r#"{"alg":"ES256"}"#), &keys).is_ok());
    // The key of that name did not sign it; no newer one will have.
    let stolen = signed(r#"{"alg":"ES256","kid":"other"}"#);
    assert_eq!(wrong(&stolen, &keys), Wrong::Token);
    let newer = signed(r#"{"alg":"ES256","kid":"newer"}"#);
    assert_eq!(wrong(&newer, &keys), Wrong::Key);
    let stranger = Signer::p256().sign(r#"{"alg":"ES256"}"#, "{}");
    assert_eq!(wrong(&stranger, &keys), Wrong::Key);
}

#[test]
fn sixteen_keys_are_tried_and_no_more() {
    let signers: Vec<_> = (0..17).map(|_| Signer::p256()).collect();
    let keys = keys(signers.iter().map(|signer| signer.jwk("same")));
    let token = |at: usize| signers[at].sign(r#"{"alg":"ES256"}"#, "{}");
    assert!(claims(&token(15), &keys).is_ok());
    assert_eq!(wrong(&token(16), &keys), Wrong::Key);
}

#[test]
fn a_header_that_asks_for_more_than_we_do_is_refused() {
    let signer = Signer::p256();
    let keys = keys([signer.jwk("a")]);
    for header in [
        r#"{"alg":"ES256","kid":"a","crit":["exp"]}"#,
        r#"{"alg":"ES256","kid":"a","crit":[]}"#,
        r#"{"alg":"ES256","kid":"a","crit":null}"#,
        r#"{"alg":"ES256","alg":"ES256","kid":"a"}"#,
        r#"{"alg":["ES256"],"kid":"a"}"#,
        r#"{"alg":"ES256","kid":1}"#,
        r#"{"kid":"a"}"#,
        "[]",
        "",
    ] {
        assert_eq!(
            wrong(&signer.sign(header, "{}"), &keys),
            Wrong::Token,
            "{header}"
        );
    }
    let brought = r#"{"alg":"ES256","jku":"https://evil.example/","jwk":{},"x5c":[]}"#;
    assert!(
        claims(&signer.sign(brought, "{}"), &keys).is_ok(),
        "looked at"
    );
}

#[test]
fn a_token_has_three_parts_an_object_in_it_and_a_size_that_is_sane() {
    let signer = Signer::p256();
    let keys = keys([signer.jwk("a")]);
    let right = signer.sign(r#"{"alg":"ES256","kid":"a"}"#, "{}");
    assert!(claims(&right, &keys).is_ok());
    for token in [
        format!("{right}."),
        format!(".{right}"),
        format!("{right}.{right}"),
        format!("{right}="),
        format!(" {right}"),
        right.replacen('.', "", 1),
        String::new(),
        "..".to_owned(),
        signer.sign(r#"{"alg":"ES256","kid":"a"}"#, "[]"),
        signer.sign(r#"{"alg":"ES256","kid":"a"}"#, "{} {}"),
        signer.sign(r#"{"alg":"ES256","kid":"a"}"#, &"[".repeat(1000)),
    ] {
        assert_eq!(wrong(&token, &keys), Wrong::Token, "{token}");
    }
    let padded = |length: usize| {
        let filler = json!({ "filler": "a".repeat(length) }).to_string();
        signer.sign(r#"{"alg":"ES256","kid":"a"}"#, &filler)
    };
    assert!(claims(&padded(12_000), &keys).is_ok());
    assert_eq!(wrong(&padded(12_300), &keys), Wrong::Token);
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused(flip in any::<prop::sample::Index>(), rsa in any::<bool>()) {
        let signer = if rsa { Signer::rsa() } else { Signer::p256() };
        let keys = keys([signer.jwk("a")]);
        let token = signer.token("a", &json!({ "iss": "joe", "exp": 1_300_819_380 }));
        prop_assert!(claims(&token, &keys).is_ok());
        let mut flipped = token.into_bytes();
        let bit = flip.index(flipped.len() * 7);
        flipped[bit / 7] ^= 1 << (bit % 7);
        prop_assert!(claims(&String::from_utf8(flipped).unwrap(), &keys).is_err());
    }

    #[test]
    fn no_text_makes_it_panic_or_is_a_token(text in "\\PC{0,200}", parts in prop::array::uniform3("[ -~]{0,60}")) {
        let keys = examples();
        prop_assert!(claims(&text, &keys).is_err());
        let [header, payload, signature] = parts.map(super::super::fixture::text);
        let token = format!("{header}.{payload}.{signature}");
        prop_assert!(claims(&token, &keys).is_err());
        let token = format!("eyJhbGciOiJFUzI1NiJ9.{payload}.{signature}");
        prop_assert!(claims(&token, &keys).is_err());
    }
}
