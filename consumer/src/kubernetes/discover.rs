//! Discovers which version of ESO's kinds the API serves, and notices when it changes.

use std::{fmt, sync::Arc, time::Duration};

use eso_relay::admin::Condition;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::Namespace,
};
use kube::{Client, core::ApiResource, runtime::watcher::DefaultBackoff};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use super::chain;
use crate::object::{ListKind as List, WorkloadKind};

const GROUP: &str = "external-secrets.io";
/// Of kubernetes-external-secrets, whose kind has the same name.
const KES_GROUP: &str = "kubernetes-client.io";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two discoveries: many patches may find their version missing at once.
const PAUSE: Duration = Duration::from_secs(1);

/// References have the same fields in both (ESO `apis/externalsecrets/v1`, `v1beta1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    /// Served since ESO 0.16.
    V1,
    /// Not served since ESO 0.17.
    V1Beta1,
}

impl ApiVersion {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1Beta1 => "v1beta1",
        }
    }

    /// A kind of ESO's in this version, or another that is watched.
    pub(crate) fn resource(self, list: List) -> ApiResource {
        let (kind, plural) = match list {
            List::Namespaces => return ApiResource::erase::<Namespace>(&()),
            List::ExternalSecrets => ("ExternalSecret", "externalsecrets"),
            List::ClusterExternalSecrets => ("ClusterExternalSecret", "clusterexternalsecrets"),
            List::SecretStores => ("SecretStore", "secretstores"),
            List::ClusterSecretStores => ("ClusterSecretStore", "clustersecretstores"),
            List::PushSecrets => ("PushSecret", "pushsecrets"),
            List::KesExternalSecrets => return kes(),
            List::Workloads(kind) => return workload(kind),
        };
        let version = match list {
            List::PushSecrets => "v1alpha1",
            _ => self.as_str(),
        };
        ApiResource {
            group: GROUP.to_owned(),
            version: version.to_owned(),
            api_version: format!("{GROUP}/{version}"),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

fn kes() -> ApiResource {
    ApiResource {
        group: KES_GROUP.to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{KES_GROUP}/v1"),
        kind: "ExternalSecret".to_owned(),
        plural: "externalsecrets".to_owned(),
    }
}

fn workload(kind: WorkloadKind) -> ApiResource {
    match kind {
        WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
        WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        WorkloadKind::Rollout => ApiResource {
            group: "argoproj.io".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: "argoproj.io/v1alpha1".to_owned(),
            kind: kind.as_str().to_owned(),
            plural: "rollouts".to_owned(),
        },
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{GROUP}/{}", self.as_str())
    }
}

/// The API with the version that it serves. An upgrade of ESO can remove that version at any time. Cheap to
/// clone.
#[derive(Clone)]
pub(crate) struct Served {
    client: Client,
    version: Arc<watch::Sender<ApiVersion>>,
    missing: Arc<Notify>,
}

impl Served {
    /// Retries until the API serves ExternalSecrets.
    pub(crate) async fn discover(client: Client, condition: &Condition) -> Self {
        let attempt = || async { served(&client).await.map_err(anyhow::Error::msg) };
        let pauses = DefaultBackoff::default();
        let version = condition
            .retry("waiting for Kubernetes", pauses, attempt)
            .await;
        info!(%version, "found ExternalSecrets");
        condition.unmet("listing");
        Self::new(client, version)
    }

    pub(crate) fn new(client: Client, version: ApiVersion) -> Self {
        Self {
            client,
            version: Arc::new(watch::Sender::new(version)),
            missing: Arc::default(),
        }
    }

    pub(crate) fn version(&self) -> ApiVersion {
        *self.version.borrow()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sees every change of the version.
    pub(super) fn subscribe(&self) -> watch::Receiver<ApiVersion> {
        self.version.subscribe()
    }

    /// The API does not serve this version any more: starts a discovery, soon.
    pub(crate) fn is_missing(&self, version: ApiVersion) {
        if version == self.version() {
            self.missing.notify_one();
        }
    }

    /// Discovers another version whenever one is missing, for ever. A discovery that fails is not retried: the
    /// request that missed the version is.
    pub(super) async fn rediscover(&self) {
        loop {
            self.missing.notified().await;
            match served(&self.client).await {
                Ok(version) => {
                    let is_new =
                        |known: &mut ApiVersion| std::mem::replace(known, version) != version;
                    if self.version.send_if_modified(is_new) {
                        warn!(%version, "the API serves ExternalSecrets in another version now");
                    }
                }
                Err(reason) => debug!(reason, "cannot tell which version the API serves"),
            }
            sleep(PAUSE).await;
        }
    }
}

/// The version that the API serves, or why it is unknown.
pub(super) async fn served(client: &Client) -> Result<ApiVersion, String> {
    let away = |reason| format!("cannot reach the API: {reason}");
    for version in [ApiVersion::V1, ApiVersion::V1Beta1] {
        let name = version.to_string();
        let answer = timeout(TIMEOUT, client.list_api_group_resources(&name)).await;
        match answer {
            Err(_) => return Err(away(format!("no answer within {TIMEOUT:?}"))),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => {}
            Ok(Err(error)) => return Err(away(chain(&error))),
            Ok(Ok(list)) => {
                if list
                    .resources
                    .iter()
                    .any(|kind| kind.name == "externalsecrets")
                {
                    return Ok(version);
                }
            }
        }
    }
    Err(format!(
        "the API serves no externalsecrets in {GROUP}: install the External Secrets Operator"
    ))
}
