//! Errors as the API says them: a `Status` object with its reason, code and details.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::call::Call;

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Failure {
    pub(super) fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason(code),
            message: message.into(),
            details: json!({}),
        }
    }

    pub(super) fn about(code: StatusCode, call: &Call, message: impl Into<String>) -> Self {
        Self {
            details: call.details(),
            ..Self::new(code, message)
        }
    }

    pub(super) fn not_found(call: &Call) -> Self {
        let (kind, name) = (call.kind.plural(), call.name.as_deref().unwrap_or_default());
        Self::about(
            StatusCode::NOT_FOUND,
            call,
            format!("{kind} \"{name}\" not found"),
        )
    }

    /// 409 for a name that is taken; a lost race has that code, too, and another reason.
    pub(super) fn already_exists(call: &Call) -> Self {
        let (kind, name) = (call.kind.plural(), call.name.as_deref().unwrap_or_default());
        let message = format!("{kind} \"{name}\" already exists");
        Self {
            reason: "AlreadyExists",
            ..Self::about(StatusCode::CONFLICT, call, message)
        }
    }

    pub(super) fn forbidden(call: &Call) -> Self {
        let user = call.token.as_deref().unwrap_or("system:anonymous");
        let verb = format!("{:?}", call.verb).to_lowercase();
        let scope = match &call.namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        let (plural, group) = (call.kind.plural(), call.kind.group());
        let resource = if call.status {
            format!("{plural}/status")
        } else {
            plural.to_owned()
        };
        Self::about(
            StatusCode::FORBIDDEN,
            call,
            format!(
                "{plural} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {scope}"
            ),
        )
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("the server could not find the requested resource ({path})"),
        )
    }

    pub(super) fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "the server does not allow this method on the requested resource",
        )
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 410, for a version that the history no longer holds.
    pub(super) fn expired(version: u64) -> Self {
        Self::new(
            StatusCode::GONE,
            format!("too old resource version: {version}"),
        )
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.details["retryAfterSeconds"] = seconds.into();
        self
    }

    pub(super) fn status(&self) -> Value {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code.as_u16(),
        })
    }
}

/// The reasons of `k8s.io/apimachinery/pkg/apis/meta/v1/types.go`.
fn reason(code: StatusCode) -> &'static str {
    match code.as_u16() {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Expired",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (
            self.code,
            [(header::CONTENT_TYPE, "application/json")],
            self.status().to_string(),
        )
            .into_response();
        if let Some(seconds) = self.details["retryAfterSeconds"].as_u64() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
