//! A nats-server of a test's own.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_nats::jetstream::Context;
use eso_relay::nats::NatsConfig;

/// Ends with the test.
pub(crate) struct NatsServer {
    process: Child,
    directory: PathBuf,
    url: String,
}

impl NatsServer {
    pub(crate) async fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("eso-relay-it-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let program = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
        let process = Command::new(&program)
            .args(["-js", "-a", "127.0.0.1", "-p", "-1", "-sd"])
            .arg(directory.join("data"))
            .arg("--ports_file_dir")
            .arg(&directory)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error} (set NATS_SERVER)"));
        let url = address(&directory).await;
        Self {
            process,
            directory,
            url,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn jetstream(&self) -> Context {
        let config = NatsConfig::at(self.url());
        let patience = Duration::from_secs(5);
        let client = eso_relay::nats::connect_once(&config, "test", patience);
        config.jetstream(client.await.unwrap(), patience)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// The server writes its ports into a file once it listens.
async fn address(directory: &PathBuf) -> String {
    for _ in 0..500 {
        let files = std::fs::read_dir(directory).unwrap().flatten();
        for file in files.filter(|file| file.path().extension().is_some_and(|e| e == "ports")) {
            let text = std::fs::read(file.path()).unwrap();
            if let Ok(ports) = serde_json::from_slice::<serde_json::Value>(&text) {
                return ports["nats"][0].as_str().unwrap().to_owned();
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nats-server did not start");
}
