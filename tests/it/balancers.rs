//! What load balancers do: they keep connections for later, and learn from answers when to stop.
//! The times are those of `ingress/src/server/tests/time.rs`, a hundred times shorter.

use std::time::Duration;

use eso_relay_lab::installation::READY;
use tokio::{net::TcpStream, time::sleep};

use crate::hostile::{Front, exchange, is_ended, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn pooled_connections_survive_pauses() {
    let front = Front::start("idle_timeout: 6200ms\nheader_timeout: 500ms").await;
    let mut pooled = TcpStream::connect(front.address()).await.unwrap();
    for pause in [0, 600, 3500, 5500] {
        sleep(Duration::from_millis(pause)).await;
        let answer = exchange(&mut pooled, &webhook("")).await;
        assert!(answer.starts_with("HTTP/1.1 202 "), "{pause}: {answer}");
    }
    let mut unused = TcpStream::connect(front.address()).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let answer = exchange(&mut unused, &webhook("")).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(is_ended(&mut pooled, READY).await);
    front.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_the_drain_answers_say_that_they_are_the_last() {
    let drain = [("ESO_RELAY__SHUTDOWN__DRAIN_DELAY", "3s")];
    let mut front = Front::start_with("", &drain).await;
    let mut used = TcpStream::connect(front.address()).await.unwrap();
    let mut idle = TcpStream::connect(front.address()).await.unwrap();
    for stream in [&mut used, &mut idle] {
        let answer = exchange(stream, &webhook("")).await;
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    front.ingress.terminate().unwrap();
    sleep(Duration::from_secs(1)).await;
    let mut new = TcpStream::connect(front.address()).await.unwrap();
    for stream in [&mut used, &mut new] {
        let answer = exchange(stream, &webhook("")).await;
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(is_ended(stream, READY).await);
    }
    // It says nothing, and ends before it could be cut off in the middle of something.
    assert!(is_ended(&mut idle, READY).await);
    let status = front.ingress.wait_exit(READY).await.unwrap();
    assert!(status.success(), "{status}");
}
