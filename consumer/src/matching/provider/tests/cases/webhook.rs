use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::*;

/// As Go's `url.QueryEscape`, roughly: it escapes more, which makes no difference once it is decoded.
fn escaped(text: &str) -> String {
    let escaped = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    escaped.replace("%20", "+")
}

/// The URL takes the key: in its path, in its query, or where something unknown stands besides.
pub(super) fn by_key() -> impl Strategy<Value = Case> {
    let key = "/?[a-c]{1,3}([/ %&?é][a-c]{1,3}){0,2}";
    (key, 0..4, 0..4).prop_map(|(key, form, named)| {
        let action = "{{ .remoteRef.key }}";
        let (template, known) = match form {
            0 => (format!("https://h:8443/s/{action}"), true),
            1 => (format!("https://h:8443/s?q={action}"), true),
            2 => (
                format!("https://h:8443/s/{action}?t={{{{ .auth.t }}}}"),
                true,
            ),
            _ => (
                format!("https://h:8443/{{{{ .auth.t }}}}/{action}/v"),
                false,
            ),
        };
        let url = |key: &str| {
            let url = template.replace(action, &escaped(key));
            url.replace("{{ .auth.t }}", "s")
        };
        let path = |key: &str| url(key).replace("https://h:8443", "");
        let naming = |key: &str| {
            let named = match named {
                0 => key.to_owned(),
                1 => url(key),
                2 => path(key),
                // Without the scheme's help.
                _ => url(key).replace("https", "http"),
            };
            Published::new("webhook", &[&named], &[("host", "h:8443"), ("path", "/s")])
        };
        let said = naming(&key);
        let mut elsewhere = vec![naming(&format!("{key}z")), said.but("host", "h:1")];
        if known {
            elsewhere.push(said.but("path", "/other"));
        }
        elsewhere.push(Published::new("webhook", &["https://other:8443/s"], &[]));
        Case {
            spec: json!({ "webhook": { "url": template } }),
            key,
            said,
            elsewhere,
        }
    })
}

/// One document holds many keys.
pub(super) fn by_document() -> impl Strategy<Value = Case> {
    let named = select(vec![
        "https://h/team/secrets",
        "http://user@H/team/secrets/#x",
        "/team/secrets",
        "/team%2Fsecrets/",
        "username",
        "",
    ]);
    named.prop_map(|named| {
        let keys = Vec::from_iter((!named.is_empty()).then_some(named));
        let said = Published::new("webhook", &keys, &[("host", "h"), ("path", "/team")]);
        let other = |key| Published::new("webhook", &[key], &[]);
        Case {
            spec: json!({ "webhook": { "url": "https://h/team/secrets" } }),
            key: "username".to_owned(),
            elsewhere: vec![
                other("https://h/team"),
                other("https://i/team/secrets"),
                other("/secrets"),
                other("password"),
                said.but("host", "i"),
                said.but("path", "/teams"),
            ],
            said,
        }
    })
}
