mod bodies;
mod confirmation;
mod fail_open;
mod paths;
mod preflight;
mod sns;
mod strangers;
mod trace;

use std::{
    future::ready,
    sync::{Mutex, PoisonError},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, header},
};
use futures::stream;
use http_body_util::BodyExt as _;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::*;
use crate::{
    body::BodyLimits,
    client::Client,
    head::Caller,
    limit::LimitsConfig,
    outgoing::OutgoingConfig,
    paths::{Paths, tidy_uri},
    verify::{Basic, Credentials, Scheme},
};

/// Keeps what it is given, or fails as told.
#[derive(Clone, Default)]
struct Recorder {
    events: Arc<Mutex<Vec<Event>>>,
    /// When the answers were due.
    due: Arc<Mutex<Vec<Option<Instant>>>>,
    fault: Option<PublishError>,
}

impl Publish for Recorder {
    fn publish(
        &self,
        events: &[Event],
        by: Option<Instant>,
    ) -> impl Future<Output = Result<Option<Stored>, PublishError>> + Send + use<> {
        self.due
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(by);
        let mut recorded = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.extend(events.iter().filter(|_| self.fault.is_none()).cloned());
        ready(self.fault.map_or(Ok(None), Err))
    }
}

struct Tested {
    router: Router,
    recorder: Recorder,
    registry: Registry,
}

const RIGHT: &str = "Basic ZXNvOmh1bnRlcjI=";
const GOOD: &str =
    r#"[{"event_id":1,"event_type":"update","item_name":"a/b","payload":"do-not-leak"}]"#;

const LIMITS: BodyLimits = BodyLimits {
    body: 1000,
    total: 1500,
    unverified: 1000,
    time: std::time::Duration::from_secs(10),
};

fn akeyless_trigger() -> Source {
    let password = Credentials::fixed("hunter2".to_owned().into());
    Source::akeyless_trigger(Scheme::Basic(Basic::new("eso".to_owned(), password)))
}

/// Its sender stops working unless it is told 2xx.
fn fail_open() -> Source {
    let mut source = akeyless_trigger();
    source.name = "bao".parse().unwrap();
    source.fail_open = true;
    source
}

fn ingress(fault: Option<PublishError>) -> Tested {
    let sources = [("prod", akeyless_trigger()), ("bao", fail_open())];
    serving(
        sources
            .into_iter()
            .map(|(name, source)| (name.parse().unwrap(), source))
            .collect(),
        fault,
    )
}

fn serving(sources: BTreeMap<Slug, Source>, fault: Option<PublishError>) -> Tested {
    let outgoing = Outgoing::new(&OutgoingConfig::default()).unwrap();
    calling(sources, outgoing, fault, 1000)
}

/// With this many bytes of a body at most.
fn calling(
    mut sources: BTreeMap<Slug, Source>,
    outgoing: Outgoing,
    fault: Option<PublishError>,
    body: usize,
) -> Tested {
    let recorder = Recorder {
        fault,
        ..Recorder::default()
    };
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let mut trigger = akeyless_trigger();
    for source in sources.values_mut().chain([&mut trigger]) {
        source.metrics = metrics.show(&source.name, &source.scheme);
    }
    let ingress = Ingress {
        sources: Arc::new(sources),
        akeyless_trigger: Some(Arc::new(trigger)),
        publisher: recorder.clone(),
        budget: Budget::new(BodyLimits {
            body,
            total: body * 3 / 2,
            unverified: body,
            ..LIMITS
        }),
        outgoing,
        metrics,
        refusals: Refusals::default(),
        tracer: Tracer::default(),
    };
    Tested {
        router: router(ingress, &Paths::default(), &CancellationToken::new()),
        recorder,
        registry,
    }
}

/// As if it came over a connection.
async fn serve(router: Router, mut request: Request<Body>) -> Response {
    let peer = "192.0.2.1".parse().unwrap();
    let caller = Caller {
        client: Arc::new(Client::new(peer, Arc::default())),
        certificate: None,
    };
    request.extensions_mut().insert(Arc::new(caller));
    router.oneshot(request).await.unwrap()
}

/// Status, headers and body of the answer.
async fn send(tested: &Tested, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let answer = serve(tested.router.clone(), request).await;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    assert!(
        !body.windows(11).any(|part| part == b"do-not-leak"),
        "{body:?}"
    );
    let body = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).unwrap()
    };
    (head.status, head.headers, body)
}

fn request(
    method: Method,
    path: &str,
    authorization: Option<&str>,
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    request.body(body.into()).unwrap()
}

fn hook(body: impl Into<Body>) -> Request<Body> {
    request(Method::POST, "/v1/hooks/prod", Some(RIGHT), body)
}

#[tokio::test]
async fn an_accepted_request_names_the_events_that_stand_in_the_stream() {
    let tested = ingress(None);
    for path in ["/v1/hooks/prod", "/webhook"] {
        let (status, _, body) = send(&tested, request(Method::POST, path, Some(RIGHT), GOOD)).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        let events = tested.recorder.events.lock().unwrap();
        assert_eq!(
            body["accepted"],
            serde_json::json!([events.last().unwrap().id])
        );
    }
    assert_eq!(tested.recorder.events.lock().unwrap().len(), 2);
    let (status, _, body) = send(&tested, hook("[]")).await;
    assert_eq!(
        (status, body),
        (StatusCode::ACCEPTED, serde_json::json!({ "accepted": [] }))
    );
}

#[tokio::test]
async fn every_refusal_has_its_status_and_code_and_publishes_nothing() {
    let post = |path, auth, body: &str| request(Method::POST, path, auth, body.to_owned());
    let wrong = Some("Basic ZXNvOndyb25n");
    let cases = [
        (post("/nowhere", Some(RIGHT), GOOD), 404, "not_found"),
        (
            post("/v1/hooks/unknown", Some(RIGHT), GOOD),
            404,
            "not_found",
        ),
        (post("/v1/hooks/%ff", Some(RIGHT), GOOD), 404, "not_found"),
        (post("/v1/hooks/UP", Some(RIGHT), GOOD), 404, "not_found"),
        (
            post("/v1/hooks/prod/more", Some(RIGHT), GOOD),
            404,
            "not_found",
        ),
        (
            request(Method::GET, "/v1/hooks/prod", Some(RIGHT), ""),
            405,
            "method_not_allowed",
        ),
        (
            request(Method::PUT, "/webhook", Some(RIGHT), ""),
            405,
            "method_not_allowed",
        ),
        (post("/v1/hooks/prod", None, GOOD), 401, "unauthorized"),
        (post("/v1/hooks/prod", wrong, GOOD), 401, "unauthorized"),
        (post("/webhook", wrong, GOOD), 401, "unauthorized"),
        (hook("{invalid json}"), 400, "not_json"),
        (hook(""), 400, "not_json"),
        (hook(r#"[{"event_id":1}]"#), 422, "malformed"),
        (
            hook(r#"[{"item_name":""},{"item_name":null}]"#),
            422,
            "malformed",
        ),
        (hook(" ".repeat(1001)), 413, "too_large"),
    ];
    for (request, status, code) in cases {
        let tested = ingress(None);
        let shown = format!("{} {}", request.method(), request.uri());
        let (found, headers, body) = send(&tested, request).await;
        assert_eq!(
            (found.as_u16(), body["code"].as_str()),
            (status, Some(code)),
            "{shown}"
        );
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty())
        );
        assert_eq!(
            headers.contains_key(header::WWW_AUTHENTICATE),
            status == 401,
            "{shown}"
        );
        assert!(!headers.contains_key(header::RETRY_AFTER), "{shown}");
        assert!(tested.recorder.events.lock().unwrap().is_empty(), "{shown}");
    }
}

#[tokio::test]
async fn an_unknown_source_cannot_be_told_from_an_unknown_path() {
    let tested = ingress(None);
    let (_, headers, body) = send(
        &tested,
        request(Method::POST, "/v1/hooks/unknown", None, "x"),
    )
    .await;
    let other = send(&tested, request(Method::POST, "/unknown", None, "x")).await;
    assert_eq!((headers, body), (other.1, other.2));
}

#[tokio::test]
async fn every_transient_fault_is_503_with_retry_after_and_the_final_one_is_not() {
    for (fault, status, code) in [
        (PublishError::QueueFull, 503, "queue_full"),
        (PublishError::Disconnected, 503, "disconnected"),
        (PublishError::StreamUnusable, 503, "stream_unusable"),
        (PublishError::StreamFull, 503, "stream_full"),
        (PublishError::NoAck, 503, "no_ack"),
        (PublishError::TooLarge, 413, "too_large"),
    ] {
        let (found, headers, body) = send(&ingress(Some(fault)), hook(GOOD)).await;
        assert_eq!(
            (found.as_u16(), body["code"].as_str()),
            (status, Some(code))
        );
        assert_eq!(headers.contains_key(header::RETRY_AFTER), status == 503);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_beyond_its_rate_waits_and_a_stranger_uses_up_nothing_of_it() {
    let mut limited = akeyless_trigger();
    limited.limits = LimitsConfig {
        requests_per_second: Some(2),
        buffered: None,
    }
    .open(&LIMITS);
    let tested = serving(BTreeMap::from([("prod".parse().unwrap(), limited)]), None);
    let stranger = |path| request(Method::POST, path, Some("Basic eDp5"), GOOD);
    for _ in 0..10 {
        let (status, ..) = send(&tested, stranger("/v1/hooks/prod")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    for _ in 0..2 {
        assert_eq!(send(&tested, hook(GOOD)).await.0, StatusCode::ACCEPTED);
    }
    let (status, headers, body) = send(&tested, hook(GOOD)).await;
    assert_eq!(
        (status.as_u16(), body["code"].as_str()),
        (503, Some("rate_limited"))
    );
    assert!(headers.contains_key(header::RETRY_AFTER));
    let other = request(Method::POST, "/webhook", Some(RIGHT), GOOD);
    assert_eq!(send(&tested, other).await.0, StatusCode::ACCEPTED);
    tokio::time::advance(std::time::Duration::from_millis(500)).await;
    assert_eq!(send(&tested, hook(GOOD)).await.0, StatusCode::ACCEPTED);
    assert_eq!(tested.recorder.events.lock().unwrap().len(), 4);
}

fn metrics(tested: &Tested) -> String {
    eso_relay::metrics::text(&tested.registry).unwrap()
}

#[tokio::test]
async fn unknown_sources_leave_no_label_behind() {
    let tested = ingress(None);
    send(
        &tested,
        request(Method::POST, "/v1/hooks/made-up", None, "x"),
    )
    .await;
    send(&tested, hook(GOOD)).await;
    let text = metrics(&tested);
    assert!(
        text.contains(r#"webhooks_total{source="-",result="not_found"} 1"#),
        "{text}"
    );
    assert!(
        text.contains(r#"webhooks_total{source="webhook",result="accepted"} 1"#),
        "{text}"
    );
    assert!(!text.contains("made-up") && !text.contains("a/b"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_source_with_a_deadline_is_answered_by_then() {
    let deadline = std::time::Duration::from_secs(4);
    let mut hasty = akeyless_trigger();
    hasty.deadline = Some(deadline);
    let sources = [("prod", hasty), ("bao", fail_open())];
    let sources = sources.map(|(name, source)| (name.parse().unwrap(), source));
    let tested = serving(sources.into(), None);
    let started = Instant::now();
    let never = stream::pending::<Result<&str, std::io::Error>>();
    let (status, headers, body) = send(&tested, hook(Body::from_stream(never))).await;
    assert_eq!(
        (status.as_u16(), body["code"].as_str(), started.elapsed()),
        (503, Some("too_slow"), deadline)
    );
    assert!(headers.contains_key(header::RETRY_AFTER));

    let started = Instant::now();
    send(&tested, hook(GOOD)).await;
    let other = request(Method::POST, "/v1/hooks/bao", Some(RIGHT), GOOD);
    send(&tested, other).await;
    let due = tested.recorder.due.lock().unwrap();
    assert_eq!(*due, [Some(started + deadline), None]);
}
