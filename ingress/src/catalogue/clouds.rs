//! The clouds' secret managers, through the clouds' own event services.

use super::{Format, Sample, json};
use crate::FormatName;

pub(super) const AWS_EVENTBRIDGE: Format = Format {
    name: FormatName::AwsEventBridge,
    sender: "AWS Secrets Manager and Parameter Store, by an API destination of EventBridge",
    reads: "Secret Label Updated (the one to use), Parameter Store Change, and calls recorded by CloudTrail, tags included. Failed calls, pending and previous versions, and the start of a rotation change nothing.",
    gives: "Provider aws-sm or aws-ps; the keys are the name and the ARN, with and without the six characters; scope account and region. The id is the event's.",
    proof: "The connection's API key in a header of any name, or Basic. Nothing is signed.",
    failure: "EventBridge waits 5 s, and tries again for 24 h after 401, 407, 409, 429, 5xx and timeouts. Other 4xx are final: give the target a dead-letter queue.",
    stanza: r#"
sources:
  - name: aws-prod
    format: aws-eventbridge
    auth: { header: { name: X-Relay-Key, value_file: /etc/eso-relay/aws } }
    target: { stores: [{ name: "aws-*" }] }
"#,
    sample: json(include_str!(
        "../source/fixtures/aws-eventbridge-label.json"
    )),
};

pub(super) const AWS_SNS: Format = Format {
    name: FormatName::AwsSns,
    sender: "AWS Secrets Manager and Parameter Store, by EventBridge and an HTTPS subscription of SNS",
    reads: "What aws-eventbridge reads, inside of SNS's envelope; raw delivery has no signature and is refused. The subscription of a listed topic is confirmed.",
    gives: "As aws-eventbridge. The id is the event's.",
    proof: "SNS's own signature, of the messages of every AWS account: `topics` restricts them.",
    failure: "SNS waits 15 s, and tries again after 5xx and timeouts only, 3 times in a minute unless the delivery policy says more, for an hour at most.",
    stanza: r#"
sources:
  - name: aws-sns
    format: aws-sns
    auth: { sns: {} }
    topics: ["arn:aws:sns:us-west-2:012345678901:secrets"]
    target: { stores: [{ name: "aws-*" }] }
"#,
    sample: json(include_str!("../source/fixtures/aws-sns-notification.json")),
};

pub(super) const AZURE_EVENT_GRID: Format = Format {
    name: FormatName::AzureEventGrid,
    sender: "Azure Key Vault, by a webhook subscription of Event Grid",
    reads: "New versions of secrets, keys and certificates, in Event Grid's schema or as CloudEvents. Expiry and policies change nothing. Both handshakes are answered, once the sender is authenticated.",
    gives: "Provider azure-kv; the keys are secret/name, key/name and cert/name, a certificate's all three; scope vault. The id is the event's.",
    proof: "A token of Entra ID, of Event Grid's own application (pin `azp`), a static delivery property (a header), or a query parameter. Nothing is signed.",
    failure: "Event Grid waits 30 s, and tries again for 24 h, but not after 400, 401, 403 and 413: set a dead-letter destination.",
    stanza: r#"
sources:
  - name: azure-prod
    format: azure-event-grid
    auth: { header: { name: X-Relay-Key, value_file: /etc/eso-relay/azure } }
    target: { stores: [{ name: "azure-*" }] }
"#,
    sample: Sample {
        headers: &[("aeg-event-type", "Notification")],
        body: include_str!("../source/fixtures/azure-event-grid-documented.json"),
    },
};

pub(super) const GCP_PUBSUB: Format = Format {
    name: FormatName::GcpPubsub,
    sender: "Google Cloud Secret Manager, by a push subscription of Pub/Sub",
    reads: "SECRET_VERSION_ADD, _ENABLE, _DISABLE, _DESTROY and _DESTROY_SCHEDULED, SECRET_UPDATE and SECRET_DELETE. SECRET_ROTATE is a reminder that changes nothing.",
    gives: "Provider gcp-sm; the keys are the short and the full name; scope project_number and location, and project where `projects` maps the number to the id. The id is the message's.",
    proof: "A token signed by Google. Pin the service account's e-mail: any other can get a token for any audience.",
    failure: "Pub/Sub sends again after anything but 2xx, with a growing delay, until the message is 7 days old, or goes to the subscription's dead-letter topic.",
    stanza: r#"
sources:
  - name: gcp-prod
    format: gcp-pubsub
    auth:
      jwt:
        preset: google
        audience: https://relay.example/v1/hooks/gcp-prod
        claims: { email: eso-relay-push@my-project.iam.gserviceaccount.com }
    projects: { "123456789": my-project }
    target: { stores: [{ name: "gcp-*" }] }
"#,
    sample: json(include_str!("../source/fixtures/gcp-pubsub-wrapped.json")),
};

pub(super) const IBM_SECRETS_MANAGER: Format = Format {
    name: FormatName::IbmSecretsManager,
    sender: "IBM Cloud Secrets Manager, by a webhook destination of Event Notifications",
    reads: "Created, rotated, revoked and deleted secrets, up to 100 in a notification, at the top level or below `data`.",
    gives: "Provider ibm; the keys are type/name, the name and the id; scope instance.",
    proof: "A custom header of the destination, marked sensitive.",
    failure: "Secrets Manager collects events for a minute or two. Event Notifications sends again every 5 s, for a minute in all; then a notification is lost: keep a refreshInterval of some hours.",
    stanza: r#"
sources:
  - name: ibm
    format: ibm-secrets-manager
    auth: { header: { name: X-Relay-Key, value_file: /etc/eso-relay/ibm } }
    target: { stores: [{ name: "ibm-*" }] }
"#,
    sample: json(include_str!("../source/fixtures/ibm-secrets-manager.json")),
};
