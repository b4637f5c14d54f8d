//! The connection to NATS: reconnects for ever, and reports its state to `/readyz` and the log.

mod config;
mod credentials;
mod expiry;
mod login;
mod metrics;
mod reminder;
mod servers;

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::{Context as _, bail};
use async_nats::{Client, ConnectOptions, Event, connection::State};
use jiff::Timestamp;
use tokio::{sync::mpsc, task::spawn_blocking};
use tracing::{error, info, warn};

pub use self::{
    config::{NatsConfig, TlsConfig},
    metrics::Metrics,
};
use self::{
    credentials::{Credentials, read_once},
    reminder::Reminder,
};
use crate::{admin::Condition, config::in_time};

/// The lowest server that knows `sync_interval` and `+TERM <reason>` (2.10.4).
const LOWEST_SERVER: (i64, i64, i64) = (2, 10, 4);

/// A time of the server as a [`Timestamp`].
pub fn timestamp(time: async_nats::datetime::DateTime) -> Timestamp {
    Timestamp::from_nanosecond(time.unix_timestamp_nanos()).unwrap_or_default()
}

/// Starts to connect and returns at once; reconnects for ever, each time with the credentials and certificates that
/// their files hold then.
///
/// `condition` is met while connected to a server that is new enough.
pub async fn connect(
    config: &NatsConfig,
    name: &str,
    condition: Condition,
    metrics: Metrics,
) -> anyhow::Result<Client> {
    install_crypto();
    let (events, receiver) = mpsc::unbounded_channel();
    let options = match Credentials::read(config, metrics.clone()).await? {
        None => ConnectOptions::new(),
        Some(credentials) => ConnectOptions::with_auth_callback(move |nonce| {
            let credentials = credentials.clone();
            async move { credentials.answer(&nonce).await }
        }),
    };
    let (servers, options) = config.complete(options)?;
    let expiry = (config.clone(), metrics.clone());
    in_time("`nats`", move || expiry::show(&expiry.0, &expiry.1)).await?;
    let client = options
        .name(name)
        .retry_on_initial_connect()
        .event_callback(move |event| {
            events.send(event).ok();
            std::future::ready(())
        })
        .connect(servers)
        .await
        .with_context(|| {
            format!(
                "cannot connect to NATS at {} (setting `nats.url`)",
                config.shown_url()
            )
        })?;
    let config = config.clone();
    tokio::spawn(watch(client.clone(), config, receiver, condition, metrics));
    Ok(client)
}

/// Connects for one command, whose credentials are read once. An error, naming the setting, when there is no server
/// within `patience`.
pub async fn connect_once(
    config: &NatsConfig,
    name: &str,
    patience: Duration,
) -> anyhow::Result<Client> {
    install_crypto();
    let options = match read_once(config).await? {
        None => ConnectOptions::new(),
        Some(login) => ConnectOptions::with_auth_callback(move |nonce| {
            std::future::ready(login.answer(&nonce))
        }),
    };
    let (servers, options) = config.complete(options)?;
    let connect = options
        .name(name)
        .connection_timeout(patience)
        .connect(servers);
    let client = connect
        .await
        .with_context(|| format!("cannot connect to NATS at {} (--nats)", config.shown_url()))?;
    refuse_old_server(&client)?;
    Ok(client)
}

/// Waits until the client is connected. An error when the server is too old.
pub async fn connected(client: &Client) -> anyhow::Result<()> {
    // Why it takes long is told where the connection is made.
    while client.connection_state() != State::Connected {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    refuse_old_server(client)
}

/// How often the client has connected, which identifies the connection.
pub fn connection(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// Installs the TLS provider, which rustls does not choose by itself. Called before the first connection.
pub fn install_crypto() {
    // An error means that it is installed already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

fn refuse_old_server(client: &Client) -> anyhow::Result<()> {
    let (major, minor, patch) = LOWEST_SERVER;
    if !client.is_server_compatible(major, minor, patch) {
        let version = client.server_info().version;
        bail!(
            "the NATS server is {version}; eso-relay needs {major}.{minor}.{patch} or newer (2.15 recommended): upgrade it"
        );
    }
    Ok(())
}

async fn watch(
    client: Client,
    config: NatsConfig,
    mut events: mpsc::UnboundedReceiver<Event>,
    condition: Condition,
    metrics: Metrics,
) {
    let url = config.shown_url();
    // Each failed attempt to connect is an event: the same reason is logged now and then.
    let mut reminder = Reminder::default();
    while let Some(event) = events.recv().await {
        metrics.observe(&event);
        if event == Event::Connected {
            // The client has read the certificate again.
            let expiry = (config.clone(), metrics.clone());
            spawn_blocking(move || expiry::show(&expiry.0, &expiry.1));
        }
        match event {
            Event::Connected => match refuse_old_server(&client) {
                Ok(()) => {
                    let server = client.server_info();
                    info!(
                        server = server.server_name,
                        version = server.version,
                        "connected to NATS"
                    );
                    condition.met();
                    reminder = Reminder::default();
                }
                Err(refusal) => {
                    error!(%refusal, "this NATS server cannot be used");
                    condition.unmet(refusal.to_string());
                }
            },
            Event::Disconnected | Event::Closed => {
                warn!("disconnected from NATS; reconnecting");
                condition.unmet("disconnected");
            }
            // The client does not reconnect by itself before the server stops.
            Event::LameDuckMode => {
                info!("the NATS server is about to stop; moving to another one");
                client.force_reconnect().await.ok();
            }
            // A denied publish shows only here; the publisher itself sees a time-out.
            Event::ServerError(error) => warn!(%error, "NATS server error"),
            Event::ClientError(error) => {
                let error = error.to_string();
                if client.connection_state() != State::Connected {
                    condition.unmet(format!("cannot connect to {url}: {error}"));
                }
                if reminder.is_due(&error) {
                    warn!(url, error, "NATS client error (setting `nats`)");
                }
            }
            Event::SlowConsumer(_) => {
                warn!("a NATS subscription is slow; messages will be redelivered");
            }
            Event::Draining => {}
        }
    }
}
