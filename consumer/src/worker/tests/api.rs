//! A Kubernetes API that accepts patches, and answers them when the test allows it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone)]
pub(super) struct Api {
    url: String,
    asked: Arc<AtomicUsize>,
    answers: watch::Sender<bool>,
}

impl Api {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            answers: watch::Sender::new(true),
        };
        let serving = api.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        api
    }

    pub(super) fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(self.url.parse().unwrap());
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    /// How many patches have arrived, answered or not.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn answer(&self, answers: bool) {
        self.answers.send_replace(answers);
    }

    async fn serve(self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        while stream.read_buf(&mut request).await? > 0 {
            // The end of `{"metadata":{"annotations":{…}}}`.
            if request.ends_with(b"}}}") {
                request.clear();
                self.asked.fetch_add(1, Ordering::SeqCst);
                let mut answers = self.answers.subscribe();
                answers.wait_for(|answers| *answers).await.ok();
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(answer).await?;
            }
        }
        Ok(())
    }
}
