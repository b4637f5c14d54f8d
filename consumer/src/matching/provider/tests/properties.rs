//! What holds for every provider: an event about the secret that a reference reads always means
//! the reference, and one about a secret of the same name elsewhere never does.

use proptest::{prelude::*, sample::select};

use super::{
    cases::{Case, case},
    *,
};

const EVERY: [&str; 15] = [
    "akeyless",
    "aws-sm",
    "aws-ps",
    "vault",
    "gcp-sm",
    "azure-kv",
    "doppler",
    "infisical",
    "onepassword",
    "gitlab",
    "ibm",
    "pulumi",
    "webhook",
    "conjur",
    "aws",
];

/// What keys are made of, for whichever provider.
fn key() -> impl Strategy<Value = String> {
    let start = select(vec![
        "",
        "arn:aws:secretsmanager:r:1:secret:",
        "arn:aws:ssm:r:1:parameter",
        "projects/p/secrets/",
        "projects/p/locations/l/secrets/",
        "https://h/",
    ]);
    let part = select(vec![
        "/",
        "data",
        "secret",
        ":",
        "-a1B2c3",
        "!",
        "..",
        "arn",
        "projects/p",
        "é",
        "%2F",
        "?q=",
        "{{ .remoteRef.key }}",
        "{{",
        "}}",
        "#",
        "A",
        "b",
    ]);
    let rest = prop::collection::vec(part, 0..6);
    (start, rest).prop_map(|(start, rest)| format!("{start}{}", rest.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn an_event_means_who_reads_its_secret_and_not_its_namesake(case in case()) {
        let Case { spec, key, said, elsewhere } = case;
        prop_assert!(said.means(&spec, &key));
        for other in elsewhere {
            prop_assert!(!other.means(&spec, &key), "{other:?}");
        }
    }

    #[test]
    fn the_names_of_a_name_are_the_name(key in key(), provider in select(EVERY.to_vec())) {
        let scope = std::collections::BTreeMap::new();
        for provider in Provider::of_event(&provider.parse().unwrap()).unwrap() {
            let mut names = Vec::new();
            provider.names(PARAMETER_STORE, &key, Scope(&scope), &mut names);
            for name in &names {
                let mut again = Vec::new();
                provider.names(PARAMETER_STORE, name, Scope(&scope), &mut again);
                prop_assert!(again.contains(name), "{provider:?} {name} {again:?}");
            }
        }
    }

    /// Whatever stands in the URL of a store.
    #[test]
    fn no_template_panics(
        url in prop::collection::vec(select(vec![
            "https://", "h", ":8443", "u:p@", "/", "s", "?q=", "&", "#", "%2F", "%", "é", "{{", "}}", "-", " ", "{{- ",
            " -}}", "\"", "`", "\\", "/*", "*/", ".remoteRef.key", ".remoteRef.property", "$", " | upper", "if .a",
            "else", "end", "{{ .remoteRef.key }}", "{{ .auth.token }}",
        ]), 0..12),
        mine in key(), theirs in key(),
    ) {
        let (url, path) = (url.concat(), [("path", &*mine)]);
        let spec = json!({ "webhook": { "url": url } }).to_string();
        reads(&spec, &mine, ("webhook", &[&theirs], &path));
        reads(&spec, &mine, ("webhook", &[&url], &[]));
        reads_below(&spec, &mine, ("webhook", &theirs));
        prop_assert!(mine.is_empty() || reads(&spec, &mine, ("webhook", &[&mine], &[])));
    }

    /// Nor does any say that it reads what it would not be found for (see `reads`).
    #[test]
    fn no_key_panics(
        store in case(), mine in key(), theirs in key(), scope in "(a/)?(root|b)?/?",
        provider in select(EVERY.to_vec()),
    ) {
        let scope = [("namespace", &*scope), ("mount", &*mine), ("path", &*scope)];
        let spec = store.spec.to_string();
        for key in [&store.key, &mine] {
            reads(&spec, key, (provider, &[&theirs], &scope[..1]));
            reads(&spec, key, (provider, &[&theirs], &scope));
        }
        finds(&spec, Some(&mine), Some("b$"), (provider, &[&theirs], &scope));
    }
}
