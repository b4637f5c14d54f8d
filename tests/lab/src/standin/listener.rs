//! A port whose listener can go away and come back.

use std::{io, net::SocketAddr};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

pub(super) struct Listener {
    address: SocketAddr,
    socket: TcpListener,
    orders: mpsc::Receiver<Order>,
}

#[derive(Clone)]
pub(super) struct Gate(mpsc::Sender<Order>);

struct Order {
    open: bool,
    done: oneshot::Sender<io::Result<()>>,
}

enum Door {
    Open(TcpListener),
    /// The socket is bound but does not listen: the port stays ours, and connecting is refused.
    Closed {
        reserved: Option<TcpSocket>,
    },
}

impl Gate {
    pub(super) async fn open(&self) -> io::Result<()> {
        self.order(true).await
    }

    pub(super) async fn close(&self) -> io::Result<()> {
        self.order(false).await
    }

    async fn order(&self, open: bool) -> io::Result<()> {
        let (done, outcome) = oneshot::channel();
        let gone = || io::Error::other("the stand-in has been dropped");
        self.0
            .send(Order { open, done })
            .await
            .map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

impl Listener {
    pub(super) async fn bind() -> io::Result<(Self, Gate)> {
        let socket = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (gate, orders) = mpsc::channel(1);
        let address = socket.local_addr()?;
        let listener = Self {
            address,
            socket,
            orders,
        };
        Ok((listener, Gate(gate)))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until dropped; the connections end with it.
    pub(super) async fn serve(mut self, routes: Router) {
        let mut door = Door::Open(self.socket);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(order) = self.orders.recv() => {
                    let (next, outcome) = turn(door, order.open, self.address);
                    door = next;
                    if !order.open {
                        connections.shutdown().await;
                    }
                    // Whoever gave the order may have stopped waiting.
                    let _ = order.done.send(outcome);
                }
                Some(stream) = accept(&door) => {
                    let service = TowerToHyperService::new(routes.clone());
                    connections.spawn(async move {
                        // A connection that breaks concerns its client alone.
                        let _ = http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn accept(door: &Door) -> Option<tokio::net::TcpStream> {
    match door {
        Door::Open(listener) => {
            let (stream, _) = listener.accept().await.ok()?;
            stream.set_nodelay(true).ok()?;
            Some(stream)
        }
        Door::Closed { .. } => std::future::pending().await,
    }
}

fn turn(door: Door, open: bool, address: SocketAddr) -> (Door, io::Result<()>) {
    match (door, open) {
        (Door::Closed { reserved }, true) => {
            match bound(address).and_then(|socket| socket.listen(1024)) {
                Ok(listener) => (Door::Open(listener), Ok(())),
                Err(error) => (Door::Closed { reserved }, Err(error)),
            }
        }
        (Door::Open(listener), false) => {
            // The port must be free of a listener before it can be bound again.
            drop(listener);
            match bound(address) {
                Ok(socket) => {
                    let reserved = Some(socket);
                    (Door::Closed { reserved }, Ok(()))
                }
                Err(error) => (Door::Closed { reserved: None }, Err(error)),
            }
        }
        (door, _) => (door, Ok(())),
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
