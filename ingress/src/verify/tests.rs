use futures::executor::block_on;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn secrets(live: &'static str) -> Credentials {
    Credentials::fixed(live.to_owned().into())
}

fn basic() -> Scheme {
    Scheme::Basic(Basic::new("eso".to_owned(), secrets("hunter2:and:more")))
}

fn bearer() -> Scheme {
    Scheme::Bearer(Bearer {
        tokens: secrets("t0ken"),
    })
}

fn hmac(prefix: &str, encoding: Encoding) -> Scheme {
    Scheme::Hmac(Hmac {
        secrets: secrets("It's a Secret to Everybody"),
        header: HeaderName::from_static("x-hub-signature-256"),
        prefix: prefix.to_owned(),
        encoding,
    })
}

fn check(scheme: &Scheme, headers: &[(&'static str, &str)], body: &'static [u8]) -> bool {
    let headers = headers.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    });
    let headers = headers.fold(HeaderMap::new(), |mut all, (name, value)| {
        all.append(name, value);
        all
    });
    let request = Request {
        headers: &headers,
        query: None,
        certificate: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let verified = async {
        let admitted = scheme.admit(&request).await?;
        admitted.verify(Bytes::from_static(body)).await
    };
    block_on(verified).is_ok_and(|verified| {
        assert_eq!(verified.bytes(), body);
        true
    })
}

#[test]
fn basic_takes_the_right_pair_only() {
    // Base64 of eso:hunter2:and:more, in the case of the scheme's name that each client likes.
    let right = "ZXNvOmh1bnRlcjI6YW5kOm1vcmU=";
    for name in ["Basic", "basic", "BASIC"] {
        assert!(check(
            &basic(),
            &[("authorization", &format!("{name} {right}"))],
            b""
        ));
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
        assert!(
            !check(
                &basic(),
                &[("authorization", &format!("Basic {wrong}"))],
                b""
            ),
            "{wrong}"
        );
    }
    assert!(!check(&basic(), &[], b""));
    let right = format!("Basic {right}");
    assert!(!check(
        &basic(),
        &[("authorization", &right), ("authorization", &right)],
        b""
    ));
}

#[test]
fn bearer_takes_the_right_token_only() {
    assert!(check(&bearer(), &[("authorization", "Bearer t0ken")], b"x"));
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer t0ke",
        "Bearer t0ken2",
        "Basic t0ken",
        "t0ken",
    ] {
        assert!(
            !check(&bearer(), &[("authorization", wrong)], b"x"),
            "{wrong}"
        );
    }
}

#[test]
fn githubs_example_signature_fits_githubs_example_body() {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
    let hex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let base64 = "dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc=";
    let prefixed = format!("sha256={hex}");
    let header = "x-hub-signature-256";
    let github = hmac("sha256=", Encoding::Hex);
    assert!(check(&github, &[(header, &prefixed)], b"Hello, World!"));
    assert!(check(
        &github,
        &[(header, &format!("sha256={}", hex.to_uppercase()))],
        b"Hello, World!"
    ));
    assert!(!check(&github, &[(header, &prefixed)], b"Hello, World?"));
    assert!(!check(&github, &[(header, hex)], b"Hello, World!"));
    assert!(check(
        &hmac("", Encoding::Base64),
        &[(header, base64)],
        b"Hello, World!"
    ));
    assert!(!check(
        &hmac("", Encoding::Base64),
        &[(header, hex)],
        b"Hello, World!"
    ));
    for wrong in ["sha256=", "sha256=7", "sha256=zz", "sha256=7571", ""] {
        assert!(
            !check(&github, &[(header, wrong)], b"Hello, World!"),
            "{wrong}"
        );
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_in_body_or_tag_is_refused(
        body in prop::collection::vec(any::<u8>(), 1..100), flip in any::<prop::sample::Index>(), in_tag in any::<bool>(),
    ) {
        let Scheme::Hmac(hmac) = hmac("", Encoding::Hex) else { unreachable!() };
        let key = Key::new(HMAC_SHA256, b"It's a Secret to Everybody");
        let mut tag = sign(&key, &body).as_ref().to_vec();
        let mut body = body;
        prop_assert!(hmac.signed(&body, &tag));
        let flipped = if in_tag { &mut tag } else { &mut body };
        let bit = flip.index(flipped.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!hmac.signed(&body, &tag));
    }

    #[test]
    fn no_header_makes_a_scheme_panic_or_opens_the_door(value in "(Basic |Bearer |sha256=)?[ -~]{0,60}") {
        for scheme in [basic(), bearer(), hmac("sha256=", Encoding::Hex), hmac("", Encoding::Base64)] {
            for header in ["authorization", "x-hub-signature-256"] {
                prop_assert!(!check(&scheme, &[(header, &value)], b"body"));
            }
        }
    }
}
