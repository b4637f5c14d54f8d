#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use eso_relay_fuzz::NOW;
use ring::hmac::{HMAC_SHA256, Key, sign};

eso_relay_fuzz::schemes! {
    { "standard-webhooks": { "secret_file": [] } }, |secret, body| {
        let key = STANDARD.decode(&secret["whsec_".len()..]).expect("base64");
        let time = NOW.as_second();
        let signed = [format!("msg_1.{time}.").as_bytes(), body].concat();
        let tag = STANDARD.encode(sign(&Key::new(HMAC_SHA256, &key), &signed));
        format!("webhook-id: msg_1\nwebhook-timestamp: {time}\nwebhook-signature: v1,{tag}")
    };
}
