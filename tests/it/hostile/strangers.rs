//! What is told of strangers.

use super::{Front, exchange};

const REQUEST: &str = "POST /v1/hooks/akeyless HTTP/1.1\r\nHost: ingress\r\nContent-Length: 0\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn unauthenticated_requests_are_logged_sparsely() {
    let front = Front::start("trusted_proxies: [127.0.0.2]").await;
    let mut proxy = front.connect_from([127, 0, 0, 2]).await;
    let mut stranger = front.connect_from([127, 0, 0, 3]).await;
    for stream in [&mut proxy, &mut stranger] {
        let forged = "X-Forwarded-For: 192.0.2.1, 203.0.113.9\r\n";
        let answer = exchange(stream, format!("{REQUEST}{forged}\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    for _ in 0..500 {
        exchange(&mut stranger, format!("{REQUEST}\r\n").as_bytes()).await;
    }
    let unknown = REQUEST.replace("akeyless", "unknown");
    exchange(&mut stranger, format!("{unknown}\r\n").as_bytes()).await;
    let log = front.ends().await;
    let refused: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("refused"))
        .collect();
    assert!(
        refused[0].contains("203.0.113.9") && refused[0].contains("unauthorized"),
        "{log}"
    );
    assert!(
        refused[1].contains("127.0.0.3") && !refused[1].contains("203.0.113.9"),
        "{log}"
    );
    assert!(refused.len() < 100, "{log}");
}
