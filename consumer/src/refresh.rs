//! The patch that makes ESO refresh an ExternalSecret, or all that a ClusterExternalSecret owns, or push a
//! PushSecret.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use kube::{
    Resource as _,
    api::{Patch, PatchParams},
    client::Body,
    core::{Request, Status},
};
use serde_json::json;

use crate::{
    FORCE_SYNC_ANNOTATION, REFRESH_ANNOTATION,
    index::ListKind,
    kubernetes::{Object, Served},
    target::{Target, TargetKind},
    value::Value,
};

/// Who owns the annotation, in `metadata.managedFields`.
const FIELD_MANAGER: &str = "eso-relay";
/// The most of an answer's text that is kept when it is not a Kubernetes `Status`.
const MAX_TEXT: usize = 200;

/// Writes annotations. Cheap to clone.
#[derive(Clone)]
pub struct Refresher {
    served: Served,
    timeout: Duration,
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
}

impl Refresher {
    /// `timeout` holds for a patch from connecting to the end of the answer.
    pub fn new(served: Served, timeout: Duration) -> Self {
        Self { served, timeout }
    }

    /// Once. Writing a value that the object carries already changes nothing and is a success.
    pub async fn refresh(&self, target: &Target, value: Value) -> Result<(), RefreshError> {
        let patch = tokio::time::timeout(self.timeout, self.patch(target, value)).await;
        patch.unwrap_or(Err(RefreshError::Timeout(self.timeout)))
    }

    /// A merge patch of one annotation without resourceVersion conflicts with nobody. The answer
    /// is asked for as metadata, which is small, and is not looked at.
    async fn patch(&self, target: &Target, value: Value) -> Result<(), RefreshError> {
        let (kind, annotation) = match target.kind() {
            TargetKind::ClusterExternalSecret => {
                (ListKind::ClusterExternalSecrets, FORCE_SYNC_ANNOTATION)
            }
            TargetKind::ExternalSecret => (ListKind::ExternalSecrets, REFRESH_ANNOTATION),
            TargetKind::PushSecret => (ListKind::PushSecrets, REFRESH_ANNOTATION),
        };
        let version = self.served.version();
        let namespace = (!target.is_owner()).then(|| target.namespace());
        let patch = json!({ "metadata": { "annotations": { annotation: value.to_string() } } });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let url = Object::url_path(&version.resource(kind), namespace);
        let request =
            Request::new(url).patch_metadata(target.name(), &params, &Patch::Merge(patch))?;
        let response = self.served.client().send(request.map(Body::from)).await?;
        let (head, body) = response.into_parts();
        // Read to its end, so that the connection can be used again.
        let body = body.collect_bytes().await?;
        if head.status.is_success() {
            return Ok(());
        }
        let mut status: Status = serde_json::from_slice(&body).unwrap_or_else(|_| plain(&body));
        status.code = head.status.as_u16();
        let object = status.details.as_ref().map(|details| &details.name);
        if status.code == 404 && object.is_none_or(String::is_empty) {
            // Not the object is gone but its kind.
            self.served.is_missing(version);
        }
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
