#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};

eso_relay_fuzz::schemes! {
    { "basic": { "username": "eso", "password_file": [] } }, |secret, _| {
        format!("authorization: Basic {}", STANDARD.encode(format!("eso:{secret}")))
    };
}
