//! A load generator that costs little: whole requests, made beforehand, on connections that stay open.
//! A client library would take a good part of the machine for itself and so hide what a server costs.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use eso_relay_lab::installation::sign;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// A whole request, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Webhook(Bytes);

impl Webhook {
    /// A signed body for the source `generic`.
    pub(crate) fn signed(body: &str) -> Self {
        let (length, signature) = (body.len(), sign(body.as_bytes()));
        let request = format!(
            "POST /v1/hooks/generic HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nx-signature: {signature}\r\n\r\n{body}"
        );
        Self(request.into())
    }
}

/// One connection, kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: vec![0; 16 * 1024],
        })
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// The answer is not 202.
    pub(crate) async fn send(&mut self, webhook: &Webhook) -> anyhow::Result<()> {
        self.stream.write_all(&webhook.0).await?;
        let mut filled = 0;
        let mut expected = None;
        while expected.is_none_or(|expected| filled < expected) {
            if filled == self.read.len() {
                self.read.resize(2 * filled, 0);
            }
            let count = self.stream.read(&mut self.read[filled..]).await?;
            ensure!(count > 0, "the server closed a connection");
            filled += count;
            if expected.is_none() {
                expected = length(&self.read[..filled])?;
            }
        }
        if !self.read.starts_with(b"HTTP/1.1 202 ") {
            bail!("answered {}", String::from_utf8_lossy(&self.read[..filled]));
        }
        Ok(())
    }
}

/// How long head and body are together, once the head is there.
fn length(read: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&read[..end])?;
    let header = |line: &str| line.strip_prefix("content-length: ")?.parse::<usize>().ok();
    let body = head.lines().find_map(header);
    let body = body.with_context(|| format!("an answer of unknown length: {head}"))?;
    Ok(Some(end + 4 + body))
}

/// Each webhook again and again on a connection of its own: how many were answered, and in what time.
pub(crate) async fn load(
    address: SocketAddr,
    webhooks: &Arc<[Webhook]>,
    time: Duration,
) -> anyhow::Result<(usize, Duration)> {
    let mut connections = Vec::with_capacity(webhooks.len());
    for _ in webhooks.iter() {
        connections.push(Connection::open(address).await?);
    }
    let started = Instant::now();
    let mut senders = JoinSet::new();
    for (at, mut connection) in connections.into_iter().enumerate() {
        let webhooks = Arc::clone(webhooks);
        senders.spawn(async move {
            let mut answered = 0;
            while started.elapsed() < time {
                connection.send(&webhooks[at]).await?;
                answered += 1;
            }
            anyhow::Ok(answered)
        });
    }
    let mut answered = 0;
    while let Some(sender) = senders.join_next().await {
        answered += sender??;
    }
    Ok((answered, started.elapsed()))
}

/// Each webhook once, over so many connections.
pub(crate) async fn send_all(
    address: SocketAddr,
    webhooks: &Arc<[Webhook]>,
    connections: usize,
) -> anyhow::Result<()> {
    let mut senders = JoinSet::new();
    for first in 0..connections {
        let webhooks = Arc::clone(webhooks);
        senders.spawn(async move {
            let mut connection = Connection::open(address).await?;
            for webhook in webhooks.iter().skip(first).step_by(connections) {
                connection.send(webhook).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(length(answer).unwrap(), Some(answer.len()));
        assert_eq!(length(&answer[..30]).unwrap(), None);
        assert!(length(b"HTTP/1.1 202 Accepted\r\n\r\n").is_err());
    }
}
