use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use super::*;

type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// A collector that answers with these statuses, and then with 200. Returns its URL and what it has received.
async fn collector(mut statuses: Vec<u16>) -> (String, Received) {
    let received = Received::default();
    let (listener, kept) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        Arc::clone(&received),
    );
    let url = format!("http://{}", listener.local_addr().unwrap());
    statuses.reverse();
    let statuses = Arc::new(Mutex::new(statuses));
    let take = move |body: Bytes| async move {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        kept.lock().unwrap().push(request);
        let status = statuses.lock().unwrap().pop().unwrap_or(200);
        StatusCode::from_u16(status).unwrap()
    };
    let router = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

fn to(url: &str) -> (Tracer, Exporter) {
    let config = TraceConfig {
        endpoint: Some(url.to_owned()),
        ..TraceConfig::default()
    };
    let (tracer, exporter) = tracer(&config, "eso-relay-test").unwrap();
    let mut exporter = exporter.unwrap();
    // Of this test alone.
    exporter.dropped = Counter::default();
    (tracer, exporter)
}

fn span(context: TraceParent) -> Span {
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    Span::new("patch", Kind::Client, context, (at, at))
}

#[tokio::test]
async fn a_finished_span_arrives_at_the_collector() {
    let (url, received) = collector(vec![503]).await;
    let (tracer, exporter) = to(&url);
    let parent = tracer.root().unwrap();
    let context = tracer.child_of(parent).unwrap();
    let span = span(context)
        .child_of(Some(parent))
        .in_state(Some(&"rojo=1".parse().unwrap()))
        .with("eso_relay.object", "team-a/db");
    tracer.finish(span);
    drop(tracer);
    exporter.run(CancellationToken::new()).await.unwrap();

    let requests = received.lock().unwrap();
    assert_eq!(requests.len(), 2, "the first was answered 503");
    let sent = &requests[1].resource_spans[0];
    let service = &sent.resource.as_ref().unwrap().attributes[0];
    assert_eq!(service.key, "service.name");
    let sent = &sent.scope_spans[0].spans[0];
    assert_eq!(sent.name, "patch");
    assert_eq!(sent.trace_id, parent.parts().0);
    assert_eq!(sent.parent_span_id, parent.parts().1);
    assert_eq!(sent.span_id, context.parts().1);
    assert_eq!(sent.trace_state, "rojo=1");
    assert_eq!(sent.start_time_unix_nano, 1_700_000_000_000_000_000);
    assert_eq!(sent.attributes[0].key, "eso_relay.object");
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent() {
    let (url, received) = collector(Vec::new()).await;
    let (tracer, exporter) = to(&url);
    tracer.finish(span(TraceParent::random()));
    let unsampled = tracer.child_of(TraceParent::random()).unwrap();
    tracer.finish(span(unsampled));
    drop(tracer);
    exporter.run(CancellationToken::new()).await.unwrap();
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_that_is_refused_for_good_is_dropped_and_counted() {
    let (url, received) = collector(vec![500]).await;
    let (tracer, exporter) = to(&url);
    let dropped = exporter.dropped.clone();
    let running = tokio::spawn(exporter.run(CancellationToken::new()));
    tracer.finish(span(tracer.root().unwrap()));
    while dropped.get() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tracer.finish(span(tracer.root().unwrap()));
    drop(tracer);
    running.await.unwrap().unwrap();
    assert_eq!(received.lock().unwrap().len(), 2);
    assert_eq!(dropped.get(), 1);
}

#[tokio::test]
async fn a_collector_that_hangs_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (tracer, exporter) = to(&format!("http://{}", listener.local_addr().unwrap()));
    let (dropped, closing) = (exporter.dropped.clone(), CancellationToken::new());
    tracer.finish(span(tracer.root().unwrap()));
    closing.cancel();
    let ended = timeout(Duration::from_secs(30), exporter.run(closing));
    ended.await.expect("it ends by itself").unwrap();
    assert_eq!(dropped.get(), 1);
}

#[tokio::test]
async fn a_full_queue_drops_what_does_not_fit() {
    let (tracer, exporter) = to("http://127.0.0.1:1");
    let before = DROPPED.get();
    for _ in 0..QUEUE + 3 {
        tracer.finish(span(tracer.root().unwrap()));
    }
    assert_eq!(DROPPED.get() - before, 3);
    drop(exporter);
}

#[test]
fn off_means_that_nothing_has_a_context() {
    let (tracer, exporter) = tracer(&TraceConfig::default(), "eso-relay-test").unwrap();
    assert!(exporter.is_none() && !tracer.is_on());
    assert_eq!(tracer.root(), None);
    assert_eq!(tracer.child_of(TraceParent::random()), None);
}
