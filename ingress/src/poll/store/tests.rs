//! Against a small server that stands in for the store.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::Request as HttpRequest,
    http::{HeaderMap, StatusCode},
    response::Response as HttpResponse,
};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// What the server is asked, and the how manieth request it is.
struct Asked {
    count: usize,
    path: String,
    headers: HeaderMap,
}

impl Asked {
    fn token(&self) -> &str {
        let token = self.headers.get("X-Vault-Token");
        token.map_or("", |token| token.to_str().unwrap())
    }
}

type Reply = (u16, Option<u64>, serde_json::Value);

struct StandIn {
    store: Store,
    metrics: Metrics,
    requests: Arc<AtomicUsize>,
    dir: tempfile::TempDir,
}

impl StandIn {
    /// `None`: it hangs.
    async fn start(
        auth: &str,
        reply: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let (requests, reply) = (Arc::new(AtomicUsize::new(0)), Arc::new(reply));
        let count = Arc::clone(&requests);
        let answer = move |request: HttpRequest| {
            let asked = Asked {
                count: count.fetch_add(1, Ordering::SeqCst),
                path: request.uri().to_string(),
                headers: request.headers().clone(),
            };
            let reply = reply(&asked);
            async move {
                let Some((status, retry_after, body)) = reply else {
                    return std::future::pending().await;
                };
                let mut answer = HttpResponse::new(Body::from(body.to_string()));
                *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                if let Some(seconds) = retry_after {
                    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                answer
            }
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("proof"), "marker-proof\n").unwrap();
        let auth = auth.replace("PROOF", &dir.path().join("proof").display().to_string());
        let config = format!(
            "{{ name: p, provider: vault, address: 'http://{address}/base', namespace: team/a, timeout: 500ms, auth: {auth} }}"
        );
        let config: PollConfig = serde_saphyr::from_str(&config).unwrap();
        let metrics = Metrics::default();
        Self {
            store: Store::open(&config, metrics.clone()).unwrap(),
            metrics,
            requests,
            dir,
        }
    }

    fn failures(&self, failure: Failure) -> u64 {
        self.metrics.failures(&"p".parse().unwrap(), failure)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

const TOKEN_FILE: &str = "{ token_file: PROOF }";
const APPROLE: &str = "{ approle: { role_id: r, secret_id_file: PROOF } }";

fn place() -> Place {
    Place {
        mount: "kv".to_owned(),
        rest: "a b/c#1".to_owned(),
    }
}

fn lent(token: &str, seconds: u64) -> serde_json::Value {
    json!({ "auth": { "client_token": token, "lease_duration": seconds, "renewable": true } })
}

#[tokio::test]
async fn only_metadata_is_asked_for() {
    let server = StandIn::start(TOKEN_FILE, |asked| {
        assert_eq!(asked.path, "/base/v1/kv/metadata/a%20b/c%231");
        assert_eq!(asked.token(), "marker-proof");
        assert_eq!(asked.headers["X-Vault-Namespace"], "team/a");
        Some((200, None, json!("body")))
    });
    let server = server.await;
    let answer = server.store.metadata(&place()).await;
    assert_eq!(answer, Answer::Found("\"body\"".into()));
}

#[tokio::test]
async fn a_busy_store_is_asked_again_after_its_time() {
    let server = StandIn::start(TOKEN_FILE, |asked| {
        Some(match asked.count {
            0 => (429, Some(1), json!({})),
            _ => (404, None, json!({ "errors": [] })),
        })
    });
    let server = server.await;
    assert_eq!(server.store.metadata(&place()).await, Answer::Missing);
    assert_eq!(
        (server.requests(), server.failures(Failure::Throttled)),
        (2, 1)
    );
}

#[tokio::test]
async fn a_sealed_store_holds_the_poll() {
    let server = StandIn::start(TOKEN_FILE, |asked| {
        Some(match asked.count {
            0 => (503, None, json!({})),
            _ => (200, None, json!(1)),
        })
    });
    let server = server.await;
    assert!(matches!(
        server.store.metadata(&place()).await,
        Answer::Found(_)
    ));
    assert_eq!(server.failures(Failure::Sealed), 1);
}

#[tokio::test]
async fn a_store_that_hangs_is_left() {
    let server = StandIn::start(TOKEN_FILE, |asked| {
        (asked.count > 0).then(|| (200, None, json!(1)))
    });
    let server = server.await;
    assert!(matches!(
        server.store.metadata(&place()).await,
        Answer::Found(_)
    ));
    assert_eq!(server.failures(Failure::Unreachable), 1);
}

#[tokio::test]
async fn a_403_logs_in_once_and_tries_again() {
    let server = StandIn::start(APPROLE, |asked| {
        Some(match (asked.path.as_str(), asked.token()) {
            ("/base/v1/auth/approle/login", "") => {
                (200, None, lent(&format!("t{}", asked.count), 3600))
            }
            ("/base/v1/kv/metadata/a%20b/c%231", "t2") => (200, None, json!(1)),
            _ => (403, None, json!({})),
        })
    });
    let server = server.await;
    // Login, 403, login, 200.
    assert!(matches!(
        server.store.metadata(&place()).await,
        Answer::Found(_)
    ));
    assert_eq!(server.requests(), 4);
    let denied = Place {
        rest: "denied".to_owned(),
        ..place()
    };
    // This pass has logged in again already.
    assert_eq!(server.store.metadata(&denied).await, Answer::Denied(403));
    assert_eq!(server.requests(), 5);
    server.store.new_pass().await;
    assert_eq!(server.store.metadata(&denied).await, Answer::Denied(403));
    assert_eq!(server.requests(), 8);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end() {
    let server = StandIn::start(APPROLE, |asked| {
        Some(match (asked.path.as_str(), asked.token()) {
            ("/base/v1/auth/approle/login", "") => (200, None, lent("first", 1)),
            ("/base/v1/auth/token/renew-self", "first") => (200, None, lent("renewed", 3600)),
            (_, "first" | "renewed") => (404, None, json!({})),
            _ => (403, None, json!({})),
        })
    });
    let server = server.await;
    assert_eq!(server.store.metadata(&place()).await, Answer::Missing);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(server.store.metadata(&place()).await, Answer::Missing);
    assert_eq!(server.store.metadata(&place()).await, Answer::Missing);
    // Login, read, renewal, two reads.
    assert_eq!(server.requests(), 5);
}

#[tokio::test]
async fn a_token_file_is_read_again_at_each_pass() {
    let server = StandIn::start(TOKEN_FILE, |asked| {
        Some(match asked.token() {
            "next" => (200, None, json!(1)),
            _ => (404, None, json!({})),
        })
    });
    let server = server.await;
    assert_eq!(server.store.metadata(&place()).await, Answer::Missing);
    std::fs::write(server.dir.path().join("proof"), "next").unwrap();
    server.store.new_pass().await;
    assert!(matches!(
        server.store.metadata(&place()).await,
        Answer::Found(_)
    ));
}

#[tokio::test]
async fn a_mount_says_whether_it_has_versions() {
    for (info, versioned) in [
        (
            json!({ "path": "kv/", "type": "kv", "options": { "version": "2" } }),
            true,
        ),
        (
            json!({ "path": "kv/", "type": "kv", "options": { "version": "1" } }),
            false,
        ),
        (
            json!({ "path": "kv/", "type": "kv", "options": null }),
            false,
        ),
        (json!({ "path": "kv/", "type": "database" }), false),
    ] {
        let server = StandIn::start(TOKEN_FILE, move |asked| {
            assert!(
                asked
                    .path
                    .starts_with("/base/v1/sys/internal/ui/mounts/kv/metadata/")
            );
            Some((200, None, json!({ "data": info })))
        });
        let mount = server.await.store.mount(&place()).await;
        let path = "kv".to_owned();
        assert_eq!(mount, Answer::Found(Mount { path, versioned }));
    }
}

#[tokio::test]
async fn one_request_that_fails_does_not_hold_the_others() {
    let server = StandIn::start(TOKEN_FILE, |asked| {
        let status = if asked.path.ends_with("broken") {
            500
        } else {
            404
        };
        Some((status, None, json!({})))
    });
    let server = server.await;
    let broken = Place {
        rest: "broken".to_owned(),
        ..place()
    };
    let others = async {
        for _ in 0..4 {
            server.store.metadata(&place()).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let (broken, ()) = tokio::join!(server.store.metadata(&broken), others);
    assert_eq!(broken, Answer::Denied(500));
}
