//! The configuration of a poll.

use eso_relay::config::ConfigError;

use super::{PollConfig, config::PollAuthConfig};

fn poll(settings: &str) -> Result<PollConfig, String> {
    let yaml = format!("{{ name: vault, provider: vault, {settings} }}");
    let poll: PollConfig = serde_saphyr::from_str(&yaml).map_err(|error| error.to_string())?;
    poll.check()
        .map_err(|error: ConfigError| error.to_string())?;
    Ok(poll)
}

const SERVER: &str = "address: 'https://vault.example.com:8200/base'";
const TOKEN: &str = "auth: { token_file: /etc/eso-relay/vault }";

#[test]
fn a_poll_needs_little() {
    let least = poll(&format!("{SERVER}, {TOKEN}")).unwrap();
    assert!(least.watch_list && !least.ignore_missing && !least.skip_verify);
    assert_eq!(least.interval.as_secs(), 60);
    assert_eq!(
        least.scope_host().as_deref(),
        Some("vault.example.com:8200")
    );
    let named = poll(&format!(
        "address: 'https://vault.internal', host: vault.example.com, {TOKEN}"
    ));
    assert_eq!(
        named.unwrap().scope_host().as_deref(),
        Some("vault.example.com")
    );
    let unknown = poll(&format!(
        "address: 'https://vault.internal', host: '', {TOKEN}"
    ));
    assert_eq!(unknown.unwrap().scope_host(), None);
}

#[test]
fn every_way_to_log_in_has_its_defaults() {
    for (auth, path, file) in [
        (
            "kubernetes: { role: r }",
            "kubernetes",
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
        ),
        (
            "approle: { role_id: r, secret_id_file: /s }",
            "approle",
            "/s",
        ),
        ("jwt: { role: r, token_file: /s }", "jwt", "/s"),
    ] {
        let poll = poll(&format!("{SERVER}, auth: {{ {auth} }}")).unwrap();
        let found = match &poll.auth {
            PollAuthConfig::Kubernetes(login) => &login.path,
            PollAuthConfig::Approle(login) => &login.path,
            PollAuthConfig::Jwt(login) => &login.path,
            PollAuthConfig::TokenFile(_) => panic!("{auth}"),
        };
        assert_eq!(found, path);
        assert_eq!(poll.auth.file().path().to_str(), Some(file));
    }
}

#[test]
fn a_wrong_setting_is_named() {
    for (settings, named) in [
        (format!("address: vault, {TOKEN}"), "`address`"),
        (
            format!("address: 'https://user@vault', {TOKEN}"),
            "`address`",
        ),
        (format!("address: 'ftp://vault', {TOKEN}"), "`address`"),
        (
            format!("address: 'https://vault?a=b', {TOKEN}"),
            "`address`",
        ),
        (
            format!("{SERVER}, {TOKEN}, watch_list: false"),
            "`paths` or `prefixes`",
        ),
        (
            format!("{SERVER}, {TOKEN}, paths: ['a/../b']"),
            "`paths`: `a/../b`",
        ),
        (
            format!("{SERVER}, {TOKEN}, prefixes: ['v1/a']"),
            "`prefixes`: `v1/a`: write it without `v1/`",
        ),
        (
            format!("{SERVER}, {TOKEN}, paths: ['>>pki/issue/a']"),
            "`paths`",
        ),
        (format!("{SERVER}, {TOKEN}, namespace: ''"), "`namespace`"),
        (
            format!("{SERVER}, {TOKEN}, namespace: \"a\\nb\""),
            "`namespace`",
        ),
        (
            format!("{SERVER}, {TOKEN}, interval: 0s"),
            "0 is not allowed",
        ),
        (format!("{SERVER}, {TOKEN}, path: [a]"), "path"),
        (
            format!("{SERVER}, auth: {{ token_file: /a, jwt: {{ role: r, token_file: /a }} }}"),
            "two ways",
        ),
        (
            format!("{SERVER}, auth: {{ kubernetes: {{ role: '' }} }}"),
            "`auth`",
        ),
        (format!("{SERVER}, auth: {{ userpass: {{ }} }}"), "userpass"),
        (format!("{SERVER}, auth: none"), "such as `token_file"),
        (SERVER.to_owned(), "auth"),
    ] {
        let error = poll(&settings).unwrap_err();
        assert!(error.contains(named), "{settings}: {error}");
    }
}
