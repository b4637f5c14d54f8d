//! Ports for servers that must be told theirs before they start.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use axum::Router;
use tokio_util::task::AbortOnDropHandle;

/// Below the range from which Linux and macOS take the ports of outgoing connections: a server
/// that is down for a moment finds its port still free when it comes back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Each process starts somewhere else, so that suites running in parallel rarely meet.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(fastrand::u16(..COUNT)));

/// A port of 127.0.0.1 that is free now and that this process has not given away recently.
///
/// Another process may still take it first: its user tries again with another one.
///
/// # Errors
/// None of many candidates is free.
pub fn free() -> anyhow::Result<u16> {
    (0..COUNT)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| anyhow::anyhow!("no free port from {FIRST} to {}", FIRST + COUNT - 1))
}

/// Starts a server on ports that it is told: again, on others, where one was taken meanwhile. Its log is in
/// the error.
pub(crate) async fn start<T, F: Future<Output = anyhow::Result<T>>>(
    mut attempt: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let mut left = 5;
    loop {
        left -= 1;
        match attempt().await {
            Err(error) if left > 0 && was_taken(&format!("{error:#}")) => {}
            other => return other,
        }
    }
}

/// A stand-in over plain HTTP, on a port that the system chooses: its URL, and what ends it.
pub(crate) async fn serve(routes: Router) -> std::io::Result<(String, AbortOnDropHandle<()>)> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = url(listener.local_addr()?.port());
    let serving = tokio::spawn(async move {
        // It ends with its handle.
        axum::serve(listener, routes).await.ok();
    });
    Ok((url, AbortOnDropHandle::new(serving)))
}

/// `http://127.0.0.1:PORT`
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn was_taken(log: &str) -> bool {
    log.contains("address already in use") || log.contains("Address already in use")
}

/// For `http://127.0.0.1`: each answer on a connection of its own, so that a server that drains is not held
/// up by ours.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    eso_relay::nats::install_crypto();
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0);
    Ok(client.timeout(Duration::from_secs(10)).build()?)
}

/// Asks for a page.
///
/// # Errors
/// There is no answer, or it is not one of success: its words.
pub(crate) async fn get(client: &reqwest::Client, url: &str) -> anyhow::Result<String> {
    let answer = client.get(url).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{status}: {text}");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free().unwrap())).unwrap();
        let taken = taken.local_addr().unwrap().port();
        for _ in 0..3 {
            assert_ne!(free().unwrap(), taken);
        }
    }
}
