use super::{kit::assert_events, *};

const BODY: &[u8] = include_bytes!("../fixtures/standard-webhooks.json");

fn standard(mapping: &Value) -> Source {
    source(&json!({ "format": "standard-webhooks", "mapping": mapping }))
}

#[test]
fn the_id_is_the_headers_and_type_and_time_are_the_bodys() {
    let source = standard(&json!({ "keys": "/data/secret", "types": ["secret.updated"] }));
    let headers = [("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")];
    assert_events!("standard-webhooks", decode_with(&source, &headers, BODY));
    let id = |headers: &[_]| decode_with(&source, headers, BODY).unwrap().remove(0).id;
    assert_eq!(id(&headers), id(&headers));
    assert_eq!(id(&[("svix-id", "msg_1")]), "msg_1");
    assert_eq!(
        id(&[("svix-id", "msg_1"), ("webhook-id", "msg_2")]),
        "msg_2"
    );
    assert_ne!(id(&[]), id(&[]));
}

#[test]
fn the_mapping_outweighs_what_the_specification_advises() {
    let source = standard(&json!({
        "keys": "/name", "events": "/data", "id": "/uid", "type": "/did", "types": ["a"], "time": "/at",
    }));
    let body =
        br#"{"type":"b","timestamp":1,"data":[{"uid":"u","did":"a","at":1786190400,"name":"k"}]}"#;
    let event = decode_with(&source, &[("webhook-id", "m")], body)
        .unwrap()
        .remove(0);
    let time = Timestamp::from_second(1_786_190_400).unwrap();
    assert_eq!((event.id.as_str(), event.time), ("u", Some(time)));
    assert_eq!(event.origin.kind.as_deref(), Some("a"));
}

#[test]
fn the_bodys_type_and_time_hold_for_every_member_of_its_data() {
    let source = standard(&json!({ "events": "/data", "keys": "/k", "types": ["t"] }));
    let body = br#"{"type":"t","timestamp":"2026-08-08T12:00:00Z","data":[{"k":"a"},{"k":"b"}]}"#;
    let events = decode_with(&source, &[("webhook-id", "m")], body).unwrap();
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["m/0", "m/1"]);
    assert!(events.iter().all(|event| event.time.is_some()));
}

#[test]
fn a_body_against_the_advice_is_no_mistake() {
    let source = standard(&json!({ "keys": "/k" }));
    for body in [
        r#"{"k":"a"}"#,
        r#"{"k":"a","type":{},"timestamp":[]}"#,
        r#"[{"k":"a"}]"#,
        r#"{"k":"a","timestamp":"soon"}"#,
    ] {
        let events = decode_with(&source, &[], body.as_bytes()).unwrap();
        assert_eq!(
            (events[0].matches.keys(), events[0].time),
            (&["a".to_owned()][..], None),
            "{body}"
        );
    }
    let listed = standard(&json!({ "keys": "/k", "types": ["t"] }));
    assert_eq!(decode_with(&listed, &[], br#"{"k":"a"}"#), Ok(vec![]));
}
