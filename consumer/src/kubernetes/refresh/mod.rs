//! Patches an object so that ESO refreshes the ExternalSecret, or everything that the ClusterExternalSecret owns,
//! or pushes the PushSecret; or so that KES polls its ExternalSecret.
//!
//! For most objects the annotation is enough: ESO refreshes when the hash over the metadata differs from
//! `status.syncedResourceVersion`. Where another controller removes the annotation before ESO looks, or where the
//! policy of an object prevents a refresh, two steps are needed. First `syncedResourceVersion` is emptied, which
//! no controller reverts, and which makes ESO refresh whatever the policy (`externalsecret_controller.go`,
//! `shouldRefresh`). Then the annotation makes ESO look, because a change of the status alone does not
//! (`shouldEnqueueExternalSecretUpdate`). An ESO in the middle of a sync gets a conflict when it writes its
//! status, and reads again.
//!
//! Two steps need two calls and one more permission, so they are used only where one is not enough. ESO's own
//! speed hides the second call.
//!
//! KES needs two steps for every object. It polls at once when `observedGeneration` is less than the generation, even
//! with `DISABLE_POLLING`, and not when an annotation changes (KES `lib/poller.js`, `_scheduleNextPoll`). The status
//! comes first here too: so an object that carries the mark was reset for it, whatever was interrupted, and a
//! redelivery has nothing to do. A poll before the mark counts, as it began after the reset and so after the event. The
//! number is another for each mark ([`RefreshMark::unobserved`]).

use std::time::Duration;

use http::{HeaderValue, header::ACCEPT};
use kube::{
    Resource as _,
    api::{ListParams, Patch, PatchParams},
    client::Body,
    core::{Request, Status},
};
use serde_json::{Value, json};

use super::{
    Object, Served,
    outcome::{self, PROBE_TIMEOUT, RefreshError, retry_after},
};
use crate::object::{
    FORCE_SYNC_ANNOTATION, ListKind, ObjectRef, REFRESH_ANNOTATION, RefreshMark, Reset, Steps,
};

/// Asks for only the metadata in the response, as [`Request::patch_metadata`] does.
const METADATA: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
/// The owner of the annotation in `metadata.managedFields`.
const FIELD_MANAGER: &str = "eso-relay";
/// The longest text of a response that is kept when it is not a Kubernetes `Status`.
const MAX_TEXT: usize = 200;

/// Patches objects. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Refresher {
    pub(super) served: Served,
    timeout: Duration,
    /// The namespace that a probe lists; `None`: all.
    probed: Option<String>,
}

impl Refresher {
    /// `timeout` is for a patch, from connecting to the end of the response.
    pub(crate) fn new(served: Served, timeout: Duration) -> Self {
        Self {
            served,
            timeout,
            probed: None,
        }
    }

    /// For a consumer that is restricted to these namespaces.
    #[must_use]
    pub(crate) fn within(self, namespaces: &[String]) -> Self {
        let probed = namespaces.first().cloned();
        Self { probed, ..self }
    }

    /// Sends a request that depends on no object: it lists any one ExternalSecret. Fails as a patch does.
    pub(crate) async fn probe(&self) -> Result<(), RefreshError> {
        let resource = self.served.version().resource(ListKind::ExternalSecrets);
        let url = Object::url_path(&resource, self.probed.as_deref());
        let one = ListParams::default().limit(1);
        let request = Request::new(url).list_metadata(&one)?;
        let answer = tokio::time::timeout(PROBE_TIMEOUT, self.send(request)).await;
        answer.unwrap_or(Err(RefreshError::Unanswered))
    }

    /// Refreshes once. Writing a mark that the object carries already changes nothing and succeeds. The second step
    /// is done even if the first is refused, because ESO may look in time.
    pub(crate) async fn refresh(
        &self,
        target: &ObjectRef,
        value: RefreshMark,
        steps: Steps,
    ) -> Result<Reset, RefreshError> {
        let reset = match steps {
            Steps::One => Reset::NotAsked,
            // Without it KES does not poll, and the mark would say that it was told to.
            Steps::Kes => {
                let reset = self.reset(target, json!({ "observedGeneration": value.unobserved() }));
                self.with_timeout(reset).await?;
                Reset::NotAsked
            }
            Steps::Two => match self.with_timeout(self.reset(target, unsynced())).await {
                Ok(()) => Reset::Done,
                Err(error) if outcome::may_skip_reset(&error) => Reset::Refused {
                    error: error.to_string(),
                },
                Err(error) => return Err(error),
            },
        };
        self.with_timeout(self.patch(target, value)).await?;
        Ok(reset)
    }

    pub(super) async fn with_timeout(
        &self,
        patch: impl Future<Output = Result<(), RefreshError>>,
    ) -> Result<(), RefreshError> {
        let patch = tokio::time::timeout(self.timeout, patch).await;
        patch.unwrap_or(Err(RefreshError::Timeout(self.timeout)))
    }

    async fn reset(&self, target: &ObjectRef, status: Value) -> Result<(), RefreshError> {
        let patch = json!({ "status": status });
        let resource = self.served.version().resource(target.kind().list());
        let url = Object::url_path(&resource, Some(target.namespace()));
        let (name, params) = (target.name(), params());
        let request =
            Request::new(url).patch_subresource("status", name, &params, &Patch::Merge(patch));
        let mut request = request?;
        request.headers_mut().insert(ACCEPT, METADATA);
        self.send(request).await
    }

    /// A merge patch of one annotation without resourceVersion never conflicts. The response is requested as
    /// metadata, which is small, and not read.
    async fn patch(&self, target: &ObjectRef, value: RefreshMark) -> Result<(), RefreshError> {
        let annotation = if target.is_owner() {
            FORCE_SYNC_ANNOTATION
        } else {
            REFRESH_ANNOTATION
        };
        let version = self.served.version();
        let namespace = (!target.is_owner()).then(|| target.namespace());
        let patch = json!({ "metadata": { "annotations": { annotation: value.to_string() } } });
        let url = Object::url_path(&version.resource(target.kind().list()), namespace);
        let request =
            Request::new(url).patch_metadata(target.name(), &params(), &Patch::Merge(patch))?;
        let patched = self.send(request).await;
        if let Err(RefreshError::Api { status, .. }) = &patched
            && outcome::is_kind_missing(status)
        {
            self.served.is_missing(version);
        }
        patched
    }

    pub(super) async fn send(&self, request: http::Request<Vec<u8>>) -> Result<(), RefreshError> {
        let response = self.served.client().send(request.map(Body::from)).await?;
        let (head, body) = response.into_parts();
        // Read to the end, so that the connection can be reused.
        let body = body.collect_bytes().await?;
        if head.status.is_success() {
            return Ok(());
        }
        let mut status: Status = serde_json::from_slice(&body).unwrap_or_else(|_| plain(&body));
        status.code = head.status.as_u16();
        let retry_after = retry_after(&status, &head.headers);
        Err(RefreshError::Api {
            status: status.boxed(),
            retry_after,
        })
    }
}

/// The status of an object that ESO has not synced.
fn unsynced() -> Value {
    json!({ "syncedResourceVersion": "" })
}

pub(super) fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// A proxy or an overloaded API server answers in plain text.
fn plain(body: &[u8]) -> Status {
    let text = String::from_utf8_lossy(body);
    Status {
        message: text.trim().chars().take(MAX_TEXT).collect(),
        ..Status::default()
    }
}

#[cfg(test)]
mod tests;
