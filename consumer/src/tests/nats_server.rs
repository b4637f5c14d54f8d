//! A real nats-server on a port and in a folder of its own.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// Killed when dropped.
pub(crate) struct NatsServer {
    port: u16,
    folder: PathBuf,
    process: Option<Child>,
}

impl NatsServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = std::env::temp_dir().join(format!("nats-{}-{port}", std::process::id()));
        let mut server = Self {
            port,
            folder,
            process: None,
        };
        server.start_again();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn start_again(&mut self) {
        let program = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".into());
        let process = Command::new(program)
            .args([
                "-a",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-js",
                "-sd",
            ])
            .arg(&self.folder)
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.expect("nats-server on PATH, or its path in NATS_SERVER"));
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill9();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}
