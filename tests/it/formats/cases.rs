//! For each format the sender's sample, the store as ESO has it, and the key as people write it.

use serde_json::{Value, json};

pub(super) struct Case {
    pub(super) format: &'static str,
    pub(super) sample: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// More settings of the source.
    pub(super) settings: &'static str,
    /// `spec.provider` of the store.
    pub(super) provider: Value,
    /// As an ExternalSecret names the secret of the sample.
    pub(super) key: &'static str,
}

fn case(format: &'static str, sample: &'static str, provider: Value, key: &'static str) -> Case {
    Case {
        format,
        sample,
        headers: &[],
        settings: "",
        provider,
        key,
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = clouds();
    cases.extend(stores());
    cases.extend(by_mapping());
    cases
}

fn secret() -> Value {
    json!({ "name": "store-credentials", "key": "token" })
}

/// Notifications of the three large clouds, and of IBM's.
fn clouds() -> Vec<Case> {
    let aws =
        |service: &str, region: &str| json!({ "aws": { "service": service, "region": region } });
    let gcp = json!({ "gcpsm": { "projectID": "my-project" } });
    let azure = json!({ "azurekv": { "vaultUrl": "https://sample-kv.vault.azure.net" } });
    let ibm = json!({ "ibm": {
        "auth": { "secretRef": {} },
        "serviceUrl": "https://e415e570-f073-423a-abdc-55de9b58f54e.us-south.secrets-manager.appdomain.cloud",
    } });
    let (manager, parameters) = (
        aws("SecretsManager", "us-west-2"),
        aws("ParameterStore", "us-east-1"),
    );
    vec![
        case(
            "aws-eventbridge",
            "aws-eventbridge-label",
            manager.clone(),
            "mySecret",
        ),
        case(
            "aws-eventbridge",
            "aws-eventbridge-parameter",
            parameters,
            "foo",
        ),
        Case {
            settings: "topics: ['arn:aws:sns:us-west-2:012345678901:secrets']",
            ..case("aws-sns", "aws-sns-notification", manager, "mySecret")
        },
        Case {
            settings: "projects: { '123456789': my-project }",
            ..case("gcp-pubsub", "gcp-pubsub-wrapped", gcp, "my-secret")
        },
        case(
            "azure-event-grid",
            "azure-event-grid-documented",
            azure,
            "newsecret",
        ),
        case(
            "ibm-secrets-manager",
            "ibm-secrets-manager",
            ibm,
            "username_password/db-credentials",
        ),
    ]
}

/// Stores that are nothing but stores.
fn stores() -> Vec<Case> {
    let vault = |namespace: Option<&str>| {
        json!({ "vault": {
            "server": "https://vault.example", "path": "secret", "version": "v2",
            "namespace": namespace.unwrap_or_default(), "auth": { "tokenSecretRef": secret() },
        } })
    };
    let doppler = json!({ "doppler": {
        "auth": { "secretRef": { "dopplerToken": secret() } },
        "project": "backend", "config": "prd",
    } });
    let infisical = json!({ "infisical": {
        "auth": {},
        "secretsScope": { "projectSlug": "web-shop", "environmentSlug": "prod", "secretsPath": "/db" },
    } });
    let pulumi = json!({ "pulumi": {
        "organization": "crazy-adventures", "project": "website", "environment": "prod",
        "accessToken": { "secretRef": secret() },
    } });
    vec![
        case("vault-audit", "vault-audit-openbao", vault(None), "prod/db"),
        case("vault-events", "vault-events", vault(Some("ns1")), "foo"),
        case("doppler", "doppler-diff", doppler.clone(), "API_KEY"),
        case("doppler", "doppler", doppler, "ANYTHING"),
        Case {
            settings: "projects: { 645f6b1c: web-shop }",
            ..case("infisical", "infisical", infisical, "DB_PASSWORD")
        },
        Case {
            headers: &[
                ("pulumi-webhook-id", "ea01abd2"),
                ("pulumi-webhook-kind", "environment_revision"),
            ],
            ..case("pulumi-esc", "pulumi-esc", pulumi, "aws.login")
        },
    ]
}

/// Envelopes whose body the mapping reads; keys match whatever provider a store has.
fn by_mapping() -> Vec<Case> {
    let fake = json!({ "fake": { "data": [] } });
    vec![
        Case {
            headers: &[
                ("x-github-event", "repository_dispatch"),
                ("x-github-delivery", "72d3162e"),
            ],
            settings: "mapping: { keys: /client_payload/key }",
            ..case(
                "github",
                "github-repository-dispatch",
                fake.clone(),
                "prod/db",
            )
        },
        Case {
            headers: &[("x-gitlab-event", "Pipeline Hook")],
            settings: "mapping: { each: /object_attributes/variables, keys: /key }",
            ..case("gitlab", "gitlab-pipeline", fake.clone(), "prod/db")
        },
        Case {
            headers: &[("webhook-id", "msg_1"), ("webhook-timestamp", "1786190400")],
            settings: "mapping: { keys: /data/secret }",
            ..case("standard-webhooks", "standard-webhooks", fake, "prod/db")
        },
    ]
}
