//! Why a request of ours to the API failed.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use kube::core::Status;

/// Whatever the patches' timeout: one may be short because a webhook is slow.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why an annotation could not be written; what follows from it stands in [`crate::kubernetes::outcome`].
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

/// `details.retryAfterSeconds`, else the header, which is all there is when the API server turns
/// requests away before it reads them (apiserver `filters/maxinflight.go`).
pub(super) fn retry_after(status: &Status, headers: &HeaderMap) -> Option<Duration> {
    let details = status.details.as_ref();
    let details = details.map(|details| u64::from(details.retry_after_seconds));
    let header = || headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok();
    let seconds = details.filter(|seconds| *seconds > 0).or_else(header);
    seconds.map(Duration::from_secs)
}
