use super::*;

/// The namespace may stand in the setting, in the path, in both, or be unknown.
pub(super) fn vault() -> impl Strategy<Value = Case> {
    let place = (
        "(x/|x/y/)?",
        "[k-m]{1,2}(/[k-m])?",
        "[a-c]{1,2}(/[a-c]{1,2}){0,2}",
    );
    let known = (0..4, any::<bool>(), maybe("https://vault.example.com:8200"));
    let event = select(vec!["vault", "openbao"]);
    (place, known, 0..5, event).prop_map(|((space, mount, path), known, form, event)| {
        let (spaced, version1, server) = known;
        let (namespace, above) = match (spaced, space.split_once('/')) {
            (0, Some((first, rest))) => (Some(first), rest),
            (1, _) => (None, space.as_str()),
            (2, _) => (None, ""),
            _ if space.is_empty() => (Some("root"), ""),
            _ => (Some(space.as_str()), ""),
        };
        let full = format!("{above}{mount}");
        let data = if version1 { "" } else { "data/" };
        let (setting, key) = match form {
            0 => (Some(&full), path.clone()),
            1 => (Some(&full), format!("{full}/{path}")),
            2 => (Some(&full), format!("{full}/{data}{path}")),
            3 if version1 || !full.contains('/') => (None, format!("{full}/{path}")),
            _ => (None, format!("{full}/{data}{path}")),
        };
        let said = |namespace: &str, mount: &str, host: &str| {
            let namespace = if namespace.is_empty() {
                "root"
            } else {
                namespace
            };
            let scope = [("namespace", namespace), ("mount", mount), ("host", host)];
            Published::new(event, &[&format!("{mount}/{data}{path}")], &scope)
        };
        let space = space.trim_end_matches('/');
        let mut elsewhere = vec![said(space, "zz", "vault.example.com")];
        if namespace.is_some() {
            elsewhere.push(said("zz", &mount, "vault.example.com"));
        }
        if server.is_some() {
            elsewhere.push(said(space, &mount, "vault.example.org"));
        }
        let version = if version1 { "v1" } else { "v2" };
        Case {
            spec: json!({ "vault": {
                "path": setting, "version": version, "namespace": namespace, "server": server,
            } }),
            key,
            said: said(space, &mount, "vault.example.com"),
            elsewhere,
        }
    })
}

pub(super) fn openbao() -> impl Strategy<Value = Case> {
    (
        maybe("team/kv"),
        "[a-c]{1,2}(/kv)?(/[a-c]{1,2})?",
        any::<bool>(),
    )
        .prop_map(|(mount, path, version1)| {
            let (version, data) = if version1 {
                ("v1", "")
            } else {
                ("v2", "data/")
            };
            let said = |mount: &str| {
                let key = format!("{mount}/{data}{path}");
                Published::new(
                    "openbao",
                    &[&key],
                    &[("namespace", "root"), ("mount", mount)],
                )
            };
            Case {
                spec: json!({ "openBao": { "path": mount, "version": version } }),
                said: said(mount.as_deref().unwrap_or("kv")),
                elsewhere: vec![said("zz")],
                key: path.clone(),
            }
        })
}
