use std::{net::SocketAddr, time::Duration};

use axum::{Router, http::Request, routing::get};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    crypto::ring, pki_types::ServerName, version,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{TlsConnector, client};

use super::{
    fixtures::{Ca, Mounted, Pair},
    *,
};
use crate::{head::Caller, metrics::Metrics, server};

const MINUTE: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const AKEYLESS: &str = "spiffe://prod/akeyless";

/// A running port whose one handler returns the names in the client's certificate.
struct Running {
    address: SocketAddr,
    tls: Arc<Tls>,
    metrics: Metrics,
    stop: CancellationToken,
}

async fn start_with(mounted: &Mounted, connections: usize, header_timeout: Duration) -> Running {
    let files = mounted.config().files().unwrap().unwrap();
    let tls = Arc::new(Tls::open(files).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (metrics, stop) = (Metrics::default(), CancellationToken::new());
    let limits = server::ConnectionLimits {
        connections,
        per_peer: connections,
        header: header_timeout,
        idle: MINUTE,
        write: MINUTE,
        age: MINUTE,
        requests: 1000,
        trusted_proxies: Arc::default(),
    };
    tokio::spawn(server::serve(
        listener,
        Some(Arc::clone(&tls)),
        Router::new().route("/", get(who)),
        limits,
        metrics.clone(),
        CancellationToken::new(),
        stop.clone(),
    ));
    Running {
        address,
        tls,
        metrics,
        stop,
    }
}

async fn start(mounted: &Mounted) -> Running {
    start_with(mounted, 9, MINUTE).await
}

async fn who(request: Request<axum::body::Body>) -> String {
    let caller = request.extensions().get::<Arc<Caller>>().unwrap();
    match &caller.certificate {
        Some(certificate) => format!("{:?}", certificate.names()),
        None => "none".to_owned(),
    }
}

/// A client that trusts one CA.
struct Client<'a> {
    trusts: &'a Ca,
    shows: Option<&'a Pair>,
    versions: &'a [&'static SupportedProtocolVersion],
    alpn: &'a [&'a str],
}

impl<'a> Client<'a> {
    fn of(trusts: &'a Ca) -> Self {
        Self {
            trusts,
            shows: None,
            versions: rustls::ALL_VERSIONS,
            alpn: &[],
        }
    }

    fn showing(trusts: &'a Ca, pair: &'a Pair) -> Self {
        Self {
            shows: Some(pair),
            ..Self::of(trusts)
        }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusts.der()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.shows.map(Pair::der) {
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate], key)
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        config
    }

    async fn connect(&self, running: &Running) -> io::Result<client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect(running.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(self.config()));
        connector.connect(name, stream).await
    }

    /// What the handler says; an error when there was no handshake.
    async fn get(&self, running: &Running) -> io::Result<String> {
        let mut stream = self.connect(running).await?;
        // In TLS 1.3 a client learns only now that it was refused.
        stream.write_all(REQUEST).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text.split("\r\n\r\n").nth(1).unwrap().to_owned())
    }
}

/// Asks and leaves the connection open.
async fn ask(stream: &mut client::TlsStream<TcpStream>) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut buffer = [0; 1024];
    let count = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[tokio::test]
async fn tls_1_2_and_1_3_bring_http_1_and_nothing_else() {
    let ca = Ca::new("a");
    let running = start(&Mounted::new(&ca.localhost(), None)).await;
    for (version, spoken) in [
        (&version::TLS12, ProtocolVersion::TLSv1_2),
        (&version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let client = Client {
            versions: &[version],
            alpn: &["h2", "http/1.1"],
            ..Client::of(&ca)
        };
        let stream = client.connect(&running).await.unwrap();
        let connection: &ClientConnection = stream.get_ref().1;
        assert_eq!(connection.protocol_version(), Some(spoken));
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(client.get(&running).await.unwrap(), "none");
    }
    for (alpn, chosen) in [
        (&["http/1.0"][..], Some(&b"http/1.0"[..])),
        (&["http/1.0", "http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let client = Client {
            alpn,
            ..Client::of(&ca)
        };
        let stream = client.connect(&running).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        assert_eq!(client.get(&running).await.unwrap(), "none");
    }
    let h2_only = Client {
        alpn: &["h2"],
        ..Client::of(&ca)
    };
    assert!(h2_only.get(&running).await.is_err());
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_and_not_required() {
    let ca = Ca::new("a");
    let running = start(&Mounted::new(&ca.localhost(), Some(&ca))).await;
    assert_eq!(Client::of(&ca).get(&running).await.unwrap(), "none");
}

#[tokio::test]
async fn the_names_of_a_client_certificate_reach_every_request_of_its_connection() {
    let (ca, clients) = (Ca::new("a"), Ca::new("clients"));
    let running = start(&Mounted::new(&ca.localhost(), Some(&clients))).await;
    let pair = clients.client(AKEYLESS);
    for version in rustls::ALL_VERSIONS {
        let client = Client {
            versions: &[version],
            ..Client::showing(&ca, &pair)
        };
        let mut stream = client.connect(&running).await.unwrap();
        for _ in 0..2 {
            let answer = ask(&mut stream).await;
            let expected = format!("[Uri(\"{AKEYLESS}\")]");
            assert!(answer.ends_with(&expected), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_certificate_of_another_ca_or_past_its_time_or_for_servers_is_refused() {
    let (ca, clients) = (Ca::new("a"), Ca::new("clients"));
    let running = start(&Mounted::new(&ca.localhost(), Some(&clients))).await;
    let strangers = Ca::new("strangers");
    // Of the right name, and not of the right key.
    let impostors = Ca::new("clients");
    for (refused, pair) in [
        strangers.client(AKEYLESS),
        impostors.client(AKEYLESS),
        clients.expired_client(AKEYLESS),
        clients.server_only(AKEYLESS),
    ]
    .iter()
    .enumerate()
    {
        let client = Client::showing(&ca, pair);
        assert!(client.get(&running).await.is_err(), "{refused}");
    }
    assert_eq!(running.metrics.handshake_failures.get(), 4);
}

#[tokio::test]
async fn a_rotated_certificate_counts_at_once_and_open_connections_end() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let mounted = Mounted::new(&old.localhost(), None);
    let running = start(&mounted).await;
    let mut open = Client::of(&old).connect(&running).await.unwrap();
    ask(&mut open).await;
    assert!(running.tls.refresh().is_none());

    mounted.put(&new.localhost());
    assert!(matches!(running.tls.refresh(), Some(Refresh::Replaced)));
    assert!(running.tls.refresh().is_none());
    assert!(Client::of(&new).get(&running).await.is_ok());
    assert!(Client::of(&old).get(&running).await.is_err());
    let rest = tokio::time::timeout(MINUTE, open.read_to_end(&mut Vec::new())).await;
    assert_eq!(rest.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn changed_files_are_seen_while_it_runs() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let mounted = Mounted::new(&old.localhost(), None);
    let running = start(&mounted).await;
    let mut open = Client::of(&old).connect(&running).await.unwrap();
    ask(&mut open).await;
    mounted.put(&new.localhost());
    let tls = Some(Arc::clone(&running.tls));
    crate::rotation::watch(&Arc::default(), tls, &running.metrics, &running.stop).unwrap();
    // The end of the open connection says that the new certificate counts.
    let rest = tokio::time::timeout(MINUTE, open.read_to_end(&mut Vec::new())).await;
    assert_eq!(rest.unwrap().unwrap(), 0);
    assert!(Client::of(&new).get(&running).await.is_ok());
}

#[tokio::test]
async fn a_rotated_client_ca_lets_the_new_ones_in_and_the_old_ones_no_more() {
    let ca = Ca::new("a");
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let mounted = Mounted::new(&ca.localhost(), Some(&old));
    let running = start(&mounted).await;
    let (of_old, of_new) = (old.client(AKEYLESS), new.client(AKEYLESS));
    let known = async |pair| Client::showing(&ca, pair).get(&running).await.is_ok();
    assert!(known(&of_old).await && !known(&of_new).await);

    mounted.write("ca.crt", &format!("{}{}", old.pem(), new.pem()));
    assert!(matches!(running.tls.refresh(), Some(Refresh::Replaced)));
    assert!(known(&of_old).await && known(&of_new).await);

    mounted.write("ca.crt", &new.pem());
    assert!(matches!(running.tls.refresh(), Some(Refresh::Replaced)));
    assert!(!known(&of_old).await && known(&of_new).await);
}

#[tokio::test]
async fn a_client_whose_ca_is_removed_cannot_come_back_by_an_old_session() {
    let (ca, old, new) = (Ca::new("a"), Ca::new("old"), Ca::new("new"));
    let mounted = Mounted::new(&ca.localhost(), Some(&old));
    let running = start(&mounted).await;
    let pair = old.client(AKEYLESS);
    // One configuration, so that sessions are remembered.
    let connector = TlsConnector::from(Arc::new(Client::showing(&ca, &pair).config()));
    let ask_again = async || {
        let stream = TcpStream::connect(running.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, stream).await?;
        stream.write_all(REQUEST).await?;
        let count = stream.read_to_end(&mut Vec::new()).await?;
        Ok::<_, io::Error>((count, stream.get_ref().1.handshake_kind()))
    };
    for _ in 0..2 {
        let (count, kind) = ask_again().await.unwrap();
        assert!(count > 0);
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
    }
    mounted.write("ca.crt", &new.pem());
    running.tls.refresh().unwrap();
    assert!(ask_again().await.is_err());
}

#[tokio::test]
async fn a_broken_new_file_keeps_the_old_certificate_and_says_so_once() {
    let ca = Ca::new("a");
    let mounted = Mounted::new(&ca.localhost(), Some(&ca));
    let running = start(&mounted).await;
    let (certificate, key) = ca.localhost().pem();
    let (of_another, _) = ca.localhost().pem();
    for (file, broken, whole) in [
        ("tls.crt", "", &certificate),
        ("tls.crt", of_another.as_str(), &certificate),
        ("tls.key", "no key", &key),
        ("ca.crt", "no certificate", &ca.pem()),
    ] {
        mounted.write("tls.crt", &certificate);
        mounted.write("tls.key", &key);
        running.tls.refresh();
        mounted.write(file, broken);
        let kept = running.tls.refresh();
        assert!(matches!(kept, Some(Refresh::Kept(_))), "{file}");
        assert!(running.tls.refresh().is_none(), "{file}: said twice");
        assert!(Client::of(&ca).get(&running).await.is_ok(), "{file}");
        mounted.write(file, whole);
        assert!(matches!(running.tls.refresh(), Some(Refresh::Replaced)));
    }
    std::fs::remove_file(mounted.path("tls.crt")).unwrap();
    assert!(matches!(running.tls.refresh(), Some(Refresh::Kept(_))));
    assert!(running.tls.refresh().is_none());
    assert!(Client::of(&ca).get(&running).await.is_ok());
}

#[tokio::test]
async fn plain_http_and_a_stalled_handshake_hold_no_slot() {
    let ca = Ca::new("a");
    let mounted = Mounted::new(&ca.localhost(), None);
    // Long enough for the handshake that succeeds, on a busy machine too.
    let running = start_with(&mounted, 1, Duration::from_secs(2)).await;

    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(REQUEST).await.unwrap();
    let mut text = Vec::new();
    let ended = tokio::time::timeout(MINUTE, plain.read_to_end(&mut text)).await;
    // An alert or a reset, and no answer.
    assert!(ended.is_ok() && !text.starts_with(b"HTTP"), "{text:?}");

    let stalled = TcpStream::connect(running.address).await.unwrap();
    let client = Client::of(&ca);
    let served = tokio::time::timeout(MINUTE, client.get(&running)).await;
    assert_eq!(served.unwrap().unwrap(), "none");
    assert_eq!(running.metrics.handshake_failures.get(), 2);
    drop(stalled);
}

#[tokio::test]
async fn the_signal_ends_a_handshake_that_has_not_begun_a_request() {
    let ca = Ca::new("a");
    let running = start(&Mounted::new(&ca.localhost(), None)).await;
    let mut waiting = TcpStream::connect(running.address).await.unwrap();
    // Accepted in turn: when this one is served, the other one is in its handshake.
    assert!(Client::of(&ca).get(&running).await.is_ok());
    running.stop.cancel();
    let ended = tokio::time::timeout(MINUTE, waiting.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok());
    assert_eq!(running.metrics.handshake_failures.get(), 0);
}

#[tokio::test]
async fn it_is_told_when_the_certificates_expire() {
    let ca = Ca::new("a");
    let mounted = Mounted::new(&ca.localhost(), Some(&ca));
    let files = mounted.config().files().unwrap().unwrap();
    let tls = Tls::open(files).unwrap();
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = Metrics::register(&mut registry);
    crate::rotation::report_expiry(&tls, &metrics);
    let text = eso_relay::metrics::text(&registry).unwrap();
    // The default of rcgen: the first day of 4096.
    for certificate in ["server", "client_ca"] {
        let line = format!(
            "certificate_expiry_timestamp_seconds{{certificate=\"{certificate}\"}} 67090118400"
        );
        assert!(text.contains(&line), "{text}");
    }
}
