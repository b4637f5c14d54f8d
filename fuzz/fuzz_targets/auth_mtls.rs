#![no_main]

//! Certificates of a known CA: whatever they contain, only the pinned names are admitted.

use std::sync::LazyLock;

use eso_relay_fuzz::{NOW, block_on, fuzz_target, scheme};
use eso_relay_ingress::{
    tls::ClientCertificate,
    verify::{Request, Scheme},
};
use http::HeaderMap;
use serde_json::json;

const NAMES: [&str; 3] = [
    "spiffe://prod/akeyless",
    "gateway.example.com",
    "ops@example.com",
];

static SCHEME: LazyLock<Scheme> = LazyLock::new(|| scheme(json!({ "mtls": { "san": NAMES } })));

fuzz_target!(|certificate: &[u8]| {
    let read = ClientCertificate::read(certificate);
    let headers = HeaderMap::new();
    let request = Request {
        headers: &headers,
        query: None,
        certificate: read.as_ref(),
        now: NOW,
    };
    if block_on(SCHEME.admit(&request)).is_ok() {
        let lower = certificate.to_ascii_lowercase();
        let names = |name: &&str| {
            lower
                .windows(name.len())
                .any(|part| part == name.as_bytes())
        };
        assert!(NAMES.iter().any(names), "let in by none of its names");
    }
});
