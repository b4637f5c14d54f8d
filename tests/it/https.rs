//! A server of one answer, over TLS.

use std::{future::ready, io, net::SocketAddr, sync::Arc};

use axum::{Router, serve::Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
    server::TlsStream,
};
use tokio_util::task::AbortOnDropHandle;

/// Gone when dropped.
pub(crate) struct Https {
    pub(crate) url: String,
    /// Its certificate in PEM, which it has signed itself.
    pub(crate) certificate: String,
    _serving: AbortOnDropHandle<()>,
}

impl Https {
    /// Answers every GET with this.
    pub(crate) async fn answering(body: String) -> Self {
        eso_relay::nats::install_crypto();
        let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", tcp.local_addr().unwrap());
        let tls = TlsAcceptor::from(Arc::new(tls));
        let routes = Router::new().fallback(move || ready(body));
        let serving = tokio::spawn(async move {
            axum::serve(Tls { tcp, tls }, routes).await.unwrap();
        });
        Self {
            url,
            certificate: pair.cert.pem(),
            _serving: AbortOnDropHandle::new(serving),
        }
    }
}

struct Tls {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (connection, client) = Listener::accept(&mut self.tcp).await;
            if let Ok(connection) = self.tls.accept(connection).await {
                return (connection, client);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
