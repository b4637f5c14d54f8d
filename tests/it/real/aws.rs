//! AWS on both ends: `EventBridge` sends to an API destination, and ESO reads Secrets Manager.

use eso_relay_lab::{
    aws::{ACCESS_KEY, Aws, REGION},
    installation::BEARER_TOKEN,
    operator,
};
use serde_json::json;

use super::{KEY_HEADER, Options, Relay, TEAM, reading};

#[tokio::test(flavor = "multi_thread")]
async fn a_value_put_into_secrets_manager_arrives_in_the_secret() {
    if !operator::is_asked_for() {
        return;
    }
    let aws = Aws::start().await.unwrap();
    let url = aws.url();
    let options = Options {
        env: &[("AWS_SECRETSMANAGER_ENDPOINT", &url)],
        ..Options::default()
    };
    let relay = Relay::with_source("aws", "aws-eventbridge", options).await;
    aws.create_secret("prod/db", "old").await.unwrap();
    let key = (KEY_HEADER, BEARER_TOKEN);
    aws.post_changes_to(&relay.hook("aws"), key).await.unwrap();
    let east = &relay.sites[0];
    east.create_secret("aws", "key", ACCESS_KEY).await;
    let key = json!({ "name": "aws", "namespace": TEAM, "key": "key" });
    east.read_from(json!({ "aws": {
        "service": "SecretsManager",
        "region": REGION,
        "auth": { "secretRef": {
            "accessKeyIDSecretRef": key,
            "secretAccessKeySecretRef": key,
        } },
    } }))
    .await;
    east.create(reading("db", "prod/db")).await;
    east.holds(TEAM, "db", "old").await;

    for value in ["new", "newer"] {
        aws.put_secret_value("prod/db", value).await.unwrap();
        east.holds(TEAM, "db", value).await;
    }
}
