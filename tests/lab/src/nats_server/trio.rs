//! Three servers that form one cluster, so that streams may have three replicas.

use futures::future::try_join_all;

use super::{NatsOptions, NatsServer};
use crate::port;

impl NatsOptions {
    /// Starts three servers with these options, and waits until each says that its JetStream is healthy.
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
}
