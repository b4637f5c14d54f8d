//! Which references keep the version that they ask for, whatever happens to the secret.

use eso_relay::event::Version;

use super::*;

#[test]
fn fixed_versions_stay_and_others_may_move() {
    let id = |id: &str| Version {
        id: Some(id.to_owned()),
        labels: Vec::new(),
    };
    let label = |label: &str| Version {
        id: Some("new".to_owned()),
        labels: vec![label.to_owned()],
    };
    let azure = "0123456789abcdef0123456789abcdef";
    let shouted = azure.to_ascii_uppercase();
    let secrets_manager = r#"{"aws": {}}"#;
    let parameter_store = r#"{"aws": {"service": "ParameterStore"}}"#;
    for (spec, asked, changed, stays) in [
        (secrets_manager, "uuid/old", None, true),
        (secrets_manager, "uuid/old", Some(id("new")), true),
        (secrets_manager, "uuid/new", Some(id("new")), false),
        (secrets_manager, "blue", Some(label("AWSCURRENT")), true),
        (secrets_manager, "blue", Some(label("blue")), false),
        (secrets_manager, "blue", Some(id("new")), false),
        (secrets_manager, "blue", None, false),
        (secrets_manager, "AWSCURRENT", Some(label("blue")), false),
        // It moves when AWSCURRENT does, without being told.
        (
            secrets_manager,
            "AWSPREVIOUS",
            Some(label("AWSCURRENT")),
            false,
        ),
        (parameter_store, "3", None, true),
        (parameter_store, "3", Some(id("3")), false),
        (parameter_store, "label", Some(id("3")), false),
        (r#"{"gcpsm": {}}"#, "3", Some(id("4")), true),
        (r#"{"gcpsm": {}}"#, "4", Some(id("4")), false),
        (r#"{"gcpsm": {}}"#, "3", None, true),
        (r#"{"gcpsm": {}}"#, "latest", Some(id("4")), false),
        (r#"{"gcpsm": {}}"#, "alias", Some(id("4")), false),
        (r#"{"azurekv": {}}"#, azure, Some(id("new")), true),
        (r#"{"azurekv": {}}"#, azure, Some(id(&shouted)), false),
        (r#"{"azurekv": {}}"#, "current", Some(id("new")), false),
        (r#"{"vault": {}}"#, "3", None, true),
        (r#"{"vault": {}}"#, "3", Some(id("3")), false),
        (r#"{"vault": {}}"#, "0", None, false),
        (r#"{"vault": {"version": "v1"}}"#, "3", None, false),
        (r#"{"openBao": {}}"#, "3", None, false),
        (r#"{"akeyless": {}}"#, "3", None, false),
        (
            r#"{"alibaba": {}}"#,
            "blue",
            Some(label("ACSCurrent")),
            true,
        ),
        (r#"{"alibaba": {}}"#, "blue", Some(label("blue")), false),
        (r#"{"alibaba": {}}"#, "blue", None, false),
        (
            r#"{"alibaba": {}}"#,
            "ACSPrevious",
            Some(label("ACSCurrent")),
            false,
        ),
        (r#"{"conjur": {}}"#, "3", Some(id("4")), false),
    ] {
        let backend = Backend::of_store(&serde_json::from_str(spec).unwrap()).unwrap();
        let found = backend.rules().is_other_version(asked, changed.as_ref());
        assert_eq!(found, stays, "{spec} {asked} {changed:?}");
    }
    assert!(!rules(None).is_other_version("uuid/old", None));
}
