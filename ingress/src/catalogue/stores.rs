//! Stores with webhooks or logs of their own.

use super::{Format, Sample, json};
use crate::FormatName;

pub(super) const AKEYLESS: Format = Format {
    name: FormatName::Akeyless,
    sender: "the Event Center of Akeyless, by a webhook event forwarder of the Gateway",
    reads: "An array of events, or events grouped by type, with or without `Akeyless_Events` around them. Only static-secret-updated, rotated-secret-success, rotated-secret-partial-failure and certificate-provisioning-success change a value.",
    gives: "Provider akeyless; the key is item_name, else name. The id is event_id, where there is one.",
    proof: "User and password, a bearer token (entered in Base64; whether it arrives so is not documented: try both), or a client certificate. Nothing is signed, no time either.",
    failure: "Akeyless documents neither retries nor time limits.",
    stanza: r#"
sources:
  - name: akeyless-prod
    format: akeyless
    auth: { basic: { username: eso, password_file: /etc/eso-relay/akeyless/password } }
    target: { stores: [{ kind: ClusterSecretStore, name: "akeyless*" }] }
"#,
    sample: json(include_str!("../source/fixtures/akeyless-array.json")),
};

pub(super) const DOPPLER: Format = Format {
    name: FormatName::Doppler,
    sender: "a webhook of a Doppler project",
    reads: "config.secrets.update, in Doppler's own payload. A source with `scope` takes a custom payload, whatever it says.",
    gives: "Provider doppler; scope project and config. With `diff` the keys are the names that were added, removed or updated; without it an event means all of the config.",
    proof: "HMAC-SHA256 of the body in X-Doppler-Signature. No time is signed.",
    failure: "Doppler documents no retries: in general a webhook is delivered once. Keep a refreshInterval of some hours.",
    stanza: r#"
sources:
  - name: doppler
    format: doppler
    auth: { hmac-sha256: { preset: doppler, secret_file: /etc/eso-relay/doppler } }
    target: { stores: [{ name: "doppler-*" }] }
"#,
    sample: json(include_str!("../source/fixtures/doppler-diff.json")),
};

pub(super) const INFISICAL: Format = Format {
    name: FormatName::Infisical,
    sender: "a webhook of an Infisical project",
    reads: "secrets.modified. Failed rotations and tests change nothing.",
    gives: "Provider infisical; scope environment and path, and the project's slug where `projects` maps the id or the title to it. Infisical does not say which secret: an event means all of the folder.",
    proof: "HMAC-SHA256 of the body in x-infisical-signature, with the time that the body says. Only if the webhook has a secret key.",
    failure: "Infisical waits 15 s and does not retry: keep a refreshInterval of some hours.",
    stanza: r#"
sources:
  - name: infisical
    format: infisical
    auth: { hmac-sha256: { preset: infisical, secret_file: /etc/eso-relay/infisical } }
    projects: { 6f3e1c2a-0000-4000-8000-000000000001: backend-x1y2 }
    target: { stores: [{ name: "infisical-*" }] }
"#,
    sample: json(include_str!("../source/fixtures/infisical.json")),
};

pub(super) const PULUMI_ESC: Format = Format {
    name: FormatName::PulumiEsc,
    sender: "a webhook of Pulumi Cloud, of an environment or of the organization",
    reads: "environment_revision and imported_environment_changed.",
    gives: "Provider pulumi; scope organization, project and environment: an event means all of the environment. The id is Pulumi-Webhook-ID.",
    proof: "HMAC-SHA256 of the body in Pulumi-Webhook-Signature. No time is signed.",
    failure: "Pulumi documents neither retries nor an order.",
    stanza: r#"
sources:
  - name: pulumi
    format: pulumi-esc
    auth: { hmac-sha256: { preset: pulumi, secret_file: /etc/eso-relay/pulumi } }
    target: { stores: [{ name: "pulumi-*" }] }
"#,
    sample: Sample {
        headers: &[
            ("Pulumi-Webhook-ID", "2f1f2b2c-0000-4000-8000-000000000001"),
            ("Pulumi-Webhook-Kind", "environment_revision"),
        ],
        body: include_str!("../source/fixtures/pulumi-esc.json"),
    },
};

pub(super) const VAULT_AUDIT: Format = Format {
    name: FormatName::VaultAudit,
    sender: "OpenBao's HTTP audit device, or a shipper (Vector, Fluent Bit) of the audit log of Vault or OpenBao",
    reads: "Responses without an error to create, update, patch and delete on KV mounts: one entry, an array, or one entry a line. Values are not read; the log has only their hashes.",
    gives: "Provider vault; the key is the API path, such as secret/data/db; scope mount and namespace. The id is the request's.",
    proof: "Fixed headers (OpenBao), or whatever the shipper can do.",
    failure: "OpenBao does not retry, and refuses all requests while its only audit device fails: add a second device, and `fail_open: true`, which answers 2xx even when an event is lost. A shipper with a disk buffer sends again.",
    stanza: r#"
sources:
  - name: openbao
    format: vault-audit
    auth: { header: { name: X-Relay-Key, value_file: /etc/eso-relay/openbao } }
    fail_open: true
    target: { stores: [{ name: "bao-*" }] }
"#,
    sample: json(include_str!("../source/fixtures/vault-audit-openbao.json")),
};

pub(super) const VAULT_EVENTS: Format = Format {
    name: FormatName::VaultEvents,
    sender: "event notifications of Vault Enterprise, which go to a websocket only: a bridge of yours posts each message",
    reads: "kv-v1 and kv-v2 events that modified something.",
    gives: "Provider vault; the key is the data path, such as secret/data/db; scope mount and namespace. The id is the event's.",
    proof: "Whatever the bridge can do.",
    failure: "Vault sends each event once, to current subscribers only: refresh the mount after the bridge was away, or prefer vault-audit.",
    stanza: r#"
sources:
  - name: vault-events
    format: vault-events
    auth: { bearer: { token_file: /etc/eso-relay/vault } }
    target: { stores: [{ name: "vault-*" }] }
"#,
    sample: json(include_str!("../source/fixtures/vault-events.json")),
};
