//! A port whose listener can go away and come back.

use std::{io, net::SocketAddr};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Mutex,
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

/// Serves until dropped; the connections end with it.
pub(super) struct Listener {
    address: SocketAddr,
    routes: Router,
    door: Mutex<Door>,
}

enum Door {
    Open(AbortOnDropHandle<()>),
    /// Bound, and not listening: the port stays ours, and connecting is refused.
    Closed(#[expect(dead_code, reason = "it holds the port")] TcpSocket),
}

impl Listener {
    pub(super) async fn open(routes: Router) -> io::Result<Self> {
        let socket = TcpListener::bind(("127.0.0.1", 0)).await?;
        Ok(Self {
            address: socket.local_addr()?,
            door: Mutex::new(opened(socket, routes.clone())),
            routes,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn go_away(&self) -> io::Result<()> {
        let mut door = self.door.lock().await;
        if let Door::Open(serving) = &mut *door {
            serving.abort();
            // The port must be free of a listener before it can be bound again; that it was aborted is known.
            serving.await.ok();
            *door = Door::Closed(self.bound()?);
        }
        Ok(())
    }

    pub(super) async fn come_back(&self) -> io::Result<()> {
        let mut door = self.door.lock().await;
        if let Door::Closed(_) = *door {
            *door = opened(self.bound()?.listen(1024)?, self.routes.clone());
        }
        Ok(())
    }

    fn bound(&self) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        Ok(socket)
    }
}

fn opened(listener: TcpListener, routes: Router) -> Door {
    Door::Open(AbortOnDropHandle::new(tokio::spawn(serve(
        listener, routes,
    ))))
}

async fn serve(listener: TcpListener, routes: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                // An error shows in the requests.
                stream.set_nodelay(true).ok();
                let service = TowerToHyperService::new(routes.clone());
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A connection that breaks concerns its client alone.
                connections.spawn(async move { serving.await.ok() });
            }
            Some(_) = connections.join_next() => {}
            // No connection was there, and none could be accepted.
            else => tokio::task::yield_now().await,
        }
    }
}
