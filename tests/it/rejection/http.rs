//! Bytes on the connection that no client library would send.

use std::time::Duration;

use eso_relay_lab::installation::{BASIC_PASSWORD, BASIC_USER, READY};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::Tested;

const BODY: &str = r#"[{"event_type": "static-secret-updated", "item_name": "prod/db"}]"#;

impl Tested {
    /// The first lines of a request that would be accepted.
    fn head(&self) -> String {
        let user = self
            .webhooks
            .post("")
            .basic_auth(BASIC_USER, Some(BASIC_PASSWORD));
        let user = user.build().unwrap();
        let user = user.headers()["authorization"].to_str().unwrap();
        format!("POST /v1/hooks/akeyless HTTP/1.1\r\nHost: ingress\r\nAuthorization: {user}\r\n")
    }

    /// Sends the bytes and reads until the other side closes; the status of each answer.
    async fn raw(&self, what: &str, bytes: &[u8]) -> Vec<u16> {
        let address = self.ingress.url().replace("http://", "");
        let connection = TcpStream::connect(address).await.unwrap();
        let (mut from, mut to) = connection.into_split();
        let bytes = bytes.to_vec();
        let sending = tokio::spawn(async move {
            // It may close before all is sent.
            to.write_all(&bytes).await.ok();
            to
        });
        let mut answer = Vec::new();
        let read = timeout(READY, from.read_to_end(&mut answer)).await;
        // A reset after the answer is an end too.
        read.unwrap_or_else(|_| panic!("{what}: the connection stays open"))
            .ok();
        sending.abort();
        String::from_utf8_lossy(&answer)
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|answer| answer[..3].parse().unwrap())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_refused_and_closed() {
    let tested = Tested::start("header_timeout: 500ms").await;
    let head = tested.head();
    let length = BODY.len();
    let lines = |more: &str| format!("{head}{more}\r\n\r\n{BODY}").into_bytes();
    let many = "x-many: y\r\n".repeat(10_000);
    let long = "y".repeat(64 * 1024);
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        (
            "garbage",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".into(),
            &[400],
        ),
        (
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            &[400, 505],
        ),
        (
            "HTTP/9",
            b"POST /webhook HTTP/9.9\r\n\r\n".into(),
            &[400, 505],
        ),
        ("no version", b"POST /webhook\r\n\r\n".into(), &[400]),
        (
            "NUL in the path",
            b"POST /v1/hooks/a\0 HTTP/1.1\r\n\r\n".into(),
            &[400],
        ),
        (
            "a long path",
            format!("POST /{long} HTTP/1.1\r\n\r\n").into(),
            &[414, 431, 400],
        ),
        ("10000 headers", lines(&many), &[431]),
        ("an oversize header", lines(&format!("x: {long}")), &[431]),
        ("a header without a colon", lines("no colon"), &[400]),
        ("a NUL in a header", lines("x: a\0b"), &[400]),
        (
            "a bare CR in a header",
            lines("x: a\rcontent-length: 3"),
            &[400],
        ),
        (
            "a space before the colon",
            lines("content-length : 3"),
            &[400],
        ),
        ("a folded header", lines("x: a\r\n folded"), &[400]),
        (
            "two lengths",
            lines(&format!("content-length: {length}\r\ncontent-length: 3")),
            &[400],
        ),
        ("a list of lengths", lines("content-length: 3, 4"), &[400]),
        ("a negative length", lines("content-length: -1"), &[400]),
        ("a signed length", lines("content-length: +3"), &[400]),
        (
            "a length beyond all",
            lines("content-length: 99999999999999999999"),
            &[400],
        ),
        ("a huge length", lines("content-length: 9999999999"), &[413]),
        ("another coding", lines("transfer-encoding: gzip"), &[400]),
        (
            "headers that do not end",
            format!("{head}x: y\r\n").into(),
            &[408, 400],
        ),
    ];
    for (what, bytes, allowed) in cases {
        let answers = tested.raw(what, &bytes).await;
        let right = match answers[..] {
            // Closed without a word is right as well for what is no request.
            [] => !allowed.contains(&413),
            [status] => allowed.contains(&status),
            _ => false,
        };
        assert!(right, "{what}: {answers:?} instead of {allowed:?}");
    }
    tested.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_too_slow_or_broken_is_refused() {
    let tested = Tested::start("body_limit: 1000\nrequest_timeout: 500ms").await;
    let head = tested.head();
    let chunked = |chunks: &str| {
        format!("{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
            .into_bytes()
    };
    let many = format!("64\r\n{}\r\n", "x".repeat(100)).repeat(11);
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        (
            "chunks beyond the limit",
            chunked(&format!("{many}0\r\n\r\n")),
            413,
        ),
        ("chunks without end", chunked(&many.repeat(100)), 413),
        (
            "a chunk of an odd size",
            chunked("zz\r\nabc\r\n0\r\n\r\n"),
            400,
        ),
        (
            "a chunk size beyond all",
            chunked("fffffffffffffffff\r\nabc"),
            400,
        ),
        (
            "a chunk longer than it says",
            chunked("1\r\nabc\r\n0\r\n\r\n"),
            400,
        ),
        ("half a chunked body", chunked("3\r\nabc\r\n"), 503),
        (
            "half a body",
            format!("{head}Connection: close\r\nContent-Length: 500\r\n\r\n[").into(),
            503,
        ),
    ];
    for (what, bytes, status) in cases {
        assert_eq!(tested.raw(what, &bytes).await, [status], "{what}");
    }
    tested.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_request_on_the_connection_is_a_request_of_its_own() {
    let tested = Tested::start("header_timeout: 500ms").await;
    let stranger = "POST /v1/hooks/akeyless HTTP/1.1\r\nHost: ingress\r\n";
    let length = BODY.len();
    let followed = |next: &str| {
        let head = stranger.to_owned();
        format!("{head}Content-Length: {length}\r\n\r\n{BODY}{next}").into_bytes()
    };
    // The body of a refused request is not read as the next one.
    let inner = format!("{}Content-Length: {length}\r\n\r\n{BODY}", tested.head());
    let wrapped = format!("{stranger}Content-Length: {}\r\n\r\n{inner}", inner.len());
    // Both lengths at once: a parser that takes the other one would see a request in the body.
    let both = format!(
        "{stranger}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n",
        inner.len()
    );
    for (what, bytes) in [
        ("garbage", followed("\x01\x02 garbage\r\n\r\n")),
        (
            "another stranger",
            followed(&format!("{stranger}Content-Length: 0\r\n\r\n")),
        ),
        ("a request in a body", wrapped.into_bytes()),
        ("both lengths", both.into_bytes()),
    ] {
        let answers = tested.raw(what, &bytes).await;
        let refused = answers.iter().all(|status| [400, 401].contains(status));
        assert!(
            refused && answers.first() == Some(&401),
            "{what}: {answers:?}"
        );
    }
    // And the one that stops in the middle keeps nothing for long.
    let slow = timeout(Duration::from_secs(30), tested.raw("silence", b"POST")).await;
    assert!(
        slow.unwrap()
            .iter()
            .all(|status| [400, 408].contains(status))
    );
    tested.ends_unharmed().await;
}
