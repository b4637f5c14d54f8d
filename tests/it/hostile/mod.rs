//! Clients that harm: while they do, a well-behaved sender is answered 202.

mod announced;
mod flood;
mod half_open;
mod log_pipe;
mod secret_file;
mod slow;
mod strangers;
mod unverified;

use std::{net::SocketAddr, time::Duration};

use eso_relay_lab::{
    daemon::Daemon,
    installation::{BASIC_PASSWORD, BASIC_USER, Hub, READY, akeyless},
    wait,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// Other addresses of this machine than the well-behaved sender's.
pub(crate) const STRANGER: [u8; 4] = [127, 0, 0, 2];

/// A running ingress.
pub(crate) struct Front {
    _hub: Hub,
    pub(crate) ingress: Daemon,
}

impl Front {
    /// With more settings at the top level of the configuration.
    pub(crate) async fn start(more: &str) -> Self {
        Self::start_with(more, &[]).await
    }

    /// And with variables of the environment.
    pub(crate) async fn start_with(more: &str, env: &[(&str, &str)]) -> Self {
        let hub = Hub::start().await.unwrap();
        hub.init(&[]).await.unwrap();
        let ingress = hub.ingress_with(more);
        let ingress = env.iter().fold(ingress, |it, (name, to)| it.env(name, to));
        let mut ingress = ingress.start().await.unwrap();
        ingress.wait_ready(READY).await.unwrap();
        let front = Self { _hub: hub, ingress };
        front.serves().await;
        front
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let url = self.ingress.url();
        url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// A well-behaved sender, on a connection of its own, is answered 202.
    pub(crate) async fn serves(&self) {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let answer = tokio::time::timeout(READY, exchange(&mut stream, &webhook(""))).await;
        let answer = answer.expect("no answer");
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }

    /// A connection from another address of this machine, which keeps little of what it is sent.
    pub(crate) async fn connect_from(&self, address: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind((address, 0).into()).unwrap();
        socket.connect(self.address()).await.unwrap()
    }

    pub(crate) async fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let name = format!("eso_relay_ingress_{name}");
        self.ingress.count(&name, labels).await.unwrap()
    }

    /// Waits until no more connections than these are open.
    pub(crate) async fn has_ended_all_but(&self, connections: u64) {
        let open = async || {
            let open = self.count("connections", &[]).await;
            (open <= connections).then_some(())
        };
        wait::until("the end of the connections", READY, open)
            .await
            .unwrap();
    }

    /// It has not panicked, and it ends as it should. Gives its whole log.
    pub(crate) async fn ends(mut self) -> String {
        self.ingress.terminate().unwrap();
        let status = self.ingress.wait_exit(READY).await.unwrap();
        assert!(status.success(), "{status}");
        let log = self.ingress.logs();
        assert!(!log.contains("panicked"), "{log}");
        log
    }
}

/// A webhook that is accepted, with more lines in its head.
pub(crate) fn webhook(lines: &str) -> Vec<u8> {
    use base64::Engine as _;
    let user = format!("{BASIC_USER}:{BASIC_PASSWORD}");
    let user = base64::engine::general_purpose::STANDARD.encode(user);
    let body = json!([akeyless(1, "prod/db")]).to_string();
    format!(
        "POST /v1/hooks/akeyless HTTP/1.1\r\nHost: ingress\r\nAuthorization: Basic {user}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{lines}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends a request and reads one whole answer.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    loop {
        let mut buffer = [0; 2048];
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "it ended after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = |line: &str| line.strip_prefix("content-length: ")?.parse().ok();
        let length: usize = head.lines().find_map(length).unwrap_or(0);
        if body.len() >= length {
            return text;
        }
    }
}

/// Whether the other side ends the connection in time. What it sends until then is lost.
pub(crate) async fn is_ended(stream: &mut TcpStream, time: Duration) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(time, stream.read_to_end(&mut rest))
        .await
        .is_ok()
}
