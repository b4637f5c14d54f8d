//! Errors of requests to the API, and the one table of what is retried and what is final.

use crate::object::{Fault, Outcome};
use http::{HeaderMap, header::RETRY_AFTER};
use kube::core::Status;
use std::time::Duration;

/// The retry delay for what only an operator can fix, such as a missing permission.
const SLOW: Duration = Duration::from_secs(60);

/// Independent of the patches' timeout, which may be longer because a webhook is slow.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request failed; [`Outcome::of`] decides on the consequence.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The API answered with a failure. `code` is the HTTP status, whatever the body says.
    #[error("{} {}: {}", status.code, status.reason, status.message)]
    Api {
        status: Box<Status>,
        retry_after: Option<Duration>,
    },
    /// No request can be built for this object.
    #[error(transparent)]
    Request(#[from] kube::core::request::Error),
    /// The request could not be sent, or its response not be received.
    #[error("{}", crate::kubernetes::chain(.0))]
    Connection(#[from] kube::Error),
    #[error("no answer within {0:?} (setting `kubernetes.patch_timeout`)")]
    Timeout(Duration),
    #[error("no answer within {PROBE_TIMEOUT:?}")]
    Unanswered,
}

impl RefreshError {
    /// The HTTP status of the API's answer, if there is one.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } => Some(status.code),
            Self::Request(_) | Self::Connection(_) | Self::Timeout(_) | Self::Unanswered => None,
        }
    }
}

/// `details.retryAfterSeconds`, or the header, which alone is set when the API server rejects requests before it
/// reads them (apiserver `filters/maxinflight.go`).
pub(super) fn retry_after(status: &Status, headers: &HeaderMap) -> Option<Duration> {
    let details = status.details.as_ref();
    let details = details.map(|details| u64::from(details.retry_after_seconds));
    let header = || headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok();
    let seconds = details.filter(|seconds| *seconds > 0).or_else(header);
    seconds.map(Duration::from_secs)
}

impl Outcome {
    /// | result of the patch | outcome |
    /// |---|---|
    /// | success | done |
    /// | 404, the object is gone | gone |
    /// | 404, the API or the kind is gone | retry, cluster |
    /// | 400, 413, 422, or no request can be made | refused |
    /// | 403, denied by admission | refused |
    /// | 403 | retry slowly, permission |
    /// | 409 | retry, target |
    /// | 500, its admission webhook does not answer | retry, target |
    /// | 500, too large for etcd | refused |
    /// | 408, 429, 5xx, redirections, no connection, TLS, timeout | retry, cluster |
    /// | 401, any other 4xx | retry slowly, target |
    ///
    /// A delay that the API asks for takes precedence.
    pub fn of(result: Result<(), RefreshError>) -> Self {
        let Err(failure) = result else {
            return Self::Done;
        };
        let error = failure.to_string();
        match failure {
            RefreshError::Api {
                status,
                retry_after,
            } => Self::of_status(&status, retry_after, error),
            RefreshError::Request(_) => Self::Refused { error },
            RefreshError::Connection(_) | RefreshError::Timeout(_) | RefreshError::Unanswered => {
                Self::Retry {
                    fault: Fault::Cluster,
                    after: None,
                    error,
                }
            }
        }
    }

    fn of_status(status: &Status, retry_after: Option<Duration>, error: String) -> Self {
        let (fault, after) = match status.code {
            404 if names_an_object(status) => return Self::Gone,
            400 | 413 | 422 => return Self::Refused { error },
            403 if is_admission_denial(status) => return Self::Refused { error },
            404 | 408 | 429 => (Fault::Cluster, None),
            409 => (Fault::Object, None),
            500 if is_webhook_away(status) => (Fault::Object, None),
            500 if is_too_large(status) => return Self::Refused { error },
            403 => (Fault::Permission, Some(SLOW)),
            400..=499 => (Fault::Object, Some(SLOW)),
            _ => (Fault::Cluster, None),
        };
        Self::Retry {
            fault,
            after: retry_after.or(after),
            error,
        }
    }
}

/// Whether a refresh in two steps continues with the second after this failure of the first: the reset is refused
/// or not permitted, or an old API has no status subresource.
pub(crate) fn may_skip_reset(failure: &RefreshError) -> bool {
    let RefreshError::Api { status, .. } = failure else {
        return false;
    };
    match status.code {
        404 => !names_an_object(status),
        400 | 403 | 405 | 413 | 422 => true,
        _ => false,
    }
}

/// Whether the kind is missing and not the object: the API may serve it in another version.
pub(crate) fn is_kind_missing(status: &Status) -> bool {
    status.code == 404 && !names_an_object(status)
}

/// Kubernetes names the object that it did not find; without a name the path is unknown.
fn names_an_object(status: &Status) -> bool {
    let details = status.details.as_ref();
    details.is_some_and(|details| !details.name.is_empty())
}

/// A webhook's refusal has the code of a missing permission unless the webhook sets another; the text
/// distinguishes them (apiserver `admission/plugin/webhook/errors`: "admission webhook … denied the
/// request"; `admission/plugin/policy/validating`: "`ValidatingAdmissionPolicy` … denied request").
fn is_admission_denial(status: &Status) -> bool {
    let message = &status.message;
    (message.starts_with("admission webhook ") && message.contains(" denied the request"))
        || (message.contains("ValidatingAdmissionPolicy ") && message.contains(" denied request"))
}

/// A webhook with `failurePolicy: Fail` does not answer (apiserver `webhook/util/error.go`). It is called for some
/// objects only, often those of one namespace.
fn is_webhook_away(status: &Status) -> bool {
    status.message.contains("failed calling webhook ")
}

/// The object is too large for etcd (etcd `rpctypes/error.go`; gRPC's error when it is larger still).
fn is_too_large(status: &Status) -> bool {
    let message = &status.message;
    message.contains("etcdserver: request is too large")
        || message.contains("trying to send message larger than max")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str, name: &str, retry_after: u64) -> RefreshError {
        let status = serde_json::json!({
            "code": code, "message": message, "details": { "name": name },
        });
        RefreshError::Api {
            status: serde_json::from_value(status).unwrap(),
            retry_after: (retry_after > 0).then(|| Duration::from_secs(retry_after)),
        }
    }

    /// The outcome in short, with the delay in seconds if it is fixed.
    fn short(outcome: &Outcome) -> (&'static str, Option<u64>) {
        match outcome {
            Outcome::Done => ("done", None),
            Outcome::Gone => ("gone", None),
            Outcome::Refused { .. } => ("refused", None),
            Outcome::Retry { fault, after, .. } => {
                let fault = match fault {
                    Fault::Cluster => "cluster",
                    Fault::Object => "target",
                    Fault::Permission => "permission",
                };
                (fault, after.map(|after| after.as_secs()))
            }
        }
    }

    #[test]
    fn every_answer_of_the_api_has_its_outcome() {
        const WEBHOOK: &str = r#"admission webhook "validate.externalsecret.external-secrets.io" denied the request: no"#;
        const POLICY: &str = r#"externalsecrets.external-secrets.io "db" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"#;
        const RBAC: &str = r#"externalsecrets.external-secrets.io "db" is forbidden: User "x" cannot patch resource"#;
        const WEBHOOK_AWAY: &str = r#"Internal error occurred: failed calling webhook "a.example.org": failed to call webhook: Post "https://a.b.svc:443/?timeout=10s": dial tcp 10.0.0.1:443: connect: connection refused"#;
        const TOO_LARGE: &str = "etcdserver: request is too large";
        let cases = [
            (404, "", "db", 0, ("gone", None)),
            (404, "404 page not found", "", 0, ("cluster", None)),
            (400, "", "db", 0, ("refused", None)),
            (413, "", "", 0, ("refused", None)),
            (422, "", "db", 0, ("refused", None)),
            (403, WEBHOOK, "", 0, ("refused", None)),
            (403, POLICY, "db", 0, ("refused", None)),
            (403, RBAC, "db", 0, ("permission", Some(60))),
            (401, "Unauthorized", "", 0, ("target", Some(60))),
            (405, "", "", 0, ("target", Some(60))),
            (409, "", "db", 0, ("target", None)),
            (429, "", "", 0, ("cluster", None)),
            (429, "", "", 7, ("cluster", Some(7))),
            (500, "", "", 0, ("cluster", None)),
            (500, WEBHOOK_AWAY, "", 0, ("target", None)),
            (500, TOO_LARGE, "", 0, ("refused", None)),
            (500, "etcdserver: no leader", "", 0, ("cluster", None)),
            (503, "", "", 3, ("cluster", Some(3))),
            (504, "", "", 0, ("cluster", None)),
            (302, "", "", 0, ("cluster", None)),
        ];
        for (code, message, name, after, expected) in cases {
            let outcome = Outcome::of(Err(status(code, message, name, after)));
            assert_eq!(short(&outcome), expected, "{code} {message}");
        }
        assert_eq!(Outcome::of(Ok(())), Outcome::Done);
    }

    #[test]
    fn a_refused_reset_is_skipped() {
        for (code, name, goes_on) in [
            (403, "db", true),
            (404, "", true),
            (404, "db", false),
            (405, "", true),
            (422, "db", true),
            (401, "", false),
            (409, "db", false),
            (429, "", false),
            (500, "", false),
        ] {
            let found = may_skip_reset(&status(code, "", name, 0));
            assert_eq!(found, goes_on, "{code}");
        }
        let timeout = RefreshError::Timeout(Duration::from_secs(5));
        assert!(!may_skip_reset(&timeout));
    }

    #[test]
    fn what_never_got_an_answer_is_the_clusters_fault() {
        let timeout = RefreshError::Timeout(Duration::from_secs(5));
        assert_eq!(short(&Outcome::of(Err(timeout))), ("cluster", None));
        let connection = RefreshError::Connection(kube::Error::Service("refused".into()));
        assert_eq!(short(&Outcome::of(Err(connection))), ("cluster", None));
    }
}
