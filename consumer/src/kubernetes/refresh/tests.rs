//! Against an API that answers one request in a way of our choosing.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;
use crate::{
    kubernetes::ApiVersion,
    object::{Fault, Outcome},
};

fn refresher(api: SocketAddr, timeout: Duration) -> Refresher {
    let mut config = kube::Config::new(format!("http://{api}").parse().unwrap());
    config.default_retry = false;
    let client = kube::Client::try_from(config).unwrap();
    Refresher::new(Served::new(client, ApiVersion::V1), timeout)
}

fn value() -> RefreshMark {
    "0123456789abcdef0123;settle".parse().unwrap()
}

/// Reads one request, then sends `answer`, or nothing at all for `None`. Returns the request.
async fn api(answer: Option<String>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let is_whole = |request: &[u8]| {
            let without_body = request.starts_with(b"GET ") && request.ends_with(b"\r\n\r\n");
            without_body || request.ends_with(b"}}}")
        };
        while !is_whole(&request) {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
            None => drop(stream.read_buf(&mut request).await),
        }
        String::from_utf8(request).unwrap()
    });
    (address, served)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

async fn in_one(refresher: &Refresher, target: &ObjectRef) -> Outcome {
    let result = refresher.refresh(target, value(), Steps::One).await;
    Outcome::of(result.map(drop))
}

/// Answers one request after the other on one connection; returns those that came.
async fn api_of(answers: Vec<String>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut requests = Vec::new();
        for answer in answers {
            let mut request = Vec::new();
            let is_whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request);
                let of_kes = text.contains("observedGeneration") && text.ends_with("}}");
                of_kes || text.ends_with("}}}") || text.ends_with("\"\"}}")
            };
            while !is_whole(&request) {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            requests.push(String::from_utf8(request).unwrap());
        }
        requests
    });
    (address, served)
}

/// The API answers so, one request after the other; what became of a refresh in two steps.
async fn in_two(answers: Vec<String>) -> (Result<Reset, RefreshError>, Vec<String>) {
    let (address, served) = api_of(answers).await;
    let refresher = refresher(address, Duration::from_secs(10));
    let target = ObjectRef::new("team", "db");
    let result = refresher.refresh(&target, value(), Steps::Two).await;
    (result, served.await.unwrap())
}

#[tokio::test]
async fn two_steps_reset_and_then_annotate() {
    let done = || answer("200 OK", "", "{}");
    let (refreshed, requests) = in_two(vec![done(), done()]).await;
    assert_eq!(refreshed.unwrap(), Reset::Done);
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(
        "PATCH /apis/external-secrets.io/v1/namespaces/team/externalsecrets/db/status?&fieldManager=eso-relay "
    ), "{head}");
    assert!(head.contains("content-type: application/merge-patch+json"));
    assert!(head.contains("as=PartialObjectMetadata;"));
    assert_eq!(head.matches("accept:").count(), 1, "{head}");
    assert_eq!(body, r#"{"status":{"syncedResourceVersion":""}}"#);
    assert!(
        requests[1].contains("/externalsecrets/db?&"),
        "{requests:?}"
    );
    assert!(
        requests[1].contains("eso-relay.dev/refresh"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_forbidden_reset_still_annotates() {
    let forbidden = r#"{"kind":"Status","reason":"Forbidden","message":"cannot patch externalsecrets/status","code":403}"#;
    for refused in [
        answer("403 Forbidden", "", forbidden),
        answer("404 Not Found", "", "404 page not found"),
    ] {
        let (refreshed, requests) = in_two(vec![refused, answer("200 OK", "", "{}")]).await;
        assert!(matches!(refreshed.unwrap(), Reset::Refused { .. }));
        assert_eq!(requests.len(), 2);
    }
}

#[tokio::test]
async fn a_failed_reset_is_retried_first() {
    let gone = r#"{"kind":"Status","details":{"name":"db"},"code":404}"#;
    for (answered, outcome) in [
        (answer("404 Not Found", "", gone), "Gone"),
        (answer("409 Conflict", "", "{}"), "Retry"),
        (answer("503 Service Unavailable", "", "{}"), "Retry"),
    ] {
        let (refreshed, _) = in_two(vec![answered]).await;
        let found = format!("{:?}", Outcome::of(refreshed.map(drop)));
        assert!(found.starts_with(outcome), "{found}");
    }
}

/// As [`in_two`], of an object of KES.
async fn of_kes(answers: Vec<String>) -> (Result<Reset, RefreshError>, Vec<String>) {
    let (address, served) = api_of(answers).await;
    let refresher = refresher(address, Duration::from_secs(10));
    let target = ObjectRef::kes("team", "db");
    let result = refresher.refresh(&target, value(), Steps::Kes).await;
    (result, served.await.unwrap())
}

#[tokio::test]
async fn kes_is_told_by_its_status_and_then_marked() {
    let done = || answer("200 OK", "", "{}");
    let (refreshed, requests) = of_kes(vec![done(), done()]).await;
    assert_eq!(refreshed.unwrap(), Reset::NotAsked);
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(
        "PATCH /apis/kubernetes-client.io/v1/namespaces/team/externalsecrets/db/status?&fieldManager=eso-relay "
    ), "{head}");
    let expected = value().unobserved();
    assert_eq!(
        body,
        format!(r#"{{"status":{{"observedGeneration":{expected}}}}}"#)
    );
    let (head, body) = requests[1].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(
        "PATCH /apis/kubernetes-client.io/v1/namespaces/team/externalsecrets/db?&fieldManager=eso-relay "
    ), "{head}");
    assert!(body.contains("eso-relay.dev/refresh"), "{body}");
}

#[tokio::test]
async fn kes_is_not_marked_without_the_reset() {
    let forbidden = r#"{"kind":"Status","reason":"Forbidden","message":"cannot patch externalsecrets/status","code":403}"#;
    let (refreshed, requests) = of_kes(vec![answer("403 Forbidden", "", forbidden)]).await;
    let outcome = Outcome::of(refreshed.map(drop));
    let expected = Fault::Permission;
    assert!(
        matches!(&outcome, Outcome::Retry { fault, .. } if *fault == expected),
        "{outcome:?}"
    );
    assert_eq!(requests.len(), 1);
}

async fn outcome(answer: String) -> Outcome {
    let (address, _served) = api(Some(answer)).await;
    let refresher = refresher(address, Duration::from_secs(10));
    in_one(&refresher, &ObjectRef::new("team", "db")).await
}

/// The outcome of a patch that failed by a fault of the cluster, to be retried after these
/// seconds or whenever it suits.
fn assert_cluster(outcome: &Outcome, seconds: Option<u64>) {
    match outcome {
        Outcome::Retry {
            fault: Fault::Cluster,
            after,
            ..
        } => assert_eq!(*after, seconds.map(Duration::from_secs)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_annotation_is_merged_and_nothing_else() {
    let (address, served) = api(Some(answer("200 OK", "", "{}"))).await;
    let refresher = refresher(address, Duration::from_secs(10));
    let outcome = in_one(&refresher, &ObjectRef::new("team", "db")).await;
    assert_eq!(outcome, Outcome::Done);
    let request = served.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(
        "PATCH /apis/external-secrets.io/v1/namespaces/team/externalsecrets/db?&fieldManager=eso-relay "
    ));
    assert!(head.contains("content-type: application/merge-patch+json"));
    assert!(head.contains("as=PartialObjectMetadata;"));
    assert_eq!(
        body,
        r#"{"metadata":{"annotations":{"eso-relay.dev/refresh":"0123456789abcdef0123;settle"}}}"#
    );
}

#[tokio::test]
async fn what_has_an_owner_is_refreshed_through_it() {
    let (address, served) = api(Some(answer("200 OK", "", "{}"))).await;
    let refresher = refresher(address, Duration::from_secs(10));
    let outcome = in_one(&refresher, &ObjectRef::owner("db")).await;
    assert_eq!(outcome, Outcome::Done);
    let request = served.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(
        "PATCH /apis/external-secrets.io/v1/clusterexternalsecrets/db?&fieldManager=eso-relay "
    ));
    assert_eq!(
        body,
        r#"{"metadata":{"annotations":{"external-secrets.io/force-sync":"0123456789abcdef0123;settle"}}}"#
    );
}

#[tokio::test]
async fn a_push_secret_has_a_version_of_its_own() {
    let (address, served) = api(Some(answer("200 OK", "", "{}"))).await;
    let refresher = refresher(address, Duration::from_secs(10));
    let target = ObjectRef::push_secret("team", "db");
    let outcome = in_one(&refresher, &target).await;
    assert_eq!(outcome, Outcome::Done);
    let request = served.await.unwrap();
    assert!(
        request.starts_with(
            "PATCH /apis/external-secrets.io/v1alpha1/namespaces/team/pushsecrets/db?"
        ),
        "{request}"
    );
    assert!(request.contains("eso-relay.dev/refresh"), "{request}");
}

#[tokio::test]
async fn a_missing_kind_is_retried_a_missing_object_not() {
    let gone = r#"{"kind":"Status","reason":"NotFound","details":{"name":"db","kind":"externalsecrets"},"code":404}"#;
    assert_eq!(
        outcome(answer("404 Not Found", "", gone)).await,
        Outcome::Gone
    );
    let no_api = outcome(answer("404 Not Found", "", "404 page not found")).await;
    assert_cluster(&no_api, None);
}

#[tokio::test]
async fn an_overloaded_api_says_when_to_come_back() {
    let details = r#"{"kind":"Status","details":{"retryAfterSeconds":7},"code":429}"#;
    let told = outcome(answer(
        "429 Too Many Requests",
        "retry-after: 3\r\n",
        details,
    ))
    .await;
    assert_cluster(&told, Some(7));
    let plain = outcome(answer(
        "429 Too Many Requests",
        "retry-after: 3\r\n",
        "Too many requests, please try again later.",
    ));
    assert_cluster(&plain.await, Some(3));
}

#[tokio::test]
async fn a_redirection_is_no_success() {
    let moved = outcome(answer("302 Found", "location: /login\r\n", "")).await;
    assert_cluster(&moved, None);
}

#[tokio::test]
async fn a_missing_permission_is_the_targets_and_names_the_reason() {
    let body = r#"{"kind":"Status","reason":"Forbidden","message":"cannot patch","code":403}"#;
    match outcome(answer("403 Forbidden", "", body)).await {
        Outcome::Retry {
            fault: Fault::Permission,
            after: Some(_),
            error,
        } => assert_eq!(error, "403 Forbidden: cannot patch"),
        other => panic!("{other:?}"),
    }
}

async fn probe(answer: String) -> (Outcome, String) {
    let (address, served) = api(Some(answer)).await;
    let refresher = refresher(address, Duration::from_secs(10)).within(&["team".into()]);
    let outcome = Outcome::of(refresher.probe().await);
    (outcome, served.await.unwrap())
}

#[tokio::test]
async fn a_probe_asks_for_one_object_where_the_consumer_may_look() {
    let (outcome, request) = probe(answer("200 OK", "", "{}")).await;
    assert_eq!(outcome, Outcome::Done);
    let path = "GET /apis/external-secrets.io/v1/namespaces/team/externalsecrets?&limit=1 ";
    assert!(request.starts_with(path), "{request}");
    assert!(
        request.contains("as=PartialObjectMetadataList;"),
        "{request}"
    );
}

#[tokio::test]
async fn a_refusal_answers_a_probe() {
    for (status, answered) in [
        ("200 OK", true),
        ("401 Unauthorized", true),
        ("403 Forbidden", true),
        ("302 Found", false),
        ("404 Not Found", false),
        ("429 Too Many Requests", false),
        ("500 Internal Server Error", false),
        ("503 Service Unavailable", false),
    ] {
        let (outcome, _) = probe(answer(status, "", "no")).await;
        assert_eq!(outcome.is_answer(), answered, "{status}: {outcome:?}");
    }
}

#[tokio::test]
async fn an_api_that_hangs_is_given_up_after_the_timeout() {
    let (address, _served) = api(None).await;
    let refresher = refresher(address, Duration::from_millis(50));
    let hung = in_one(&refresher, &ObjectRef::new("team", "db")).await;
    assert_cluster(&hung, None);
    assert!(format!("{hung:?}").contains("kubernetes.patch_timeout"));
}

#[tokio::test]
async fn an_api_that_is_away_is_the_clusters_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refresher = refresher(address, Duration::from_secs(10));
    let away = in_one(&refresher, &ObjectRef::new("team", "db")).await;
    assert_cluster(&away, None);
}
