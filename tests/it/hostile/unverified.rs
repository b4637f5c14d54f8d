//! Bodies of strangers that never end.

use eso_relay_lab::installation::{Webhooks, send, sign};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::{Front, STRANGER};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unverified_bodies_silences_no_source() {
    let front = Front::start("").await;
    let length = 1024 * 1024;
    let head = format!(
        "POST /v1/hooks/generic HTTP/1.1\r\nHost: ingress\r\nX-Signature: sha256={}\r\nContent-Length: {length}\r\n\r\n",
        "00".repeat(32)
    );
    let almost = vec![b' '; length - 1];
    let mut waiting = Vec::new();
    for number in 0..32 {
        let mut stream = front.connect_from([127, 0, 0, 2 + number % 4]).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        // One that had to give way may be ended already.
        stream.write_all(&almost).await.ok();
        waiting.push(stream);
    }
    front.serves().await;
    let webhooks = Webhooks::to(&front.ingress.url());
    // Signed, and so unverified until its last byte.
    for size in [10, 300_000] {
        let body = json!({
            "secret": { "name": "prod/db" }, "id": size, "type": "secret.changed", "more": "x".repeat(size),
        });
        let body = body.to_string();
        let request = webhooks.post("/v1/hooks/generic");
        let request = request.header("x-signature", sign(body.as_bytes()));
        let answer = send(request.body(body)).await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    drop(waiting);
    front.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_keep_a_signed_body_out() {
    let front = Front::start("body_limit: 1048576\nmax_buffered: 4194304").await;
    let head = format!(
        "POST /v1/hooks/generic HTTP/1.1\r\nHost: ingress\r\nX-Signature: sha256={}\r\nTransfer-Encoding: chunked\r\n\r\n",
        "00".repeat(32)
    );
    let mut waiting = Vec::new();
    for _ in 0..16 {
        let mut stream = front.connect_from(STRANGER).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"F0000\r\n").await.ok();
        stream.write_all(&vec![b' '; 0xf_0000]).await.ok();
        waiting.push(stream);
    }
    let body = json!({ "secret": { "name": "prod/db" }, "id": 1, "more": "x".repeat(100_000) });
    let body = body.to_string();
    let request = Webhooks::to(&front.ingress.url()).post("/v1/hooks/generic");
    let request = request.header("x-signature", sign(body.as_bytes()));
    let answer = send(request.body(body)).await.unwrap();
    assert_ne!(answer.status, 503, "{answer:?}");
    front.serves().await;
    drop(waiting);
    front.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_arrive_leave_a_place_for_a_sender() {
    // Without room being made they would hold their places for all of this time.
    let front = Front::start("max_connections: 16\nrequest_timeout: 5m").await;
    let head = format!(
        "POST /v1/hooks/generic HTTP/1.1\r\nHost: ingress\r\nX-Signature: sha256={}\r\nContent-Length: 100\r\n\r\n",
        "00".repeat(32)
    );
    let mut waiting = Vec::new();
    for number in 0..48 {
        let mut stream = front.connect_from([127, 0, 1, 1 + number]).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"[").await.ok();
        waiting.push(stream);
    }
    front.serves().await;
    drop(waiting);
    front.ends().await;
}
