use super::{
    kit::{content, left_out},
    *,
};

const LABEL: &[u8] = include_bytes!("../fixtures/aws-eventbridge-label.json");

fn config() -> Value {
    json!({ "format": "aws-eventbridge" })
}

/// The documented event, with some fields replaced or, by null, taken away.
fn label(detail: &Value) -> Vec<u8> {
    let mut event: Value = serde_json::from_slice(LABEL).unwrap();
    for (field, value) in detail.as_object().unwrap() {
        event["detail"][field] = value.clone();
    }
    event.to_string().into_bytes()
}

/// A call that `CloudTrail` has logged.
fn call(detail: &Value) -> Vec<u8> {
    let mut event = json!({ "detail-type": "AWS API Call via CloudTrail", "account": "1", "region": "us-west-2",
        "detail": { "eventSource": "secretsmanager.amazonaws.com", "eventName": "PutSecretValue" } });
    for (field, value) in detail.as_object().unwrap() {
        event["detail"][field] = value.clone();
    }
    event.to_string().into_bytes()
}

#[test]
fn secrets_managers_own_event_names_the_secret_in_every_way() {
    assert_events!("aws-eventbridge-label", decode(&config(), LABEL));
}

#[test]
fn calls_and_rotations_that_cloudtrail_logs_are_read_in_a_batch() {
    let body = include_bytes!("../fixtures/aws-eventbridge-cloudtrail.json");
    assert_events!("aws-eventbridge-cloudtrail", decode(&config(), body));
    let Ok(Content::Events {
        events, ignored, ..
    }) = content(&source(&config()), &[], body)
    else {
        panic!("a handshake")
    };
    assert_eq!((events.len(), ignored), (7, vec![(1, Irrelevant::Type)]));
}

#[test]
fn changes_of_parameters_are_read_with_their_hierarchy() {
    let body = include_bytes!("../fixtures/aws-eventbridge-parameter.json");
    assert_events!("aws-eventbridge-parameter", decode(&config(), body));
    let Ok(Content::Events {
        events, ignored, ..
    }) = content(&source(&config()), &[], body)
    else {
        panic!("a handshake")
    };
    assert_eq!((events.len(), ignored), (4, vec![(4, Irrelevant::Failed)]));
}

#[test]
fn a_version_that_nobody_reads_by_default_is_irrelevant() {
    for unread in ["AWSPENDING", "AWSPREVIOUS"] {
        let body = label(&json!({ "labelUpdated": unread }));
        assert_eq!(ignored(&config(), &[], &body), ["version"]);
        let body = call(
            &json!({ "eventName": "UpdateSecretVersionStage", "requestParameters": { "secretId": "db", "versionStage": unread } }),
        );
        assert_eq!(ignored(&config(), &[], &body), ["version"]);
    }
    for read in [json!("AWSCURRENT"), json!("blue"), Value::Null] {
        let body = label(&json!({ "labelUpdated": read }));
        assert_eq!(decode(&config(), &body).unwrap().len(), 1, "{read}");
    }
}

#[test]
fn a_change_of_tags_is_told_as_one_of_metadata() {
    for name in ["TagResource", "UntagResource"] {
        let body = call(&json!({ "eventName": name, "requestParameters": { "secretId": "db" } }));
        let events = decode(&config(), &body).unwrap();
        assert_eq!(events[0].operation, Operation::Metadata, "{name}");
        assert_eq!(events[0].matches.keys(), ["db"], "{name}");
    }
}

/// Parameter Store's own events do not tell of them.
#[test]
fn a_change_of_a_parameters_tags_is_one_of_metadata() {
    let tagged = |name: &str, kind: &str, error: Value| {
        call(
            &json!({ "eventSource": "ssm.amazonaws.com", "eventName": name, "errorCode": error,
            "requestParameters": { "resourceType": kind, "resourceId": "/prod/db", "tags": [{ "key": "k", "value": "do-not-leak" }] } }),
        )
    };
    for name in ["AddTagsToResource", "RemoveTagsFromResource"] {
        let events = decode(&config(), &tagged(name, "Parameter", Value::Null)).unwrap();
        let event = &events[0];
        assert_eq!(event.provider.as_str(), "aws-ps", "{name}");
        assert_eq!(event.operation, Operation::Metadata, "{name}");
        assert_eq!(event.matches.keys(), ["/prod/db"], "{name}");
        assert_eq!(event.scope["region"], "us-west-2", "{name}");
        assert_eq!(event.origin.kind.as_deref(), Some(name));
    }
    for (name, kind, error, reason) in [
        ("AddTagsToResource", "Document", Value::Null, "type"),
        ("PutParameter", "Parameter", Value::Null, "type"),
        (
            "AddTagsToResource",
            "Parameter",
            json!("AccessDenied"),
            "failed",
        ),
    ] {
        assert_eq!(
            ignored(&config(), &[], &tagged(name, kind, error)),
            [reason],
            "{name}"
        );
    }
    let nameless = call(
        &json!({ "eventSource": "ssm.amazonaws.com", "eventName": "AddTagsToResource", "requestParameters": { "resourceType": "Parameter" } }),
    );
    let missing = "element 0: detail.requestParameters.resourceId is missing";
    assert_eq!(decode(&config(), &nameless), Err(malformed(missing)));
}

#[test]
fn what_failed_is_irrelevant() {
    let body = call(
        &json!({ "errorCode": "AccessDenied", "errorMessage": "do-not-leak", "requestParameters": null }),
    );
    assert_eq!(ignored(&config(), &[], &body), ["failed"]);
    let mut rotation: Value = serde_json::from_slice(&call(
        &json!({ "eventName": "RotationSucceeded", "errorCode": "x" }),
    ))
    .unwrap();
    rotation["detail-type"] = json!("AWS Service Event via CloudTrail");
    assert_eq!(
        ignored(&config(), &[], rotation.to_string().as_bytes()),
        ["failed"]
    );
}

#[test]
fn other_types_calls_and_services_are_irrelevant() {
    for body in [
        br#"{"detail-type":"Parameter Store Policy Action","detail":{"name":"foo"}}"#.to_vec(),
        br#"{"detail-type":"Scheduled Event","detail":{}}"#.to_vec(),
        br#"{"detail-type":"AWS Service Event via CloudTrail","detail":{"eventSource":"secretsmanager.amazonaws.com","eventName":"RotationStarted"}}"#.to_vec(),
        call(&json!({ "eventName": "GetSecretValue" })),
        call(&json!({ "eventName": "RotateSecret" })),
        call(&json!({ "eventSource": "ssm.amazonaws.com" })),
    ] {
        assert_eq!(ignored(&config(), &[], &body), ["type"]);
    }
    assert_eq!(ignored(&config(), &[], b"[]"), ["empty"]);
}

#[test]
fn an_arn_as_the_caller_wrote_it_is_an_alias_beside_the_full_one() {
    let full = "arn:aws:secretsmanager:eu-west-1:999988887777:secret:app-config-x9Y8z7";
    let partial = "arn:aws:secretsmanager:eu-west-1:999988887777:secret:app-config";
    let keys = |written: &str, answered: Value| {
        let body = call(
            &json!({ "requestParameters": { "secretId": written }, "responseElements": { "arn": answered } }),
        );
        let events = decode(&config(), &body).unwrap();
        let scope = events[0].scope.get("region").cloned();
        (events[0].matches.keys().to_vec(), scope.unwrap())
    };
    // Of the partial ARN nothing is stripped, although `config` looks like a tail.
    assert_eq!(
        keys(partial, json!(full)).0,
        [partial, full, "app-config-x9Y8z7", "app-config"]
    );
    let (alone, region) = keys(full, Value::Null);
    assert_eq!(alone, [full, "app-config-x9Y8z7", "app-config"]);
    assert_eq!(region, "eu-west-1");
    let (name, region) = keys("app-config", Value::Null);
    assert_eq!(
        (name, region),
        (vec!["app-config".to_owned()], "us-west-2".to_owned())
    );
}

#[test]
fn the_id_is_eventbridges_and_the_same_at_every_try() {
    for _ in 0..2 {
        let events = decode(&config(), LABEL).unwrap();
        assert_eq!(events[0].id, "6a7e8feb-b491-4cf7-a9f1-bf3703467718");
    }
}

#[test]
fn what_is_malformed_is_named() {
    for (body, expected) in [
        (b"{}".to_vec(), "element 0: detail-type is missing"),
        (
            br#"{"detail-type":"Secret Label Updated"}"#.to_vec(),
            "element 0: detail is missing",
        ),
        (
            br#"{"detail-type":"Secret Label Updated","detail":"do-not-leak"}"#.to_vec(),
            "element 0: detail is not an object",
        ),
        (
            label(&json!({ "name": null })),
            "element 0: detail.name is missing",
        ),
        (
            label(&json!({ "name": "" })),
            "element 0: detail.name: key 0 is empty",
        ),
        (
            label(&json!({ "name": ["do-not-leak"] })),
            "element 0: detail.name is neither a string nor a number",
        ),
        (
            br#"{"detail-type":"Parameter Store Change","detail":{"operation":"Update"}}"#.to_vec(),
            "element 0: detail.name is missing",
        ),
        (
            call(&json!({ "eventSource": null })),
            "element 0: detail.eventSource is missing",
        ),
        (
            call(&json!({ "requestParameters": {} })),
            "element 0: detail.requestParameters.secretId is missing",
        ),
        (
            call(&json!({ "requestParameters": "do-not-leak" })),
            "element 0: detail has a field of the wrong type",
        ),
    ] {
        assert_eq!(decode(&config(), &body), Err(malformed(expected)));
    }
    let both = format!("[{},{{}}]", String::from_utf8_lossy(LABEL));
    assert_eq!(
        left_out(&config(), &[], both.as_bytes()),
        ["element 1: detail-type is missing"]
    );
}
