use serde_json::json;

use super::*;
use crate::outgoing::OutgoingConfig;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn config(settings: serde_json::Value) -> JwtConfig {
    serde_json::from_value(settings).unwrap()
}

fn open(settings: serde_json::Value) -> Result<Jwt, String> {
    let outgoing = Outgoing::new(&OutgoingConfig::default()).unwrap();
    config(settings)
        .open(&outgoing)
        .map_err(|error| error.to_string())
}

fn with(
    mut settings: serde_json::Value,
    name: &str,
    value: serde_json::Value,
) -> serde_json::Value {
    settings[name] = value;
    settings
}

fn own() -> serde_json::Value {
    json!({ "issuer": "https://issuer.example", "audience": "relay", "jwks_url": "https://issuer.example/keys" })
}

fn google() -> serde_json::Value {
    json!({ "preset": "google", "audience": "relay", "claims": { "email": "push@project.iam.gserviceaccount.com" } })
}

fn entra() -> serde_json::Value {
    json!({ "preset": "entra", "tenant": TENANT, "audience": "api://relay", "claims": { "azp": "4962773b-9cdb-44cf-a8bf-237846a00ab7" } })
}

#[test]
fn a_directory_whose_apps_all_get_in_is_known() {
    assert!(!open(entra()).unwrap().admits_any_app());
    assert!(!open(google()).unwrap().admits_any_app());
    for (claims, any) in [
        (json!({}), true),
        (json!({ "ver": "2.0" }), true),
        (
            json!({ "roles": "AzureEventGridSecureWebhookSubscriber" }),
            false,
        ),
    ] {
        let jwt = open(with(entra(), "claims", claims)).unwrap();
        assert_eq!(jwt.admits_any_app(), any);
    }
}

#[test]
fn an_issuer_of_ones_own_is_told_in_full() {
    let jwt = open(own()).unwrap();
    assert_eq!(jwt.rules.issuers, ["https://issuer.example"]);
    assert_eq!(jwt.rules.audiences, ["relay"]);
    assert_eq!(jwt.rules.leeway, Duration::from_secs(60));
    let several = with(own(), "audience", json!(["relay", "other"]));
    let several = with(several, "leeway", json!("5s"));
    let jwt = open(several).unwrap();
    assert_eq!(jwt.rules.audiences, ["relay", "other"]);
    assert_eq!(jwt.rules.leeway, Duration::from_secs(5));
}

#[test]
fn google_is_known_and_its_mail_address_has_to_be_verified() {
    let jwt = open(google()).unwrap();
    assert_eq!(
        jwt.rules.issuers,
        ["https://accounts.google.com", "accounts.google.com"]
    );
    assert_eq!(jwt.rules.claims["email_verified"], Expected::Bool(true));
    assert_eq!(
        config(google()).jwks_url().unwrap().to_string(),
        "https://www.googleapis.com/oauth2/v3/certs"
    );
}

#[test]
fn entra_is_known_by_its_tenant() {
    let jwt = open(entra()).unwrap();
    assert_eq!(
        jwt.rules.issuers,
        [
            format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
            format!("https://sts.windows.net/{TENANT}/")
        ]
    );
    assert_eq!(
        config(entra()).jwks_url().unwrap().to_string(),
        format!("https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys")
    );
}

#[test]
fn entra_of_another_cloud_has_hosts_of_its_own() {
    for (cloud, login, sts) in [
        (
            "us-government",
            "login.microsoftonline.us",
            Some("sts.windows.net"),
        ),
        (
            "china",
            "login.partner.microsoftonline.cn",
            Some("sts.chinacloudapi.cn"),
        ),
        ("france", "login.sovcloud-identity.fr", None),
    ] {
        let settings = with(entra(), "cloud", json!(cloud));
        let expected = [format!("https://{login}/{TENANT}/v2.0")];
        let expected = expected
            .into_iter()
            .chain(sts.map(|sts| format!("https://{sts}/{TENANT}/")));
        assert_eq!(
            open(settings.clone()).unwrap().rules.issuers,
            expected.collect::<Vec<_>>()
        );
        assert_eq!(
            config(settings).jwks_url().unwrap().to_string(),
            format!("https://{login}/{TENANT}/discovery/v2.0/keys")
        );
    }
}

#[test]
fn a_mistake_is_named_with_what_mends_it() {
    let null = serde_json::Value::Null;
    for (settings, expected) in [
        (with(own(), "issuer", null.clone()), "issuer is missing"),
        (with(own(), "issuer", json!([])), "issuer is missing"),
        (
            with(own(), "cloud", json!("china")),
            "cloud belongs to preset entra",
        ),
        (
            with(google(), "cloud", json!("public")),
            "cloud belongs to preset entra",
        ),
        (with(own(), "audience", null.clone()), "audience is missing"),
        (with(own(), "audience", json!("")), "audience is missing"),
        (
            with(own(), "audience", json!(["relay", ""])),
            "audience is missing",
        ),
        (
            with(own(), "jwks_url", null.clone()),
            "set jwks_url or jwks_file",
        ),
        (
            with(own(), "jwks_url", json!("http://issuer.example/keys")),
            "jwks_url is not an https URL",
        ),
        (with(own(), "jwks_file", json!("/nowhere")), "remove one"),
        (
            with(own(), "tenant", json!(TENANT)),
            "tenant belongs to preset entra",
        ),
        (
            with(own(), "leeway", json!("1h")),
            "leeway is longer than 10m",
        ),
        (
            with(google(), "audience", null.clone()),
            "audience is missing",
        ),
        (
            with(google(), "claims", json!({})),
            "any Google service account can get a token for any audience",
        ),
        (
            with(google(), "claims", json!({ "email": true })),
            "claims.email",
        ),
        (
            with(google(), "claims", json!({ "email": "" })),
            "claims.email",
        ),
        (
            with(
                google(),
                "claims",
                json!({ "email": "a@b", "email_verified": false }),
            ),
            "email_verified",
        ),
        (
            with(google(), "issuer", json!("https://issuer.example")),
            "remove issuer",
        ),
        (
            with(google(), "tenant", json!(TENANT)),
            "tenant belongs to preset entra",
        ),
        (
            with(entra(), "audience", null.clone()),
            "audience is missing",
        ),
        (with(entra(), "tenant", null), "needs tenant"),
        (with(entra(), "tenant", json!("common")), "needs tenant"),
        (
            with(entra(), "tenant", json!("contoso.onmicrosoft.com")),
            "needs tenant",
        ),
        (
            with(entra(), "tenant", json!("../../../../evil/v2.0/x?")),
            "needs tenant",
        ),
    ] {
        let error = open(settings.clone())
            .err()
            .unwrap_or_else(|| panic!("{settings} was taken"));
        assert!(
            error.contains("auth.jwt: ") && error.contains(expected),
            "{error}"
        );
    }
    let file = with(
        with(own(), "jwks_url", json!(null)),
        "jwks_file",
        json!("/nowhere/keys"),
    );
    assert!(open(file).err().unwrap().contains("/nowhere/keys"));
}

#[test]
fn names_of_claims_keep_their_case_and_values_their_type() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwt.yaml");
    let yaml = "
issuer: a
audience: b
jwks_url: https://issuer.example/
claims: { appId: 'true', https://Example.com/root: true, sub.Ject: x }
";
    std::fs::write(&path, yaml).unwrap();
    let config: JwtConfig = eso_relay::config::load(Some(&path)).unwrap();
    let text = |text: &str| Expected::Text(text.to_owned());
    let expected = [
        ("appId", text("true")),
        ("https://Example.com/root", Expected::Bool(true)),
        ("sub.Ject", text("x")),
    ];
    let expected = expected.map(|(name, claim)| (name.to_owned(), claim));
    assert_eq!(config.claims, BTreeMap::from(expected));
}

#[test]
fn an_unknown_setting_is_refused() {
    let wrong = with(own(), "algorithms", json!(["none"]));
    assert!(serde_json::from_value::<JwtConfig>(wrong).is_err());
}
