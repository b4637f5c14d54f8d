//! The patch that makes ESO refresh an ExternalSecret, or all that a ClusterExternalSecret owns, or push a
//! PushSecret.
//!
//! An annotation is enough for most: ESO refreshes when the hash over the metadata is not that of
//! `status.syncedResourceVersion`. Where somebody else takes the annotation away before ESO looks, or where
//! the policy of an object keeps ESO from looking, two steps do it: `syncedResourceVersion` is emptied,
//! which no controller takes back, and by which ESO refreshes whatever the policy (`externalsecret_controller.go`,
//! `shouldRefresh`); then the annotation makes it look, for a change of the status alone does not
//! (`shouldEnqueueExternalSecretUpdate`). An ESO that is in the middle of a sync gets a conflict when it
//! writes its status, and reads again.
//!
//! Not for all: it is two calls where one does, and needs a permission more, and the hash proves the sync of
//! the others as well. ESO's own pace hides the second call.

use std::time::Duration;

use http::{HeaderValue, header::ACCEPT};
use kube::{
    Resource as _,
    api::{ListParams, Patch, PatchParams},
    client::Body,
    core::{Request, Status},
};
use serde_json::json;

use super::{
    Object, Served,
    failure::{PROBE_TIMEOUT, RefreshError, retry_after},
    outcome,
};
use crate::object::{
    FORCE_SYNC_ANNOTATION, ListKind, ObjectKind, ObjectRef, REFRESH_ANNOTATION, RefreshMark, Reset,
    Steps,
};

/// Only metadata in the answer, as [`Request::patch_metadata`] asks for.
const METADATA: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
/// Who owns the annotation, in `metadata.managedFields`.
const FIELD_MANAGER: &str = "eso-relay";
/// The most of an answer's text that is kept when it is not a Kubernetes `Status`.
const MAX_TEXT: usize = 200;

/// Writes annotations. Cheap to clone.
#[derive(Clone)]
pub struct Refresher {
    served: Served,
    timeout: Duration,
    /// Where a probe looks; `None`: everywhere.
    probed: Option<String>,
}

impl Refresher {
    /// `timeout` holds for a patch from connecting to the end of the answer.
    pub fn new(served: Served, timeout: Duration) -> Self {
        Self {
            served,
            timeout,
            probed: None,
        }
    }

    /// For a consumer that sees these namespaces only.
    #[must_use]
    pub fn within(self, namespaces: &[String]) -> Self {
        let probed = namespaces.first().cloned();
        Self { probed, ..self }
    }

    /// Asks the API for something that depends on no object: one ExternalSecret, whichever. Fails as
    /// a patch does.
    pub async fn probe(&self) -> Result<(), RefreshError> {
        let resource = self.served.version().resource(ListKind::ExternalSecrets);
        let url = Object::url_path(&resource, self.probed.as_deref());
        let one = ListParams::default().limit(1);
        let request = Request::new(url).list_metadata(&one)?;
        let answer = tokio::time::timeout(PROBE_TIMEOUT, self.send(request)).await;
        answer.unwrap_or(Err(RefreshError::Unanswered))
    }

    /// Once. Writing a value that the object carries already changes nothing and is a success. The
    /// second step is done even where the first is refused: ESO may be in time.
    pub async fn refresh(
        &self,
        target: &ObjectRef,
        value: RefreshMark,
        steps: Steps,
    ) -> Result<Reset, RefreshError> {
        let reset = match steps {
            Steps::One => Reset::NotAsked,
            Steps::Two => match self.in_time(self.reset(target)).await {
                Ok(()) => Reset::Done,
                Err(error) if outcome::needs_no_reset(&error) => Reset::Refused {
                    error: error.to_string(),
                },
                Err(error) => return Err(error),
            },
        };
        self.in_time(self.patch(target, value)).await?;
        Ok(reset)
    }

    async fn in_time(
        &self,
        patch: impl Future<Output = Result<(), RefreshError>>,
    ) -> Result<(), RefreshError> {
        let patch = tokio::time::timeout(self.timeout, patch).await;
        patch.unwrap_or(Err(RefreshError::Timeout(self.timeout)))
    }

    async fn reset(&self, target: &ObjectRef) -> Result<(), RefreshError> {
        let patch = json!({ "status": { "syncedResourceVersion": "" } });
        let resource = self.served.version().resource(ListKind::ExternalSecrets);
        let url = Object::url_path(&resource, Some(target.namespace()));
        let (name, params) = (target.name(), params());
        let request =
            Request::new(url).patch_subresource("status", name, &params, &Patch::Merge(patch));
        let mut request = request?;
        request.headers_mut().insert(ACCEPT, METADATA);
        self.send(request).await
    }

    /// A merge patch of one annotation without resourceVersion conflicts with nobody. The answer
    /// is asked for as metadata, which is small, and is not looked at.
    async fn patch(&self, target: &ObjectRef, value: RefreshMark) -> Result<(), RefreshError> {
        let (kind, annotation) = match target.kind() {
            ObjectKind::ClusterExternalSecret => {
                (ListKind::ClusterExternalSecrets, FORCE_SYNC_ANNOTATION)
            }
            ObjectKind::ExternalSecret => (ListKind::ExternalSecrets, REFRESH_ANNOTATION),
            ObjectKind::PushSecret => (ListKind::PushSecrets, REFRESH_ANNOTATION),
        };
        let version = self.served.version();
        let namespace = (!target.is_owner()).then(|| target.namespace());
        let patch = json!({ "metadata": { "annotations": { annotation: value.to_string() } } });
        let url = Object::url_path(&version.resource(kind), namespace);
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

    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<(), RefreshError> {
        let response = self.served.client().send(request.map(Body::from)).await?;
        let (head, body) = response.into_parts();
        // Read to its end, so that the connection can be used again.
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

fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// A proxy, or the API server when it has too much to do, answers in plain text.
fn plain(body: &[u8]) -> Status {
    let text = String::from_utf8_lossy(body);
    Status {
        message: text.trim().chars().take(MAX_TEXT).collect(),
        ..Status::default()
    }
}

#[cfg(test)]
mod tests;
