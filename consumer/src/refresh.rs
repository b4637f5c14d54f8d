//! The patch that makes ESO refresh an ExternalSecret, or all that a ClusterExternalSecret owns, or push a
//! PushSecret.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use kube::{
    Client, Resource as _,
    api::{ListParams, Patch, PatchParams},
    client::Body,
    core::{ApiResource, Request, Status},
};
use serde_json::json;

use crate::{
    FORCE_SYNC_ANNOTATION, REFRESH_ANNOTATION,
    index::ListKind,
    kubernetes::{ApiVersion, Object},
    target::{Target, TargetKind},
    value::Value,
};

/// Who owns the annotation, in `metadata.managedFields`.
const FIELD_MANAGER: &str = "eso-relay";
/// Whatever the patches' timeout: one may be short because a webhook is slow.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most of an answer's text that is kept when it is not a Kubernetes `Status`.
const MAX_TEXT: usize = 200;

/// Writes annotations. Cheap to clone.
#[derive(Clone)]
pub struct Refresher {
    client: Client,
    secrets: ApiResource,
    owners: ApiResource,
    pushes: ApiResource,
    timeout: Duration,
    /// Where a probe looks; `None`: everywhere.
    probed: Option<String>,
}

/// Why an annotation could not be written; what follows from it stands in [`crate::outcome`].
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The API answered, and not with a success. `code` is the HTTP status whatever the body says.
    #[error("{} {}: {}", status.code, status.reason, status.message)]
    Api {
        status: Box<Status>,
        retry_after: Option<Duration>,
    },
    /// No request can be made for this object.
    #[error(transparent)]
    Request(#[from] kube::core::request::Error),
    /// The request could not be sent or the answer not be received.
    #[error("{}", crate::kubernetes::chain(.0))]
    Connection(#[from] kube::Error),
    #[error("no answer within {0:?} (setting `kubernetes.patch_timeout`)")]
    Timeout(Duration),
    #[error("no answer within {PROBE_TIMEOUT:?}")]
    Unanswered,
}

impl Refresher {
    /// `timeout` holds for a patch from connecting to the end of the answer.
    pub fn new(client: Client, version: ApiVersion, timeout: Duration) -> Self {
        Self {
            client,
            secrets: version.resource(ListKind::ExternalSecrets),
            owners: version.resource(ListKind::ClusterExternalSecrets),
            pushes: version.resource(ListKind::PushSecrets),
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
        let url = Object::url_path(&self.secrets, self.probed.as_deref());
        let one = ListParams::default().limit(1);
        let request = Request::new(url).list_metadata(&one)?;
        let answer = tokio::time::timeout(PROBE_TIMEOUT, self.send(request)).await;
        answer.unwrap_or(Err(RefreshError::Unanswered))
    }

    /// Once. Writing a value that the object carries already changes nothing and is a success.
    pub async fn refresh(&self, target: &Target, value: Value) -> Result<(), RefreshError> {
        let patch = tokio::time::timeout(self.timeout, self.patch(target, value)).await;
        patch.unwrap_or(Err(RefreshError::Timeout(self.timeout)))
    }

    /// A merge patch of one annotation without resourceVersion conflicts with nobody. The answer
    /// is asked for as metadata, which is small, and is not looked at.
    async fn patch(&self, target: &Target, value: Value) -> Result<(), RefreshError> {
        let (resource, annotation) = match target.kind() {
            TargetKind::ClusterExternalSecret => (&self.owners, FORCE_SYNC_ANNOTATION),
            TargetKind::ExternalSecret => (&self.secrets, REFRESH_ANNOTATION),
            TargetKind::PushSecret => (&self.pushes, REFRESH_ANNOTATION),
        };
        let namespace = (!target.is_owner()).then(|| target.namespace());
        let patch = json!({ "metadata": { "annotations": { annotation: value.to_string() } } });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let url = Object::url_path(resource, namespace);
        let request =
            Request::new(url).patch_metadata(target.name(), &params, &Patch::Merge(patch))?;
        self.send(request).await
    }

    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<(), RefreshError> {
        let response = self.client.send(request.map(Body::from)).await?;
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

/// `details.retryAfterSeconds`, else the header, which is all there is when the API server turns
/// requests away before it reads them (apiserver `filters/maxinflight.go`).
fn retry_after(status: &Status, headers: &HeaderMap) -> Option<Duration> {
    let details = status.details.as_ref();
    let details = details.map(|details| u64::from(details.retry_after_seconds));
    let header = || headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok();
    let seconds = details.filter(|seconds| *seconds > 0).or_else(header);
    seconds.map(Duration::from_secs)
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
