//! What is promised of every format.

use std::collections::BTreeSet;

use eso_relay::{
    Event,
    event::{Match, Reach, decode_batch, encode_batch},
    traceparent::TraceParent,
};
use eso_relay_ingress::{
    AkeylessTriggerConfig,
    source::{Content, Delivery, Handshake, Source},
    verify::Request,
};
use serde_json::{Value, json};

use crate::{Input, NOW, block_on, source, vocabulary::Vocabulary};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// Bytes: what a consumer takes.
const MAX_ID_BYTES: usize = 512;
const MAX_ELEMENTS: usize = 10_000;
/// Bytes: an answer to a stranger's mistake, not a document.
const MAX_ERROR_BYTES: usize = 512;

pub struct Decoder {
    source: Source,
    /// Of an input that brings none.
    head: &'static str,
    vocabulary: Vocabulary,
    provider: Option<Value>,
    target: Option<Reach>,
    scope: Value,
    may_mean_all: bool,
}

impl Decoder {
    pub fn of(config: Value, head: &'static str) -> Self {
        let target = config.get("target").map(|target| {
            let whole = json!({ "stores": [], "namespaces": [], "clusters": [] });
            let mut whole = whole.as_object().cloned().unwrap_or_default();
            whole.extend(target.as_object().cloned().unwrap_or_default());
            serde_json::from_value(whole.into()).expect("a target")
        });
        Self {
            vocabulary: Vocabulary::with(&config.to_string()),
            provider: config.get("provider").cloned(),
            scope: config.get("scope").cloned().unwrap_or_else(|| json!({})),
            may_mean_all: config.pointer("/mapping/allow_all").is_some(),
            source: source(config),
            head,
            target,
        }
    }

    /// The source of `POST /webhook`, whose password every input has.
    pub fn webhook() -> Self {
        let config = AkeylessTriggerConfig {
            username: "eso".to_owned(),
            password: "hunter2".to_owned().into(),
            settle: None,
            wait_unreadable: false,
        };
        Self {
            source: config.open(),
            head: "",
            vocabulary: Vocabulary::with(""),
            provider: None,
            target: None,
            scope: json!({}),
            may_mean_all: false,
        }
    }

    pub fn keeps_its_promises(&self, input: &[u8]) {
        let Input {
            mut headers,
            query,
            body,
        } = Input::read(input, self.head);
        headers.insert(
            "authorization",
            http::HeaderValue::from_static("Basic ZXNvOmh1bnRlcjI="),
        );
        let request = Request {
            headers: &headers,
            query,
            certificate: None,
            now: NOW,
        };
        let body = body.to_vec().into();
        let verified = async { self.source.scheme.admit(&request).await?.verify(body).await };
        let verified = block_on(verified).expect("every sender is admitted");
        let delivery = Delivery {
            headers: &headers,
            received_at: NOW,
            traceparent: TRACE.parse().expect("a traceparent"),
            tracestate: None,
        };
        match self.source.decode(&verified, &delivery) {
            Ok(Content::Events {
                events,
                ignored,
                malformed,
            }) => {
                assert!(events.len() + ignored.len() + malformed.len() <= MAX_ELEMENTS);
                for (_, what) in &malformed {
                    assert!(what.len() <= MAX_ERROR_BYTES, "{what}");
                    self.vocabulary.holds(what);
                }
                for event in &events {
                    self.is_what_the_source_may_say(event, delivery.traceparent);
                }
                if !events.is_empty() {
                    a_consumer_reads(&events);
                }
            }
            Ok(Content::Handshake(Handshake::Confirmation { url })) => {
                is_of_sns(&url.to_string());
            }
            Ok(Content::Handshake(_)) => {}
            Err(error) => {
                let error = error.to_string();
                assert!(error.len() <= MAX_ERROR_BYTES, "{error}");
                self.vocabulary.holds(&error);
            }
        }
    }

    /// Only the configuration decides what an event may reach.
    fn is_what_the_source_may_say(&self, event: &Event, traceparent: TraceParent) {
        assert_eq!(event.source, self.source.name);
        assert_eq!(event.target, self.target);
        assert_eq!(event.received_at, NOW);
        assert_eq!(event.traceparent, Some(traceparent));
        if let Some(provider) = &self.provider {
            assert_eq!(provider, event.provider.as_str());
        }
        for (attribute, value) in self.scope.as_object().expect("attributes") {
            assert_eq!(
                event.scope.get(attribute).map(String::as_str),
                value.as_str()
            );
        }
        assert!(self.may_mean_all || event.matches != Match::All);
        let id = &event.id;
        assert!((1..=MAX_ID_BYTES).contains(&id.len()), "{id}");
        assert!(!id.chars().any(char::is_control), "{id:?}");
    }
}

fn a_consumer_reads(events: &[Event]) {
    let batch = decode_batch(&encode_batch(events)).expect("a batch");
    let read: Result<Vec<_>, _> = batch.into_iter().collect();
    assert_eq!(read.as_deref(), Ok(events));
    let ids: BTreeSet<_> = events.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), events.len(), "an id is there twice");
}

/// Whatever the body contains, only allowed hosts are called.
fn is_of_sns(url: &str) {
    let host = url
        .strip_prefix("https://sns.")
        .and_then(|rest| rest.split('/').next());
    let region = host.and_then(|host| {
        let aws = host.strip_suffix(".amazonaws.com");
        aws.or_else(|| host.strip_suffix(".amazonaws.com.cn"))
    });
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    assert!(
        region.is_some_and(|region| region.bytes().all(fits)),
        "{url}"
    );
}
