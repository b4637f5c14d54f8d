//! For tests: a real TLS server on this machine that stands in for hosts of the Internet.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use super::{Outgoing, TIMEOUT};

/// What it answers, byte for byte.
pub(crate) enum Answer {
    Whole(Vec<u8>),
    /// These bytes, and then nothing.
    Stuck(Vec<u8>),
}

pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    /// The CA that its certificate is from, in PEM.
    pub(crate) ca: String,
    requests: Arc<AtomicUsize>,
    hosts: Vec<String>,
}

impl Answer {
    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::with_status("200 OK", body)
    }

    pub(crate) fn with_status(status: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Self::Whole([head.as_bytes(), body].concat())
    }
}

impl StandIn {
    /// `answer` sees the request's target: path and query.
    pub(crate) async fn start(
        hosts: &[&str],
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        eso_relay::nats::install_crypto();
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let (tls, ca) = certified(&hosts);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::new(answer), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (tls, answer, count) = (tls.clone(), Arc::clone(&answer), Arc::clone(&count));
                // An error is a client that went away, which some tests want.
                tokio::spawn(async move { serve(tls, connection, &*answer, &count).await.ok() });
            }
        });
        Self {
            address,
            ca,
            requests,
            hosts,
        }
    }

    /// A client that finds the hosts at this server and trusts only its CA.
    pub(crate) fn outgoing(&self) -> Outgoing {
        self.outgoing_with(TIMEOUT)
    }

    pub(crate) fn outgoing_with(&self, timeout: Duration) -> Outgoing {
        let ca = Certificate::from_pem(self.ca.as_bytes()).unwrap();
        Outgoing::build(
            self.resolve(Client::builder()).tls_certs_only([ca]),
            timeout,
        )
    }

    /// The same without trust in its CA.
    pub(crate) fn distrustful(&self) -> Outgoing {
        let other = certified(&self.hosts).1;
        let other = Certificate::from_pem(other.as_bytes()).unwrap();
        Outgoing::build(
            self.resolve(Client::builder()).tls_certs_only([other]),
            TIMEOUT,
        )
    }

    fn resolve(&self, client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        self.hosts.iter().fold(client.no_proxy(), |client, host| {
            client.resolve(host, self.address)
        })
    }

    /// How many requests have arrived.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(
    tls: TlsAcceptor,
    connection: TcpStream,
    answer: &(dyn Fn(&str) -> Answer + Send + Sync),
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut connection = tls.accept(connection).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    count.fetch_add(1, Ordering::SeqCst);
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap();
    match answer(target) {
        Answer::Whole(bytes) => {
            connection.write_all(&bytes).await?;
            connection.shutdown().await
        }
        Answer::Stuck(bytes) => {
            connection.write_all(&bytes).await?;
            connection.flush().await?;
            // Until the client gives up.
            connection.read_u8().await.map(drop)
        }
    }
}

fn certified(hosts: &[String]) -> (TlsAcceptor, String) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(hosts.to_vec()).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), ca.pem())
}
