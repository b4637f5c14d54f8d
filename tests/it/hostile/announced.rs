//! What is refused before it is sent.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use eso_relay_lab::installation::READY;

use super::{Front, webhook};

/// All that is answered until the other side closes.
async fn answers(front: &Front, head: &str) -> String {
    let mut stream = TcpStream::connect(front.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    let read = timeout(READY, stream.read_to_string(&mut text)).await;
    read.expect("it stays open").unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_announced_too_large_is_refused_at_once() {
    // Nothing here waits for a body that is not sent.
    let front = Front::start("request_timeout: 5m\nidle_timeout: 10m").await;
    let accepted = String::from_utf8(webhook("")).unwrap();
    let (head, _) = accepted.split_once("Content-Length:").unwrap();
    for expect in ["", "Expect: 100-continue\r\n"] {
        let head = format!("{head}{expect}Content-Length: 4194305\r\n\r\n");
        let text = answers(&front, &head).await;
        assert!(text.starts_with("HTTP/1.1 413 "), "{expect}{text}");
        assert!(text.contains("connection: close"), "{expect}{text}");
        assert!(!text.contains("100 Continue"), "{expect}{text}");
    }
    front.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_asked_for_a_body() {
    let front = Front::start("request_timeout: 5m\nidle_timeout: 10m").await;
    for (path, status) in [("/v1/hooks/akeyless", 401), ("/nowhere", 404)] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: ingress\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"
        );
        let text = answers(&front, &head).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        assert!(text.contains("connection: close"), "{text}");
    }
    front.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_waited_for_is_asked_for() {
    let front = Front::start("").await;
    let request = String::from_utf8(webhook("Expect: 100-continue\r\nConnection: close\r\n"));
    let request = request.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut stream = TcpStream::connect(front.address()).await.unwrap();
    let head = format!("{head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 202 "), "{text}");
    front.ends().await;
}
