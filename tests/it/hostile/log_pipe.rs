//! A pipe as the log, and whatever should read it reads nothing.

use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    process::Command,
    sync::mpsc,
    thread,
};

use eso_relay_lab::{
    daemon::Binary,
    installation::{Hub, READY, Webhooks, send},
    port,
    process::Process,
    wait,
};
use futures::future::join_all;
use reqwest::StatusCode;
use tempfile::TempDir;

const DROPPED: &str = "eso_relay_ingress_log_lines_dropped_total";
const EVENT: &str = r#"[{"event_type":"static-secret-updated","item_name":"/prod/db"}]"#;
/// More lines than the pipe and the daemon hold: all of them trace.
const AT_ONCE: usize = 100;

/// An ingress whose standard error is a pipe.
struct Piped {
    process: Process,
    /// Both of its ends, so that it is open whether somebody reads or not.
    pipe: File,
    webhooks: Webhooks,
    admin: String,
    _directory: TempDir,
}

impl Piped {
    async fn start(hub: &Hub) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (fifo, config) = (
            directory.path().join("pipe"),
            directory.path().join("ingress.yaml"),
        );
        let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let pipe = OpenOptions::new().read(true).write(true).open(&fifo);
        let (port, admin) = (port::free().unwrap(), port::free().unwrap());
        let yaml = format!(
            "listen: 127.0.0.1:{port}
admin: {{ listen: 127.0.0.1:{admin} }}
nats: {{ url: \"{}\" }}
log: {{ level: trace }}
shutdown: {{ drain_delay: 0s }}
sources: [{{ name: open, format: akeyless, auth: none }}]
",
            hub.url()
        );
        std::fs::write(&config, yaml).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"exec "$0" --config "$1" 2>"$2""#])
            .arg(Binary::Ingress.path().await.unwrap())
            .args([&config, &fifo])
            .env_remove("RUST_LOG");
        let log = directory.path().join("out");
        let process = Process::spawn("eso-relay-ingress", command, &log);
        let mut started = Self {
            process: process.unwrap(),
            pipe: pipe.unwrap(),
            webhooks: Webhooks::to(&format!("http://127.0.0.1:{port}")),
            admin: format!("http://127.0.0.1:{admin}"),
            _directory: directory,
        };
        let url = format!("{}/readyz", started.admin);
        let ready = || async {
            match get(&url).await {
                Ok((StatusCode::OK, _)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        };
        let readiness = started.process.wait_until("readiness", READY, ready);
        readiness.await.unwrap();
        started
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        get(&format!("{}{path}", self.admin)).await.unwrap()
    }

    async fn accepts(&self) {
        let posts = (0..AT_ONCE).map(|_| {
            let post = self.webhooks.post("/v1/hooks/open").body(EVENT);
            send(post)
        });
        for answer in join_all(posts).await {
            assert_eq!(answer.unwrap().status, StatusCode::ACCEPTED);
        }
    }

    async fn dropped(&self) -> u64 {
        let (_, text) = self.get("/metrics").await;
        let mut values = text.lines().filter_map(|line| line.strip_prefix(DROPPED));
        values.next().unwrap().trim().parse().unwrap()
    }

    async fn log_until_lines_are_dropped(&self) {
        while self.dropped().await == 0 {
            self.accepts().await;
        }
    }
}

async fn get(url: &str) -> reqwest::Result<(StatusCode, String)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.get(url).send().await?;
    Ok((answer.status(), answer.text().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_log_delays_nothing() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let piped = Piped::start(&hub).await;
    piped.log_until_lines_are_dropped().await;
    piped.accepts().await;
    assert_eq!(piped.get("/livez").await.0, StatusCode::OK);

    let mut pipe = piped.pipe.try_clone().unwrap();
    let (found, told) = mpsc::channel();
    thread::spawn(move || {
        let (mut log, mut piece) = (Vec::new(), vec![0; 65536]);
        while let Ok(read) = pipe.read(&mut piece) {
            log.extend_from_slice(&piece[..read]);
            let end = log.len().saturating_sub(2 * piece.len());
            let text = String::from_utf8_lossy(&log[end..]);
            if let Some(line) = text
                .lines()
                .find(|line| line.contains("lines were dropped"))
                && found.send(line.to_owned()).is_err()
            {
                break;
            }
        }
    });
    let line = wait::until("the line that says so", READY, || {
        std::future::ready(told.try_recv().ok())
    });
    let line = line.await.unwrap();
    assert!(line.contains("\"dropped\":"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nothing_reads_keeps_no_process_from_ending() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let mut piped = Piped::start(&hub).await;
    piped.log_until_lines_are_dropped().await;
    piped.process.terminate().unwrap();
    let ended = piped.process.wait_exit(READY).await.unwrap();
    assert!(ended.success(), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_no_terminal_has_no_colours() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let mut ingress = hub
        .ingress_with("log: { format: text }")
        .start()
        .await
        .unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let line = ingress.wait_log("INFO", READY).await.unwrap();
    assert!(!line.contains('\u{1b}'), "{line}");
}
