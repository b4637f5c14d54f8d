//! The schemes of authentication.

use super::Scheme;
use crate::verify::SchemeName;

pub(super) const NONE: Scheme = Scheme {
    name: SchemeName::None,
    proof: "Nothing: anyone who reaches the port may send. A warning at every start.",
    use_for: "Private networks. A stranger can only cause refreshes, within `target` and `limits`.",
    stanza: "
sources:
  - name: lab
    format: akeyless
    auth: none
    target: { namespaces: [lab] }
    limits: { requests_per_second: 10 }
",
};

pub(super) const BASIC: Scheme = Scheme {
    name: SchemeName::Basic,
    proof: "A user and a password (RFC 7617).",
    use_for: "Akeyless; connections of EventBridge; any sender with a field for both.",
    stanza: "
sources:
  - name: akeyless-prod
    format: akeyless
    auth: { basic: { username: eso, password_file: [/etc/eso-relay/new, /etc/eso-relay/old] } }
",
};

pub(super) const BEARER: Scheme = Scheme {
    name: SchemeName::Bearer,
    proof: "A fixed token, `Authorization: Bearer …` (RFC 6750).",
    use_for: "CloudEvents, shippers of logs, bridges and scripts.",
    stanza: "
sources:
  - name: bus
    format: cloudevents
    auth: { bearer: { token_file: /etc/eso-relay/bus } }
",
};

pub(super) const HEADER: Scheme = Scheme {
    name: SchemeName::Header,
    proof: "A fixed value in a header of any `name`, or in the query parameter `query`.",
    use_for: "API keys: EventBridge, Event Grid, GitLab, OpenBao. A query ends up in the logs of proxies: only for senders that cannot send a header.",
    stanza: "
sources:
  - name: aws-prod
    format: aws-eventbridge
    auth: { header: { name: X-Relay-Key, value_file: /etc/eso-relay/aws } }
",
};

pub(super) const HMAC_SHA256: Scheme = Scheme {
    name: SchemeName::HmacSha256,
    proof: "An HMAC of the raw body in a header: as `preset` github, doppler, pulumi or infisical has it, or by `header`, `prefix`, `encoding` and `algorithm`.",
    use_for: "GitHub, Doppler, Pulumi, Infisical, and senders of your own: the secret never travels.",
    stanza: r#"
sources:
  - name: ci
    format: generic
    auth: { hmac-sha256: { header: X-Signature, prefix: "sha256=", secret_file: /etc/eso-relay/ci } }
    mapping: { keys: /key }
"#,
};

pub(super) const STANDARD_WEBHOOKS: Scheme = Scheme {
    name: SchemeName::StandardWebhooks,
    proof: "A signature of id, time and body, by HMAC-SHA256 (the file holds whsec_…) or ed25519 (whpk_…). The time is within `tolerance` of now.",
    use_for: "Svix and other Standard Webhooks; GitLab's signing token. What is overheard cannot be sent again later.",
    stanza: "
sources:
  - name: hooks
    format: standard-webhooks
    auth: { standard-webhooks: { secret_file: /etc/eso-relay/whsec } }
    mapping: { keys: /data/secret }
",
};

pub(super) const JWT: Scheme = Scheme {
    name: SchemeName::Jwt,
    proof: "A token signed by an issuer (RFC 7519): `preset` google or entra, or an `issuer` with its `jwks_url` or `jwks_file`; `audience`, and all of `claims`.",
    use_for: "Pub/Sub (google), Event Grid (entra), workload identities: no secret to keep or to rotate. The ingress fetches the issuer's keys over https.",
    stanza: "
sources:
  - name: azure-entra
    format: azure-event-grid
    auth:
      jwt:
        preset: entra
        tenant: 11111111-2222-3333-4444-555555555555
        audience: 66666666-7777-8888-9999-000000000000
        claims: { azp: 4962773b-9cdb-44cf-a8bf-237846a00ab7 }
",
};

pub(super) const SNS: Scheme = Scheme {
    name: SchemeName::Sns,
    proof: "SNS's own signature (version 1 or 2) of a message of the last hour. The ingress fetches the certificate from sns.<region>.amazonaws.com.",
    use_for: "Format aws-sns, with `topics`: SNS signs for every AWS account.",
    stanza: r#"
sources:
  - name: aws-sns
    format: aws-sns
    auth: { sns: {} }
    topics: ["arn:aws:sns:us-west-2:012345678901:secrets"]
"#,
};

pub(super) const MTLS: Scheme = Scheme {
    name: SchemeName::Mtls,
    proof: "A client certificate by a CA of `tls.client_ca_file`, with one of the names of `san`. The ingress must end TLS itself.",
    use_for: "Akeyless Gateways and senders of your own, with a CA of your own.",
    stanza: "
tls:
  cert_file: /etc/eso-relay/tls.crt
  key_file: /etc/eso-relay/tls.key
  client_ca_file: /etc/eso-relay/clients.crt
sources:
  - name: akeyless-gateway
    format: akeyless
    auth: { mtls: { san: gateway.example.com } }
",
};

pub(super) const ALL: Scheme = Scheme {
    name: SchemeName::All,
    proof: "Every scheme of the list.",
    use_for: "A signature and a network's own proof together.",
    stanza: "
sources:
  - name: ci
    format: generic
    auth:
      all:
        - basic: { username: proxy, password_file: /etc/eso-relay/proxy }
        - hmac-sha256: { header: X-Signature, secret_file: /etc/eso-relay/ci }
    mapping: { keys: /key }
",
};

pub(super) const ANY: Scheme = Scheme {
    name: SchemeName::Any,
    proof: "At least one scheme of the list.",
    use_for: "Changing from one scheme to another without a gap.",
    stanza: "
sources:
  - name: azure-prod
    format: azure-event-grid
    auth:
      any:
        - header: { name: X-Relay-Key, value_file: /etc/eso-relay/azure }
        - header: { query: token, value_file: /etc/eso-relay/azure-url }
",
};
