mod cases;
mod properties;
mod versions;

use eso_relay::event::{Keys, Match};
use serde_json::json;

use super::*;

/// Provider, keys (none for everything in the scope) and scope.
type Said<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

pub(super) fn event((provider, keys, scope): Said<'_>) -> Event {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    Event {
        provider: provider.parse().unwrap(),
        matches: Keys::new(keys).map_or(Match::Scope, Match::Exact),
        scope: scope
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..crate::tests::event("1")
    }
}

/// Whether any provider of the event is the store's, and the rules then say so.
fn means(spec: &str, event: &Event, test: impl Fn(&dyn Rules, &Query<'_>) -> bool) -> bool {
    let spec: Value = serde_json::from_str(spec).unwrap();
    let backend = Backend::of_store(&spec).unwrap();
    let providers = Provider::of_event(&event.provider).unwrap();
    let own = providers.iter().find(|own| **own == backend.provider());
    own.is_some_and(|own| test(backend.rules(), &own.query(event)))
}

/// Whether a reference with this key through a store with this `spec.provider` reads what the
/// event is about. What it reads it must also be found by.
pub(super) fn reads(spec: &str, key: &str, said: Said<'_>) -> bool {
    reads_all_of(spec, RemoteRef::of_key(key), said)
}

/// As [`reads`], of a reference that asks for more than a key.
pub(super) fn reads_all_of(spec: &str, remote: RemoteRef<'_>, said: Said<'_>) -> bool {
    means(spec, &event(said), |rules, query| {
        let reads = rules.reaches(&Reading::Key(remote), query) && rules.reads(remote, query);
        let found = rules.any_name(remote, &|name| {
            query.names.iter().any(|other| other == name)
        });
        assert!(
            found || !reads,
            "{remote:?} of {spec} is not found for {said:?}"
        );
        reads
    })
}

/// As [`reads`], of everything in a scope.
pub(super) fn in_scope(spec: &str, key: &str, said: Said<'_>) -> bool {
    means(spec, &event(said), |rules, query| {
        rules.reaches(&Reading::Key(RemoteRef::of_key(key)), query)
    })
}

/// As [`reads`], of everything below a path.
pub(super) fn reads_below(spec: &str, key: &str, (provider, prefix): (&str, &str)) -> bool {
    let event = Event {
        matches: Match::Prefix(prefix.to_owned()),
        ..event((provider, &[], &[]))
    };
    means(spec, &event, |rules, query| {
        let reading = Reading::Key(RemoteRef::of_key(key));
        rules.reaches(&reading, query) && rules.is_below(&reading, query)
    })
}

/// Whether a `find` finds what the event is about.
pub(super) fn finds(spec: &str, path: Option<&str>, regexp: Option<&str>, said: Said<'_>) -> bool {
    let regexp = regexp.map(|source| Regexp::new(source).0);
    let pattern = Pattern {
        path,
        regexp: regexp.as_ref(),
        ..Pattern::default()
    };
    means(spec, &event(said), |rules, query| {
        rules.reaches(&Reading::Find(pattern), query) && rules.finds(&pattern, query)
    })
}

/// As [`finds`], of everything in a scope.
pub(super) fn finds_in_scope(spec: &str, path: Option<&str>, said: Said<'_>) -> bool {
    let pattern = Pattern {
        path,
        ..Pattern::default()
    };
    means(spec, &event(said), |rules, query| {
        rules.reaches(&Reading::Find(pattern), query)
    })
}

/// Whether a `find` may find something below the path that the event is about.
pub(super) fn finds_below(
    spec: &str,
    path: Option<&str>,
    (provider, prefix): (&str, &str),
) -> bool {
    let pattern = Pattern {
        path,
        ..Pattern::default()
    };
    let event = Event {
        matches: Match::Prefix(prefix.to_owned()),
        ..event((provider, &[], &[]))
    };
    means(spec, &event, |rules, query| {
        let reading = Reading::Find(pattern);
        rules.reaches(&reading, query) && rules.is_below(&reading, query)
    })
}

#[test]
fn a_store_has_the_provider_that_its_spec_names() {
    let other = |name: &str| Some(Provider::Other(name.into()));
    let cases = [
        (json!({"akeyless": {"x": 1}}), Some(Provider::Akeyless)),
        (json!({"aws": {}}), Some(Provider::SecretsManager)),
        (
            json!({"aws": {"service": "ParameterStore"}}),
            Some(Provider::ParameterStore),
        ),
        (
            json!({"aws": {"service": "CertificateManager"}}),
            other("aws"),
        ),
        (json!({"vault": {}}), Some(Provider::Vault)),
        (json!({"openBao": {}}), Some(Provider::Vault)),
        (json!({"onepasswordSDK": {}}), Some(Provider::OnePassword)),
        (json!({"conjur": {}}), other("conjur")),
        (json!({"vault": "text"}), Some(Provider::Vault)),
        (json!({"vault": {}, "aws": {}}), None),
        (json!({}), None),
        (json!("akeyless"), None),
        (Value::Null, None),
    ];
    for (spec, provider) in cases {
        let found = Backend::of_store(&spec).map(|backend| backend.provider());
        assert_eq!(found, provider, "{spec}");
    }
}

#[test]
fn a_provider_is_called_as_an_event_for_it_would_call_it() {
    for eso in [
        "akeyless",
        "alibaba",
        "aws",
        "vault",
        "gcpsm",
        "azurekv",
        "doppler",
        "infisical",
        "onepassword",
        "gitlab",
        "ibm",
        "pulumi",
        "webhook",
        "conjur",
    ] {
        let provider = Backend::of_store(&json!({ eso: {} })).unwrap().provider();
        let named = Provider::of_event(&provider.to_string().parse().unwrap());
        // Those that hand on what is another's come later.
        let first = named.as_ref().and_then(|providers| providers.first());
        assert_eq!(first, Some(&provider), "{eso}");
    }
}

#[test]
fn provider_spellings_are_equal() {
    for (event, eso) in [
        ("akeyless", json!({"akeyless": {}})),
        ("alibaba", json!({"alibaba": {}})),
        ("azure-kv", json!({"azurekv": {}})),
        ("gcp-sm", json!({"gcpsm": {}})),
        ("aws-sm", json!({"aws": {}})),
        ("aws-ps", json!({"aws": {"service": "ParameterStore"}})),
        ("aws", json!({"aws": {}})),
        ("aws", json!({"aws": {"service": "ParameterStore"}})),
        ("aws", json!({"aws": {"service": "CertificateManager"}})),
        ("vault", json!({"openBao": {}})),
        ("openbao", json!({"vault": {}})),
        ("openbao", json!({"openBao": {}})),
        ("onepassword", json!({"onepasswordSDK": {}})),
        ("onepassword-sdk", json!({"onepasswordSDK": {}})),
        ("doppler", json!({"doppler": {}})),
        ("infisical", json!({"infisical": {}})),
        ("gitlab", json!({"gitlab": {}})),
        ("ibm", json!({"ibm": {}})),
        ("pulumi", json!({"pulumi": {}})),
        ("webhook", json!({"webhook": {}})),
        ("keeper-security", json!({"keepersecurity": {}})),
    ] {
        let means = Provider::of_event(&event.parse().unwrap()).unwrap();
        let store = Backend::of_store(&eso).unwrap().provider();
        assert!(means.contains(&store), "{event} {eso}");
    }
    assert_eq!(Provider::of_event(&"generic".parse().unwrap()), None);
}
