//! ConfigMaps and Secrets of the cluster that templates take, as different senders tell of them.

use eso_relay::event::{KUBERNETES, Kind};

use super::{
    kit::{decode, decode_with},
    *,
};

const CE: &str = "application/cloudevents+json";

fn generic(mapping: &Value) -> Value {
    json!({ "format": "generic", "mapping": mapping })
}

/// As an API server source of Knative sends it.
fn cloudevent(mapping: &Value, fields: &Value) -> Result<Event, DecodeError> {
    let mut event = json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "updated" });
    for (name, value) in fields.as_object().unwrap() {
        event[name] = value.clone();
    }
    let source = source(&json!({ "format": "cloudevents", "mapping": mapping }));
    let events = decode_with(
        &source,
        &[("content-type", CE)],
        event.to_string().as_bytes(),
    );
    events.map(|mut events| events.remove(0))
}

#[test]
fn a_kind_that_is_fixed_or_stands_in_the_event_makes_it_a_source_of_templates() {
    let object = json!({ "kind": "Secret", "metadata": { "name": "app", "namespace": "team-a" } });
    let scope = json!({ "namespace": "/metadata/namespace" });
    for (template, expected) in [("ConfigMap", "ConfigMap/app"), ("/kind", "Secret/app")] {
        let mapping = json!({ "keys": "/metadata/name", "template": template, "scope": scope });
        let by_generic = decode(&generic(&mapping), object.to_string().as_bytes()).unwrap();
        let by_cloudevents = cloudevent(&mapping, &json!({ "data": object })).unwrap();
        for event in [&by_generic[0], &by_cloudevents] {
            assert_eq!(event.kind, Kind::TemplateChanged);
            assert_eq!(event.provider.as_str(), KUBERNETES);
            assert_eq!(event.matches.keys(), [expected]);
            assert_eq!(event.scope["namespace"], "team-a");
        }
    }
    // The subject is a name as well.
    let event = cloudevent(
        &json!({ "template": "Secret" }),
        &json!({ "subject": "app" }),
    );
    assert_eq!(event.unwrap().matches.keys(), ["Secret/app"]);
}

#[test]
fn our_own_type_of_event_names_sources_whole() {
    let own = |data: Value| {
        cloudevent(
            &json!({}),
            &json!({ "type": "template.changed", "data": data }),
        )
    };
    let event = own(json!({ "keys": ["ConfigMap/app"], "scope": { "namespace": "a" } })).unwrap();
    assert_eq!(event.kind, Kind::TemplateChanged);
    assert_eq!(event.provider.as_str(), KUBERNETES);
    let subject = json!({ "type": "template.changed", "subject": "Secret/app" });
    assert_eq!(
        cloudevent(&json!({}), &subject).unwrap().matches.keys(),
        ["Secret/app"]
    );
    for data in [
        json!({ "keys": ["app"] }),
        json!({ "keys": ["ConfigMap/app", "prod/db"] }),
        json!({ "match": "prefix", "keys": ["ConfigMap/app"] }),
        json!({ "match": "scope", "scope": { "namespace": "a" } }),
    ] {
        let error = own(data.clone()).unwrap_err().to_string();
        assert!(error.contains("about templates"), "{data}: {error}");
    }
}

#[test]
fn what_is_no_source_of_templates_is_refused_by_its_place() {
    for (mapping, body, expected) in [
        (
            json!({ "keys": "/name", "template": "/kind" }),
            json!({ "name": "app", "kind": "hunter2" }),
            "element 0: /kind is not ConfigMap or Secret",
        ),
        (
            json!({ "keys": "/name", "template": "/kind" }),
            json!({ "name": "app" }),
            "element 0: /kind is missing",
        ),
        (
            json!({ "keys": "/name", "template": "Secret" }),
            json!({ "name": "a/hunter2" }),
            "element 0: a key is no name of a Secret",
        ),
    ] {
        let error = decode(&generic(&mapping), body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error, malformed(expected), "{body}");
    }
}
