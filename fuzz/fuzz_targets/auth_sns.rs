#![no_main]

//! Signed bodies, whose certificate would have to be fetched: before that, a message has to be
//! recent, and at the end of time none is.

use std::sync::LazyLock;

use eso_relay_fuzz::{block_on, fuzz_target, scheme};
use eso_relay_ingress::verify::{Request, Scheme};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde_json::json;

static SCHEME: LazyLock<Scheme> = LazyLock::new(|| scheme(json!({ "sns": { "max_age": "1s" } })));

fuzz_target!(|body: &[u8]| {
    let kind = HeaderValue::from_static("Notification");
    let headers = HeaderMap::from_iter([("x-amz-sns-message-type".parse().expect("a name"), kind)]);
    let request = Request {
        headers: &headers,
        query: None,
        certificate: None,
        now: Timestamp::MAX,
    };
    let body = body.to_vec().into();
    let believed = block_on(async { SCHEME.admit(&request).await?.verify(body).await });
    assert!(believed.is_err(), "it is not signed");
});
