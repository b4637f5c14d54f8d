use std::{collections::BTreeMap, path::Path};

use futures::executor::block_on;
use http::HeaderMap;
use jiff::Timestamp;

use super::*;
use crate::{
    IngressConfig,
    outgoing::Outgoing,
    source::{Content, Delivery, Source},
    verify,
};

/// Where the stanzas keep their secrets.
const SECRETS: &str = "/etc/eso-relay/";

/// Most senders take any text; Standard Webhooks does not.
fn secret(file: &str) -> &'static str {
    match file {
        "whsec" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        _ => "a secret",
    }
}

/// The stanza's file, beside the secret files that it names.
fn load(directory: &Path, stanza: &str) -> IngressConfig {
    for rest in stanza.split(SECRETS).skip(1) {
        let name = rest.split([',', ']', '}', ' ', '\n']).next().unwrap();
        let file = directory.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, secret(name)).unwrap();
    }
    let file = directory.join("ingress.yaml");
    let here = format!("{}/", directory.display());
    std::fs::write(&file, stanza.replace(SECRETS, &here)).unwrap();
    IngressConfig::load(Some(&file)).unwrap_or_else(|error| panic!("{error}\n{stanza}"))
}

fn open(stanza: &str) -> BTreeMap<eso_relay::Slug, Source> {
    let directory = tempfile::tempdir().unwrap();
    let config = load(directory.path(), stanza);
    let sources = config.open_sources(&Outgoing::new(&config.outgoing).unwrap());
    sources.unwrap_or_else(|error| panic!("{error}\n{stanza}"))
}

#[test]
fn every_stanza_is_loaded_and_opened_and_of_what_it_is_printed_for() {
    let directory = tempfile::tempdir().unwrap();
    for format in formats() {
        assert_eq!(open(format.stanza).len(), 1, "{}", format.name);
        let config = load(directory.path(), format.stanza);
        assert_eq!(config.sources[0].format, format.name);
    }
    for scheme in schemes() {
        assert_eq!(open(scheme.stanza).len(), 1, "{}", scheme.name);
        let config = load(directory.path(), scheme.stanza);
        assert_eq!(config.sources[0].auth.name(), scheme.name);
    }
}

#[test]
fn every_sample_is_an_event_under_the_stanza_of_its_format() {
    let directory = tempfile::tempdir().unwrap();
    for format in formats() {
        let config = load(directory.path(), format.stanza);
        let source = config.sources[0].open_with(verify::Scheme::None).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in format.sample.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        let request = verify::Request {
            headers: &headers,
            query: None,
            now: Timestamp::UNIX_EPOCH,
            certificate: None,
        };
        let verified = block_on(async {
            let admitted = verify::Scheme::None.admit(&request).await?;
            admitted.verify(format.sample.body.into()).await
        });
        let delivery = Delivery {
            headers: &headers,
            received_at: Timestamp::UNIX_EPOCH,
            traceparent: eso_relay::traceparent::TraceParent::random(),
            tracestate: None,
        };
        let content = source.decode(&verified.unwrap(), &delivery);
        assert!(
            matches!(&content, Ok(Content::Events { events, .. }) if !events.is_empty()),
            "{}: {content:?}",
            format.name
        );
    }
}

#[test]
fn the_command_line_and_the_configuration_call_them_alike() {
    for name in FormatName::value_variants() {
        let typed = name.to_possible_value().unwrap();
        assert_eq!(typed.get_name(), name.to_string());
    }
    for name in SchemeName::value_variants() {
        let typed = name.to_possible_value().unwrap();
        assert_eq!(typed.get_name(), name.to_string());
    }
}

#[test]
fn every_explanation_says_something() {
    for format in formats() {
        for text in [format.reads, format.gives, format.proof, format.failure] {
            assert!(text.ends_with(['.', '`']), "{}: {text:?}", format.name);
        }
    }
    for scheme in schemes() {
        for text in [scheme.proof, scheme.use_for] {
            assert!(text.ends_with('.'), "{}: {text:?}", scheme.name);
        }
    }
}
