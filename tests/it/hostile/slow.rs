//! Clients that read nothing, and clients that send a byte now and then.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

use super::{Front, STRANGER};

const CONNECTIONS: usize = 64;
const LIMITS: &str = "max_connections: 64\nheader_timeout: 2s\nwrite_timeout: 2s";

/// Writes again and again, until the other side ends the connection.
async fn drip(mut stream: TcpStream, first: String) {
    let mut sent = stream.write_all(first.as_bytes()).await;
    while sent.is_ok() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        sent = stream.write_all(b"a").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_nothing_hold_no_place() {
    // The bound on requests would end them before the system's buffers are full. Few, because each
    // is answered until then, by a build that is not optimised.
    let few = 16;
    let front = Front::start(&format!(
        "max_connections: {few}\nwrite_timeout: 2s\nmax_connection_requests: 1000000"
    ))
    .await;
    let request = "GET /nothing-here HTTP/1.1\r\nHost: a\r\n\r\n";
    let requests = request.repeat(1_500_000 / request.len());
    let mut writing = JoinSet::new();
    for _ in 0..few {
        let mut stream = front.connect_from(STRANGER).await;
        let requests = requests.clone();
        writing.spawn(async move {
            stream.write_all(requests.as_bytes()).await.ok();
            // Kept open, and never read.
            std::future::pending::<()>().await;
            drop(stream);
        });
    }
    front.serves().await;
    front.has_ended_all_but(2).await;
    let timeouts = [("reason", "write_timeout")];
    assert!(front.count("connections_ended_total", &timeouts).await > 0);
    front.serves().await;
    writing.shutdown().await;
    front.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_send_a_byte_now_and_then_hold_no_place() {
    let front = Front::start(&format!("{LIMITS}\nrequest_timeout: 2s")).await;
    let mut writing = JoinSet::new();
    for number in 0..CONNECTIONS {
        let first = if number % 2 == 0 {
            "GET /".to_owned()
        } else {
            // Known by its body alone, which never comes.
            format!(
                "POST /v1/hooks/generic HTTP/1.1\r\nHost: ingress\r\nX-Signature: sha256={}\r\nContent-Length: 1000\r\n\r\n",
                "00".repeat(32)
            )
        };
        writing.spawn(drip(front.connect_from(STRANGER).await, first));
    }
    front.serves().await;
    // Each ends, though none of them is ever silent.
    let all = async { while writing.join_next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .expect("some connections never end");
    front.serves().await;
    front.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tiny_request_every_now_and_then_holds_no_place_for_ever() {
    let more = format!("{LIMITS}\nmax_connection_requests: 5");
    let front = Front::start(&more).await;
    let mut held = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut stream = front.connect_from(STRANGER).await;
        held.spawn(async move {
            let request = b"GET / HTTP/1.1\r\nHost: ingress\r\n\r\n";
            while stream.write_all(request).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
    }
    for _ in 0..5 {
        front.serves().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let all = async { while held.join_next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .expect("some connections never end");
    front.ends().await;
}
