//! An AWS on this machine, played by ministack: Secrets Manager, whose changes `EventBridge` posts.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{obtain, port, process::Process};

const NAME: &str = "ministack-1.5.33";
const WHEELS: &str = include_str!("../wheels/ministack.txt");
const START: Duration = Duration::from_secs(30);

/// The only region that is used.
pub const REGION: &str = "us-east-1";
/// Any will do.
pub const ACCESS_KEY: &str = "lab";

/// A running one, which keeps nothing. Dropping it kills it.
pub struct Aws {
    port: u16,
    client: reqwest::Client,
    _process: Process,
    _dir: TempDir,
}

impl Aws {
    /// # Errors
    /// It cannot be fetched, or does not start: Python is older than 3.11.
    pub async fn start() -> anyhow::Result<Self> {
        let packages = obtain::cached_wheels(NAME, "ministack, 3 MB", WHEELS, "").await?;
        port::start(|| Self::start_with(&packages)).await
    }

    async fn start_with(packages: &Path) -> anyhow::Result<Self> {
        let (client, dir) = (port::client()?, tempfile::tempdir()?);
        let port = port::free()?;
        let log = dir.path().join("log");
        let mut process = Process::spawn("ministack", command(packages, &dir, port), &log)?;
        let url = format!("{}/_ministack/ready", port::url(port));
        let ready = || port::get(&client, &url);
        process.wait_until("readiness", START, ready).await?;
        Ok(Self {
            port,
            client,
            _process: process,
            _dir: dir,
        })
    }

    /// `http://127.0.0.1:PORT`, for every service.
    pub fn url(&self) -> String {
        port::url(self.port)
    }

    /// `aws secretsmanager create-secret`
    pub async fn create_secret(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let secret = json!({ "Name": name, "SecretString": value, "ClientRequestToken": token() });
        self.call("secretsmanager.CreateSecret", &secret).await?;
        Ok(())
    }

    /// `aws secretsmanager put-secret-value`
    pub async fn put_secret_value(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let secret =
            json!({ "SecretId": name, "SecretString": value, "ClientRequestToken": token() });
        self.call("secretsmanager.PutSecretValue", &secret).await?;
        Ok(())
    }

    /// An API destination for what Secrets Manager says, as docs/providers/aws.md has it: with a key
    /// in this header.
    pub async fn post_changes_to(&self, uri: &str, header: (&str, &str)) -> anyhow::Result<()> {
        let (name, value) = header;
        let connection = json!({
            "Name": "eso-relay",
            "AuthorizationType": "API_KEY",
            "AuthParameters": {
                "ApiKeyAuthParameters": { "ApiKeyName": name, "ApiKeyValue": value },
            },
        });
        let connection = self.call("AWSEvents.CreateConnection", &connection).await?;
        let destination = json!({
            "Name": "eso-relay",
            "ConnectionArn": connection["ConnectionArn"],
            "InvocationEndpoint": uri,
            "HttpMethod": "POST",
        });
        let destination = self
            .call("AWSEvents.CreateApiDestination", &destination)
            .await?;
        let pattern = json!({
            "source": ["aws.secretsmanager", "aws.ssm"],
            "detail-type": ["Secret Label Updated", "Parameter Store Change"],
        });
        let rule = json!({ "Name": "eso-relay-secrets", "EventPattern": pattern.to_string() });
        self.call("AWSEvents.PutRule", &rule).await?;
        let target = json!({
            "Id": "eso-relay",
            "Arn": destination["ApiDestinationArn"],
            "RoleArn": "arn:aws:iam::000000000000:role/invoke-api-destination",
        });
        let targets = json!({ "Rule": "eso-relay-secrets", "Targets": [target] });
        let answer = self.call("AWSEvents.PutTargets", &targets).await?;
        ensure!(answer["FailedEntryCount"] == 0, "{answer}");
        Ok(())
    }

    /// One call of AWS's JSON protocol; the signature is not checked.
    async fn call(&self, operation: &str, body: &Value) -> anyhow::Result<Value> {
        let service = match operation.split_once('.') {
            Some(("AWSEvents", _)) => "events",
            _ => "secretsmanager",
        };
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=none"
        );
        let request = self
            .client
            .post(self.url())
            .header("authorization", authorization)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", operation)
            .body(body.to_string());
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{operation}: {status}: {text}");
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{operation}: {text}"))
    }
}

/// Of a request that is not a repetition.
fn token() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn command(packages: &Path, dir: &TempDir, port: u16) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-s", "-m", "ministack"])
        .current_dir(dir.path())
        // The user's settings may be for another AWS.
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"))
        .env("PYTHONPATH", packages)
        .env("TMPDIR", dir.path())
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("SERVICES", "secretsmanager,events")
        .env("MINISTACK_REGION", REGION)
        // More listeners, and a look at the user's containers.
        .env("SFTP_ENABLED", "0")
        .env("IOT_MTLS_ENABLED", "0")
        .env("DOCKER_HOST", "unix:///nonexistent");
    command
}
