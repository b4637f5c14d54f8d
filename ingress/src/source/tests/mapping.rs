//! Settings that make no sense together: the error names the source, the setting and the remedy.

use super::{kit::open_door, *};

/// Why a source is not accepted; its name and authentication are in order.
fn problem(config: &Value) -> String {
    let mut config = config.clone();
    config["name"] = json!("tested");
    config["auth"] = json!("none");
    match serde_json::from_value::<SourceConfig>(config) {
        Ok(config) => config.open_with(open_door()).err().unwrap().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn settings_that_make_no_sense_together_are_refused_with_what_mends_it() {
    let generic = |mapping: Value| json!({ "format": "generic", "mapping": mapping });
    let bus = |mapping: Value| json!({ "format": "cloudevents", "mapping": mapping });
    let many: BTreeMap<String, &str> = (0..9).map(|at| (format!("a{at}"), "/a")).collect();
    for (config, expected) in [
        (generic(json!({})), "set `mapping.keys`"),
        (generic(json!({ "keys": [] })), "set `mapping.keys`"),
        (generic(json!({ "match": "/m" })), "set `mapping.keys`"),
        (
            generic(json!({ "match": "prefix" })),
            "`mapping.match: prefix` needs a name: set `mapping.keys`",
        ),
        (
            json!({ "format": "generic", "scope": { "a": "b" }, "mapping": { "match": "exact" } }),
            "`mapping.match: exact` needs a name",
        ),
        (
            generic(json!({ "match": "scope" })),
            "`mapping.match: scope` needs a place: set `scope`",
        ),
        (
            generic(json!({ "match": "scope", "keys": "/k", "scope": { "a": "/a" } })),
            "remove `mapping.keys`",
        ),
        (
            generic(json!({ "match": "all", "each": "/k", "allow_all": true })),
            "remove `mapping.each`",
        ),
        (
            generic(json!({ "match": "all" })),
            "set `mapping.allow_all: true`",
        ),
        (
            generic(json!({ "keys": "/k", "allow_all": true })),
            "`mapping.allow_all` has no effect: remove it",
        ),
        (
            generic(json!({ "keys": "/k", "match": "prefix", "allow_all": true })),
            "`mapping.allow_all` has no effect",
        ),
        (
            generic(json!({ "keys": "/k", "types": ["a"] })),
            "`mapping.types` needs `mapping.type`",
        ),
        (
            generic(json!({ "keys": "/k", "scope": many })),
            "`mapping.scope` has 9 attributes",
        ),
        (
            bus(json!({ "each": "/k" })),
            "remove events, each, id, type and time from `mapping`",
        ),
        (
            bus(json!({ "match": "scope" })),
            "`mapping.match: scope` needs a place",
        ),
        (
            bus(json!({ "match": "scope", "keys": "/k" })),
            "remove `mapping.keys`",
        ),
        (
            bus(json!({ "match": "all" })),
            "set `mapping.allow_all: true`",
        ),
        (
            generic(json!({ "keys": "/k", "template": "Secret", "match": "prefix" })),
            "remove `mapping.match`",
        ),
        (
            json!({ "format": "generic", "scope": { "a": "b" }, "mapping": { "template": "/kind" } }),
            "`mapping.template` needs exact names: set `mapping.keys`",
        ),
        (
            json!({ "format": "cloudevents", "provider": "vault", "mapping": { "template": "/kind" } }),
            "remove `provider`",
        ),
    ] {
        let problem = problem(&config);
        assert!(problem.contains(expected), "{config}: {problem}");
        assert!(problem.contains("source `tested`"), "{problem}");
    }
}

#[test]
fn what_is_no_match_operation_or_pointer_is_quoted_with_what_to_write() {
    for (mapping, expected) in [
        (
            json!({ "keys": "/k", "match": "regex" }),
            "`regex` is neither exact, prefix, scope or all nor a JSON pointer",
        ),
        (
            json!({ "keys": "/k", "operation": "rotated" }),
            "`rotated` is not an operation: write created, ",
        ),
        (
            json!({ "keys": "/k", "scope": { "project": "backend" } }),
            "`backend` is not a JSON pointer: write `/backend`",
        ),
        (json!({ "keys": "k" }), "did not match any variant"),
        (
            json!({ "keys": "/k", "template": "Pod" }),
            "`Pod` is neither ConfigMap or Secret nor a JSON pointer",
        ),
    ] {
        let problem = problem(&json!({ "format": "generic", "mapping": mapping }));
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_mapping_is_shown_as_it_was_written() {
    for text in ["exact", "prefix", "scope", "all", "/match"] {
        let mapping: MappingConfig =
            serde_json::from_value(json!({ "match": text, "operation": "updated" })).unwrap();
        let shown = serde_json::to_value(&mapping).unwrap();
        assert_eq!(
            (&shown["match"], &shown["operation"]),
            (&json!(text), &json!("updated"))
        );
    }
}
