#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac::{HMAC_SHA256, Key, Tag, sign};

eso_relay_fuzz::schemes! {
    { "hmac-sha256": { "header": "x-signature", "prefix": "sha256=", "secret_file": [] } }, |secret, body| {
        let hex: Vec<_> = tag(secret, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("x-signature: sha256={}", hex.concat())
    };
    { "hmac-sha256": { "header": "x-signature", "encoding": "base64", "secret_file": [] } }, |secret, body| {
        format!("x-signature: {}", STANDARD.encode(tag(secret, body)))
    };
}

fn tag(secret: &str, body: &[u8]) -> Tag {
    sign(&Key::new(HMAC_SHA256, secret.as_bytes()), body)
}
