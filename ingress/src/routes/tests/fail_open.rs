use super::*;

fn bao(authorization: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    request(Method::POST, "/v1/hooks/bao", authorization, body)
}

#[tokio::test]
async fn a_source_that_fails_open_is_told_204_when_its_events_are_lost_and_they_are_counted() {
    for (fault, code) in [
        (PublishError::QueueFull, "queue_full"),
        (PublishError::Disconnected, "disconnected"),
        (PublishError::StreamUnusable, "stream_unusable"),
        (PublishError::StreamFull, "stream_full"),
        (PublishError::NoAck, "no_ack"),
        (PublishError::TooLarge, "too_large"),
        (PublishError::AboveLimits, "above_limits"),
    ] {
        let tested = ingress(Some(fault));
        let (status, headers, body) = send(&tested, bao(Some(RIGHT), GOOD)).await;
        assert_eq!(
            (status, body),
            (StatusCode::NO_CONTENT, Value::Null),
            "{code}"
        );
        assert!(!headers.contains_key(header::RETRY_AFTER));
        let text = metrics(&tested);
        assert!(text.contains(r#"lost_total{source="bao"} 1"#), "{text}");
        let result = format!(r#"webhooks_total{{source="bao",result="{code}"}} 1"#);
        assert!(text.contains(&result), "{text}");
        for none in [
            r#"webhooks_total{source="bao",result="accepted"} 0"#,
            r#"events_total{source="bao"} 0"#,
        ] {
            assert!(text.contains(none), "{text}");
        }
    }
}

#[tokio::test]
async fn a_source_that_fails_open_is_told_204_when_its_body_is_too_large_or_there_is_no_room() {
    let tested = ingress(None);
    let (status, ..) = send(&tested, bao(Some(RIGHT), " ".repeat(1001))).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let none_free = Ingress {
        sources: Arc::new(BTreeMap::from([("bao".parse().unwrap(), fail_open())])),
        akeyless_trigger: None,
        publisher: Recorder::default(),
        budget: Budget::new(BodyLimits {
            body: 1000,
            total: 10,
            unverified: 10,
            time: std::time::Duration::from_secs(10),
        }),
        outgoing: Outgoing::new(&OutgoingConfig::default()).unwrap(),
        metrics: Metrics::default(),
        refusals: Refusals::default(),
        tracer: Tracer::default(),
    };
    let router = router(none_free, &Paths::default(), &CancellationToken::new());
    let answer = serve(router, bao(Some(RIGHT), GOOD)).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert!(metrics(&tested).contains(r#"lost_total{source="bao"} 1"#));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_counts_as_lost_where_the_source_fails_open() {
    let tested = ingress(None);
    for body in ["{invalid json}", "", r#"[{"event_id":1}]"#] {
        let (status, _, answer) = send(&tested, bao(Some(RIGHT), body)).await;
        assert_eq!(
            (status, answer),
            (StatusCode::NO_CONTENT, Value::Null),
            "{body}"
        );
    }
    let text = metrics(&tested);
    let ignored = r#"ignored_total{source="bao",reason="undecodable"} 3"#;
    let lost = r#"lost_total{source="bao"} 3"#;
    assert!(text.contains(ignored) && text.contains(lost), "{text}");
    assert!(tested.recorder.events.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_source_that_fails_open_lets_no_stranger_in_and_accepts_like_any_other() {
    let tested = ingress(None);
    for stranger in [None, Some("Basic ZXNvOndyb25n")] {
        let (status, headers, body) = send(&tested, bao(stranger, GOOD)).await;
        assert_eq!(
            (status.as_u16(), body["code"].as_str()),
            (401, Some("unauthorized"))
        );
        assert!(headers.contains_key(header::WWW_AUTHENTICATE));
    }
    assert!(!has_lost(&metrics(&tested)));
    let (status, _, body) = send(&tested, bao(Some(RIGHT), GOOD)).await;
    assert_eq!(
        (status, body["accepted"].as_array().map(Vec::len)),
        (StatusCode::ACCEPTED, Some(1))
    );
}

/// Proven by the body alone, so that it is read before it is known whose it is.
fn signed() -> Source {
    let config = serde_json::json!({
        "name": "bao", "format": "vault-audit", "fail_open": true,
        "auth": { "hmac-sha256": { "header": "x-signature", "secret_file": SECRET_FILE } },
    });
    let config: crate::SourceConfig = serde_json::from_value(config).unwrap();
    let outgoing = Outgoing::new(&OutgoingConfig::default()).unwrap();
    config.open(&outgoing).unwrap()
}

const SECRET_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes/tests/secret");

#[tokio::test]
async fn a_stranger_is_told_no_204_and_raises_nothing_before_its_signature_is_checked() {
    let sources = || BTreeMap::from([("bao".parse().unwrap(), signed())]);
    let posted = |body: Body| {
        let mut request = bao(None, body);
        let signature = HeaderValue::from_static("c0ffee");
        request.headers_mut().insert("x-signature", signature);
        request
    };
    let broken = stream::once(async { Err::<&str, _>(std::io::Error::other("gone")) });
    for (body, status, code) in [
        (Body::from(" ".repeat(1001)), 413, "too_large"),
        (Body::from_stream(broken), 400, "broken_body"),
        (Body::from("[]"), 401, "unauthorized"),
    ] {
        let tested = serving(sources(), None);
        let (answered, _, body) = send(&tested, posted(body)).await;
        assert_eq!(
            (answered.as_u16(), body["code"].as_str()),
            (status, Some(code))
        );
        assert!(!has_lost(&metrics(&tested)), "{code}");
    }
    let tested = serving(sources(), None);
    let never = stream::pending::<Result<&str, std::io::Error>>();
    tokio::time::pause();
    let (answered, ..) = send(&tested, posted(Body::from_stream(never))).await;
    assert_eq!(answered, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!has_lost(&metrics(&tested)));
}

/// Whether any source has lost an event.
pub(super) fn has_lost(metrics: &str) -> bool {
    let mut lost = metrics
        .lines()
        .filter(|line| line.starts_with("lost_total{"));
    lost.any(|line| !line.ends_with(" 0"))
}
