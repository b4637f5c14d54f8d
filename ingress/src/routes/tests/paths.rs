//! URLs as proxies and people write them.

use super::*;

fn placed(base: &str, health: &str, stopping: &CancellationToken) -> Tested {
    let mut tested = ingress(None);
    let path = |text: &str| text.to_owned().try_into().unwrap();
    let paths = Paths {
        base: path(base),
        health: path(health),
    };
    let mut registry = Registry::default();
    let ingress = Ingress {
        sources: Arc::new(BTreeMap::from([(
            "prod".parse().unwrap(),
            akeyless_trigger(),
        )])),
        akeyless_trigger: Some(Arc::new(akeyless_trigger())),
        publisher: tested.recorder.clone(),
        budget: Budget::new(LIMITS),
        outgoing: Outgoing::new(&OutgoingConfig::default()).unwrap(),
        metrics: Metrics::register(&mut registry),
        refusals: Refusals::default(),
        tracer: Tracer::default(),
    };
    tested.router = router(ingress, &paths, stopping);
    tested.registry = registry;
    tested
}

async fn posted(tested: &Tested, path: &str) -> StatusCode {
    let (status, ..) = send(tested, request(Method::POST, path, Some(RIGHT), GOOD)).await;
    status
}

/// Status, `Allow` and body.
async fn checked(
    tested: &Tested,
    method: Method,
    path: &str,
) -> (u16, Option<HeaderValue>, String) {
    let request = request(method, path, None, "");
    let answer = serve(tested.router.clone(), request).await;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let allowed = head.headers.get(header::ALLOW).cloned();
    (
        head.status.as_u16(),
        allowed,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn doubled_slashes_and_one_at_the_end_reach_the_source() {
    let tested = ingress(None);
    for path in [
        "/v1/hooks/prod/",
        "//v1/hooks/prod",
        "/v1//hooks///prod//",
        "/v1/hooks/prod/?token=a//b/",
        "/webhook/",
        "//webhook",
        "http://relay.example//webhook/",
    ] {
        assert_eq!(posted(&tested, path).await, StatusCode::ACCEPTED, "{path}");
    }
    for path in [
        "//",
        "/v1/hooks/",
        "/v1/hooks//",
        "/v1/hooks/prod/more/",
        "/v1/hooks/./prod/",
    ] {
        assert_eq!(posted(&tested, path).await, StatusCode::NOT_FOUND, "{path}");
    }
    let untidy = request(Method::GET, "/v1/hooks/prod/", Some(RIGHT), "");
    assert_eq!(
        send(&tested, untidy).await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[test]
fn a_query_survives_a_tidied_path() {
    let uri: http::Uri = "https://relay.example:8443//a///b/?x=//y/".parse().unwrap();
    let tidy = tidy_uri(&uri).unwrap();
    assert_eq!(tidy, "https://relay.example:8443/a/b?x=//y/");
    for tidy in ["/a/b?x=//y/", "/", "*"] {
        assert_eq!(tidy_uri(&tidy.parse().unwrap()), None, "{tidy}");
    }
}

#[tokio::test]
async fn the_base_path_may_be_there_or_not() {
    let tested = placed("/eso/relay/", "/healthz", &CancellationToken::new());
    for path in ["/v1/hooks/prod", "/webhook", "//eso/relay//webhook/"] {
        assert_eq!(posted(&tested, path).await, StatusCode::ACCEPTED, "{path}");
        let below = format!("/eso/relay{path}");
        if !path.starts_with("//") {
            assert_eq!(
                posted(&tested, &below).await,
                StatusCode::ACCEPTED,
                "{below}"
            );
        }
    }
    for path in [
        "/eso/v1/hooks/prod",
        "/relay/webhook",
        "/eso/relay/eso/relay/webhook",
    ] {
        assert_eq!(posted(&tested, path).await, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/healthz", "/eso/relay/healthz", "/eso/relay/healthz/"] {
        assert_eq!(checked(&tested, Method::GET, path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn a_load_balancer_learns_that_the_replica_is_stopping() {
    let stopping = CancellationToken::new();
    let tested = placed("", "/healthz", &stopping);
    let (status, _, body) = checked(&tested, Method::GET, "/healthz").await;
    assert_eq!((status, &*body), (200, "ok\n"));
    let (status, _, body) = checked(&tested, Method::HEAD, "/healthz").await;
    assert_eq!((status, &*body), (200, ""));
    let (status, allowed, _) = checked(&tested, Method::POST, "/healthz").await;
    assert_eq!(
        (status, allowed.as_ref().unwrap().to_str().unwrap()),
        (405, "GET, HEAD")
    );
    stopping.cancel();
    let (status, _, body) = checked(&tested, Method::GET, "/healthz").await;
    assert_eq!((status, &*body), (503, "stopping\n"));
    // What still comes is still taken.
    assert_eq!(posted(&tested, "/webhook").await, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn the_health_path_can_be_the_root_or_off() {
    let root = placed("/eso", "/", &CancellationToken::new());
    for path in ["/", "/eso", "/eso/"] {
        assert_eq!(checked(&root, Method::GET, path).await.0, 200, "{path}");
    }
    let off = placed("", "", &CancellationToken::new());
    for path in ["/", "/healthz"] {
        assert_eq!(checked(&off, Method::GET, path).await.0, 404, "{path}");
    }
}
