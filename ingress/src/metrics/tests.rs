use jiff::Timestamp;

use super::*;
use crate::{
    error::Error,
    publish::PublishError,
    source::{DecodeError, Irrelevant, Source as ConfiguredSource},
    verify::{CodingError, Credentials, Scheme, jwt::IssuerKeys},
};

fn source() -> ConfiguredSource {
    let password = Credentials::fixed("hunter2".to_owned().into());
    let basic = crate::verify::Basic::new("eso".to_owned(), password);
    ConfiguredSource::akeyless_trigger(Scheme::Basic(basic))
}

fn shown() -> (Registry, Metrics, ConfiguredSource) {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let mut source = source();
    source.metrics = metrics.show(&source.name, &source.scheme);
    (registry, metrics, source)
}

fn text(registry: &Registry) -> String {
    eso_relay::metrics::text(registry).unwrap()
}

fn assert_says(registry: &Registry, line: &str) {
    let text = text(registry);
    assert!(text.lines().any(|found| found == line), "{line}\n{text}");
}

#[test]
fn every_answer_of_a_source_is_there_from_the_start() {
    let (registry, _metrics, _source) = shown();
    let errors = [
        Error::Origin,
        Error::Unauthorized(None),
        Error::Unverifiable,
        Error::Unconfirmed,
        Error::Unwanted,
        Error::TooLarge,
        Error::Coding(CodingError::Unsupported),
        Error::TooSlow,
        Error::Broken,
        Error::Overloaded,
        Error::RateLimited,
        Error::Decode(DecodeError::NotJson { line: 1, column: 1 }),
        Error::Decode(DecodeError::Malformed(String::new())),
        Error::Decode(DecodeError::TooMany(1)),
        Error::Irrelevant,
        Error::Publish(PublishError::QueueFull),
        Error::Publish(PublishError::Disconnected),
        Error::Publish(PublishError::StreamUnusable),
        Error::Publish(PublishError::StreamFull),
        Error::Publish(PublishError::AboveLimits),
        Error::Publish(PublishError::NoAck),
    ];
    let codes = errors.iter().map(Error::code);
    for result in codes.chain(["accepted", "handshake"]) {
        let line = format!(r#"webhooks_total{{source="webhook",result="{result}"}} 0"#);
        assert_says(&registry, &line);
    }
    for error in [Error::NotFound, Error::Method] {
        let result = error.code();
        let line = format!(r#"webhooks_total{{source="-",result="{result}"}} 0"#);
        assert_says(&registry, &line);
    }
    for line in [
        r#"events_total{source="webhook"} 0"#,
        r#"ignored_total{source="webhook",reason="undecodable"} 0"#,
        r#"credential_failures_total{source="webhook"} 0"#,
        r#"credential_uses_total{source="webhook",slot="0"} 0"#,
        r#"lost_total{source="webhook"} 0"#,
    ] {
        assert_says(&registry, line);
    }
    let text = text(&registry);
    assert!(!text.contains("last_event"), "no event yet: {text}");
    assert!(!text.contains("jwks"), "no issuer: {text}");
}

#[test]
fn what_a_source_counts_is_shown() {
    let (registry, metrics, source) = shown();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    metrics.accepted(&source.metrics, 3, now, std::time::Duration::from_millis(2));
    // A body without events says nothing about the sender's changes.
    let later = Timestamp::from_second(1_900_000_000).unwrap();
    metrics.accepted(
        &source.metrics,
        0,
        later,
        std::time::Duration::from_millis(2),
    );
    source.metrics.answered("no_ack");
    source.metrics.answered("an answer of tomorrow");
    source
        .metrics
        .ignored([Irrelevant::Test, Irrelevant::Undecodable]);
    source.metrics.lost();
    source.metrics.credential_failed();
    metrics.refused("not_found");
    for line in [
        r#"webhooks_total{source="webhook",result="accepted"} 2"#,
        r#"webhooks_total{source="webhook",result="no_ack"} 1"#,
        r#"webhooks_total{source="webhook",result="an answer of tomorrow"} 1"#,
        r#"webhooks_total{source="-",result="not_found"} 1"#,
        r#"events_total{source="webhook"} 3"#,
        r#"last_event_timestamp_seconds{source="webhook"} 1800000000"#,
        r#"ignored_total{source="webhook",reason="test"} 1"#,
        r#"ignored_total{source="webhook",reason="undecodable"} 1"#,
        r#"ignored_total{source="webhook",reason="malformed"} 0"#,
        r#"lost_total{source="webhook"} 1"#,
        r#"credential_failures_total{source="webhook"} 1"#,
        "request_duration_seconds_count 2",
    ] {
        assert_says(&registry, line);
    }
}

#[test]
fn the_keys_of_an_issuer_are_shown_by_age_and_failures() {
    let (registry, _metrics, source) = shown();
    let keys = |age: Option<u64>, failures| IssuerKeys {
        age: age.map(std::time::Duration::from_secs),
        failures,
    };
    source.metrics.jwks(keys(None, 1));
    assert!(!text(&registry).contains("jwks_age"), "none yet");
    assert_says(&registry, r#"jwks_failures_total{source="webhook"} 1"#);
    source.metrics.jwks(keys(Some(90), 1));
    assert_says(&registry, r#"jwks_age_seconds{source="webhook"} 90"#);
    assert_says(&registry, r#"jwks_failures_total{source="webhook"} 1"#);
    source.metrics.jwks(keys(Some(91), 3));
    assert_says(&registry, r#"jwks_failures_total{source="webhook"} 3"#);
}

#[test]
fn events_of_a_poll_count_like_those_of_a_source() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let poll = metrics.of_poll(&"bao".parse().unwrap());
    assert_says(&registry, r#"events_total{source="bao"} 0"#);
    poll.published(1, Timestamp::from_second(1_800_000_000).unwrap());
    assert_says(&registry, r#"events_total{source="bao"} 1"#);
    assert_says(
        &registry,
        r#"last_event_timestamp_seconds{source="bao"} 1800000000"#,
    );
}
