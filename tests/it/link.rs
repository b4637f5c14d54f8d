//! A connection of one client alone that can be cut.

use std::sync::Arc;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Forwards connections to its address, unless it is cut.
pub(crate) struct Link {
    port: u16,
    open: Arc<watch::Sender<bool>>,
}

impl Link {
    /// To a server, as its URL says.
    pub(crate) async fn to(url: &str) -> Self {
        let server = url.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(watch::Sender::new(true));
        let switch = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut open, server) = (switch.subscribe(), server.clone());
                tokio::spawn(async move {
                    let cut = async { open.wait_for(|open| !open).await.map(|_| ()) };
                    let pass = async {
                        let mut server = TcpStream::connect(server).await?;
                        copy_bidirectional(&mut client, &mut server).await
                    };
                    // Ended by either side, or cut.
                    tokio::select! {
                        biased;
                        _ = cut => {}
                        _ = pass => {}
                    }
                    // Only now has it ended for `cut`.
                    drop(client);
                    drop(open);
                });
            }
        });
        Self { port, open }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Until it is cut: what is sent afterwards does not come through.
    pub(crate) async fn cut(&self) {
        self.open.send_replace(false);
        // A connection holds its receiver until it has ended.
        self.open.closed().await;
    }

    pub(crate) fn restore(&self) {
        self.open.send_replace(true);
    }
}
