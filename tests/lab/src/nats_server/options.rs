//! What can be chosen for a [`NatsServer`], and the configuration file that comes of it.

use std::path::{Path, PathBuf};

use futures::future::try_join_all;

use super::NatsServer;
use crate::port;

/// Options of a server that is not started yet.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    sync_always: bool,
    max_file_store: Option<String>,
    pub(super) disk: Option<String>,
    extra: String,
}

impl NatsOptions {
    /// Every message is on the disk before its ack (`sync_interval: always`), as production should
    /// have it. Off by default: the page cache survives the death of the process.
    #[must_use]
    pub fn sync_always(mut self) -> Self {
        self.sync_always = true;
        self
    }

    /// The most that all streams together may hold, such as `64MB`. Default: the server's own.
    #[must_use]
    pub fn max_file_store(mut self, size: &str) -> Self {
        self.max_file_store = Some(size.to_owned());
        self
    }

    /// Its store is on a disk of its own, of this size, such as `64m`: [`NatsServer::fill_disk`].
    /// Where [`super::small_disks`] says that this machine can have one.
    #[must_use]
    pub fn small_disk(mut self, size: &str) -> Self {
        self.disk = Some(size.to_owned());
        self
    }

    /// More configuration in the server's own language: users, token, TLS.
    #[must_use]
    pub fn config_text(mut self, text: &str) -> Self {
        self.extra.push_str(text);
        self.extra.push('\n');
        self
    }

    /// The same, with this in place of every [`NatsOptions::config_text`].
    pub(super) fn with_only(&self, text: &str) -> Self {
        Self {
            extra: format!("{text}\n"),
            ..self.clone()
        }
    }

    /// Starts a server and waits until it greets.
    ///
    /// # Errors
    /// There is none and none can be fetched, or it does not start; the error holds its log.
    pub async fn start(self) -> anyhow::Result<NatsServer> {
        NatsServer::with_options(&self).await
    }

    /// Starts three servers that form one cluster, and waits until each says that its JetStream is healthy.
    ///
    /// # Errors
    /// As [`NatsOptions::start`].
    pub async fn start_three(self) -> anyhow::Result<Vec<NatsServer>> {
        let ports = [port::free()?, port::free()?, port::free()?];
        let routes = ports.map(|port| format!("nats://127.0.0.1:{port}"));
        let routes = serde_json::json!(routes);
        let starts = ports.iter().enumerate().map(|(at, port)| {
            let number = at + 1;
            let cluster =
                format!("cluster {{ name: lab, listen: \"127.0.0.1:{port}\", routes: {routes} }}");
            self.clone()
                .config_text(&format!("server_name: nats-{number}"))
                .config_text(&cluster)
                .start()
        });
        let servers = try_join_all(starts).await?;
        for server in &servers {
            server.wait_healthy(super::START).await?;
        }
        Ok(servers)
    }

    pub(super) fn store(dir: &Path) -> PathBuf {
        dir.join("store")
    }

    pub(super) fn config(&self, port: u16, monitor_port: u16, dir: &Path) -> String {
        let store = Self::store(dir);
        // JSON's escapes are understood in the server's language too.
        let store = serde_json::json!(store).to_string();
        let mut jetstream = format!("store_dir: {store}\n");
        if self.sync_always {
            jetstream.push_str("sync_interval: always\n");
        }
        if let Some(size) = &self.max_file_store {
            jetstream.push_str("max_file_store: ");
            jetstream.push_str(size);
            jetstream.push('\n');
        }
        format!(
            "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor_port}\"\njetstream {{\n{jetstream}}}\n{}",
            self.extra
        )
    }
}
