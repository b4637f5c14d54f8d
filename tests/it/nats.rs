//! A nats-server of a test's own.

use std::time::Duration;

use async_nats::jetstream::Context;
use eso_relay::nats::NatsConfig;
use eso_relay_lab::nats_server;

/// Ends with the test.
pub(crate) struct NatsServer(nats_server::NatsServer);

impl NatsServer {
    pub(crate) async fn start() -> Self {
        Self(nats_server::NatsServer::start().await.unwrap())
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    pub(crate) async fn jetstream(&self) -> Context {
        let config = NatsConfig::at(self.url());
        let patience = Duration::from_secs(5);
        let client = eso_relay::nats::connect_once(&config, "test", patience);
        config.jetstream(client.await.unwrap(), patience)
    }
}
