//! Senders of any kind: the configuration's `mapping` points into their bodies.

use super::{Format, Sample, json};
use crate::FormatName;

pub(super) const GENERIC: Format = Format {
    name: FormatName::Generic,
    sender: "anything that sends JSON, such as a pipeline's own curl",
    reads: "What the JSON pointers (RFC 6901) of `mapping` point at; `mapping.events` at an array reads each of its elements. A pointer goes through JSON in a string. A subscription of Oracle Notifications and its like is confirmed at the hosts of `confirm`.",
    gives: "The aliases of one secret at `mapping.keys`; without keys, all of the source's `scope`. `provider` names their provider; without it a key is compared whatever provider a store has.",
    proof: "Anything.",
    failure: "Tell yours to send again after 503: `curl --retry 5 --retry-all-errors`.",
    stanza: "
sources:
  - name: ci
    format: generic
    auth: { hmac-sha256: { header: X-Signature, secret_file: /etc/eso-relay/ci } }
    mapping:
      { events: /records, keys: [/secret/name, /secret/arns], id: /uid, type: /kind, types: [rotated], time: /at }
",
    sample: json(include_str!("../source/fixtures/generic-documented.json")),
};

pub(super) const CLOUDEVENTS: Format = Format {
    name: FormatName::CloudEvents,
    sender: "anything that sends CloudEvents 1.0 over HTTP",
    reads: "Binary, structured and batch mode. Events of our own types (secret.changed, secret.deleted, scope.changed, refresh.requested, template.changed) carry our own data.",
    gives: "The key is the subject, or in the data at `mapping.keys`. The id is source and id together.",
    proof: "Bearer, in the CloudEvents webhook specification; anything else will do.",
    failure: "Up to the sender.",
    stanza: "
sources:
  - name: bus
    format: cloudevents
    auth: { bearer: { token_file: /etc/eso-relay/bus } }
    provider: vault
",
    sample: Sample {
        headers: &[("content-type", "application/cloudevents+json")],
        body: include_str!("../source/fixtures/cloudevent-structured.json"),
    },
};

pub(super) const GITHUB: Format = Format {
    name: FormatName::Github,
    sender: "a webhook of a GitHub repository, organization or App",
    reads: "What `mapping` points at; the type is X-GitHub-Event. `ping` changes nothing. repository_dispatch comes from Apps only.",
    gives: "The key at `mapping.keys`. The id is X-GitHub-Delivery, the same after Redeliver.",
    proof: "HMAC-SHA256 of the body in X-Hub-Signature-256. No time is signed.",
    failure: "GitHub waits 10 s and does not retry by itself: redeliver by hand within 3 days.",
    stanza: "
sources:
  - name: github
    format: github
    auth: { hmac-sha256: { preset: github, secret_file: /etc/eso-relay/github } }
    provider: akeyless
    mapping: { keys: /deployment/payload/key, types: [deployment] }
",
    sample: Sample {
        headers: &[
            ("X-GitHub-Event", "deployment"),
            ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ],
        body: include_str!("../source/fixtures/github-deployment.json"),
    },
};

pub(super) const GITLAB: Format = Format {
    name: FormatName::Gitlab,
    sender: "a webhook of a GitLab project or group",
    reads: "What `mapping` points at; the type is X-Gitlab-Event. A change of a CI/CD variable raises no webhook.",
    gives: "The key at `mapping.keys`; with `mapping.each` one for each member of a list. The id is Idempotency-Key.",
    proof: "The secret token as it is, in X-Gitlab-Token. A signing token is the scheme standard-webhooks.",
    failure: "GitLab waits 10 s, documents no retries, and switches a webhook off for a time after 4 failures in a row, 503 among them, and for good after 40.",
    stanza: "
sources:
  - name: gitlab
    format: gitlab
    auth: { header: { name: X-Gitlab-Token, value_file: /etc/eso-relay/gitlab } }
    mapping: { each: /object_attributes/variables, keys: /key, types: [Pipeline Hook] }
",
    sample: Sample {
        headers: &[
            ("X-Gitlab-Event", "Pipeline Hook"),
            (
                "X-Gitlab-Event-UUID",
                "13792a34-cac6-4fda-95a8-c58e00a3954e",
            ),
            ("Idempotency-Key", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"),
        ],
        body: include_str!("../source/fixtures/gitlab-pipeline.json"),
    },
};

pub(super) const STANDARD_WEBHOOKS: Format = Format {
    name: FormatName::StandardWebhooks,
    sender: "anything that sends Standard Webhooks, such as Svix",
    reads: "What `mapping` points at; the type is /type, unless `mapping.type` says otherwise.",
    gives: "The key at `mapping.keys`. The id is webhook-id.",
    proof: "A signature of id, time and body by HMAC-SHA256 (whsec_…) or ed25519 (whpk_…).",
    failure: "Tried again with a growing delay, for some days.",
    stanza: "
sources:
  - name: hooks
    format: standard-webhooks
    auth: { standard-webhooks: { secret_file: /etc/eso-relay/whsec } }
    mapping: { keys: /data/secret, types: [secret.updated] }
",
    sample: Sample {
        headers: &[("webhook-id", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W")],
        body: include_str!("../source/fixtures/standard-webhooks.json"),
    },
};
