//! Which version of ESO's kinds the API serves, now and when that changes.

use std::{fmt, sync::Arc, time::Duration};

use eso_relay::admin::Condition;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Client, core::ApiResource, runtime::watcher::DefaultBackoff};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use super::chain;
use crate::object::ListKind as List;

const GROUP: &str = "external-secrets.io";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks for another version: many patches may miss theirs at once.
const PAUSE: Duration = Duration::from_secs(1);

/// What a reference may name is the same in both (ESO `apis/externalsecrets/v1`, `v1beta1`).
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

    /// A kind of ESO's in this version, or one of Kubernetes' own.
    pub(crate) fn resource(self, list: List) -> ApiResource {
        let (kind, plural) = match list {
            List::Namespaces => return ApiResource::erase::<Namespace>(&()),
            List::ExternalSecrets => ("ExternalSecret", "externalsecrets"),
            List::ClusterExternalSecrets => ("ClusterExternalSecret", "clusterexternalsecrets"),
            List::SecretStores => ("SecretStore", "secretstores"),
            List::ClusterSecretStores => ("ClusterSecretStore", "clustersecretstores"),
            List::PushSecrets => ("PushSecret", "pushsecrets"),
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

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{GROUP}/{}", self.as_str())
    }
}

/// The version that the API serves, as far as is known: an upgrade of ESO can take it away at any time.
/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Served {
    client: Client,
    version: Arc<watch::Sender<ApiVersion>>,
    missing: Arc<Notify>,
}

impl Served {
    /// Waits for as long as the API is away or knows no ExternalSecret, and says so.
    pub(crate) async fn discover(client: Client, condition: &Condition) -> Self {
        let mut backoff = DefaultBackoff::default();
        loop {
            let reason = match served(&client).await {
                Ok(version) => {
                    info!(%version, "found ExternalSecrets");
                    condition.unmet("listing");
                    return Self::new(client, version);
                }
                Err(reason) => reason,
            };
            warn!(reason, "waiting for Kubernetes");
            condition.unmet(reason);
            sleep(backoff.next().unwrap_or(TIMEOUT)).await;
        }
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

    /// The API does not know one of ESO's kinds in this version: looks for another one, soon.
    pub(crate) fn is_missing(&self, version: ApiVersion) {
        if version == self.version() {
            self.missing.notify_one();
        }
    }

    /// For ever: looks for another version whenever one is missing. A look that fails is not repeated: the
    /// request that missed the version is.
    pub(super) async fn find_again(&self) {
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

/// Or why that cannot be told.
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
