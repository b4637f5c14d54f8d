use super::{kit::assert_events, *};

const BODY: &[u8] = include_bytes!("../fixtures/gitlab-pipeline.json");
const EVENT: (&str, &str) = ("x-gitlab-event", "Pipeline Hook");
const UUID: (&str, &str) = (
    "x-gitlab-event-uuid",
    "13792a34-cac6-4fda-95a8-c58e00a3954e",
);
const KEY: (&str, &str) = ("idempotency-key", "f5e57c6c-3c1e-4f0e-9d8a-0e6f3f1a2b3c");

fn gitlab() -> Source {
    source(&json!({ "format": "gitlab", "mapping": {
        "each": "/object_attributes/variables", "keys": "/key",
        "types": ["Pipeline Hook"],
    } }))
}

#[test]
fn the_headers_tell_the_type_and_an_id_that_a_retry_has_again() {
    assert_events!("gitlab", decode_with(&gitlab(), &[EVENT, UUID, KEY], BODY));
    // At the retry GitLab makes a new event UUID up.
    let retry = [EVENT, KEY, ("x-gitlab-event-uuid", "another")];
    let ids = |headers: &[_]| {
        let events = decode_with(&gitlab(), headers, BODY).unwrap();
        events.into_iter().map(|event| event.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[EVENT, UUID, KEY]), ids(&retry));
}

#[test]
fn events_that_share_a_uuid_are_two_changes() {
    let one = || {
        decode_with(&gitlab(), &[EVENT, UUID], BODY)
            .unwrap()
            .remove(0)
    };
    assert_ne!(one().id, one().id);
    assert_eq!(one().origin.event_id.as_deref(), Some(UUID.1));
}

#[test]
fn other_types_are_not_listed() {
    for headers in [&[("x-gitlab-event", "Push Hook")][..], &[]] {
        assert_eq!(decode_with(&gitlab(), headers, BODY), Ok(vec![]));
    }
}
