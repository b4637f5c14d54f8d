//! The answers to requests that publish no event: the only table of statuses.
//!
//! Final faults are 4xx. Every transient one is 503 with `Retry-After`, never a 4xx: many senders
//! drop an event at any 4xx, 429 included.

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    answer::{Response, empty, json},
    body::Unread,
    publish::PublishError,
    source::DecodeError,
    verify::{CodingError, Refused, Scheme},
};

/// Long enough for a reconnect, short enough for senders that retry for a minute only.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The same for an unknown path and an unknown source.
    #[error("there is nothing at this path")]
    NotFound,
    #[error("this path takes no such request: a webhook is a POST")]
    Method,
    /// To an OPTIONS request by which a sender asks whether it may send.
    #[error("WebHook-Request-Origin is missing, or no origin that may send here")]
    Origin,
    /// With the scheme to name in `WWW-Authenticate`.
    #[error("missing or wrong credentials")]
    Unauthorized(Option<&'static str>),
    /// The keys or certificates to verify the sender are unavailable.
    #[error("the credentials cannot be verified now; try again")]
    Unverifiable,
    /// The URL that confirms the subscription cannot be fetched.
    #[error("the subscription cannot be confirmed now; try again")]
    Unconfirmed,
    /// The URL that confirms the subscription is at a host that the source does not allow.
    #[error("the subscription is not confirmed at this host (setting `confirm` of the source)")]
    Unwanted,
    #[error("the body is larger than this server takes")]
    TooLarge,
    /// 413 for a body that is too large once it is decoded, 415 for an unknown coding.
    #[error(transparent)]
    Coding(#[from] CodingError),
    #[error("the body did not arrive in time; try again")]
    TooSlow,
    #[error("the body did not arrive whole")]
    Broken,
    #[error("too many requests at once; try again")]
    Overloaded,
    /// The source exceeds its `limits.requests_per_second`.
    #[error("more requests than this source may send in a second; try again")]
    RateLimited,
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Well-formed, and nothing in it that changes a secret.
    #[error("nothing in the body changes a secret")]
    Irrelevant,
    #[error("{}", published(*.0))]
    Publish(#[from] PublishError),
}

#[derive(Serialize)]
struct Answer {
    code: &'static str,
    message: String,
}

/// Names no servers, streams or addresses.
fn published(error: PublishError) -> &'static str {
    match error {
        PublishError::TooLarge => "an event is larger than this server takes",
        PublishError::AboveLimits => {
            "an event is larger than the stream takes at the moment; try again later"
        }
        _ => "the event could not be stored; try again",
    }
}

impl Error {
    pub(crate) fn refused(scheme: &Scheme, refused: Refused) -> Self {
        match refused {
            Refused::Unauthorized(_) => Self::Unauthorized(scheme.challenge()),
            Refused::Unavailable => Self::Unverifiable,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Origin | Self::Unwanted => StatusCode::FORBIDDEN,
            // A client that closed the connection reads no answer; any other body that breaks off is not HTTP.
            Self::Broken
            | Self::Coding(CodingError::Broken)
            | Self::Decode(DecodeError::NotJson { .. }) => StatusCode::BAD_REQUEST,
            Self::Decode(DecodeError::Malformed(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Coding(CodingError::Unsupported) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Irrelevant => StatusCode::NO_CONTENT,
            Self::TooLarge
            | Self::Coding(CodingError::TooLarge)
            | Self::Decode(DecodeError::TooMany(_))
            | Self::Publish(PublishError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow
            | Self::Overloaded
            | Self::RateLimited
            | Self::Unverifiable
            | Self::Unconfirmed
            | Self::Publish(
                PublishError::QueueFull
                | PublishError::Disconnected
                | PublishError::StreamUnusable
                | PublishError::StreamFull
                | PublishError::AboveLimits
                | PublishError::NoAck,
            ) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Stable; also the `result` in the metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Method => "method_not_allowed",
            Self::Origin => "origin",
            Self::Unauthorized(_) => "unauthorized",
            Self::Unverifiable => "unverifiable",
            Self::Unconfirmed => "unconfirmed",
            Self::Unwanted => "unwanted",
            Self::TooLarge
            | Self::Coding(CodingError::TooLarge)
            | Self::Publish(PublishError::TooLarge) => "too_large",
            Self::Coding(CodingError::Unsupported | CodingError::Broken) => "coding",
            Self::TooSlow => "too_slow",
            Self::Broken => "broken_body",
            Self::Overloaded => "overloaded",
            Self::RateLimited => "rate_limited",
            Self::Decode(DecodeError::NotJson { .. }) => "not_json",
            Self::Decode(DecodeError::Malformed(_)) => "malformed",
            Self::Decode(DecodeError::TooMany(_)) => "too_many",
            Self::Irrelevant => "irrelevant",
            Self::Publish(PublishError::QueueFull) => "queue_full",
            Self::Publish(PublishError::Disconnected) => "disconnected",
            Self::Publish(PublishError::StreamUnusable) => "stream_unusable",
            Self::Publish(PublishError::StreamFull) => "stream_full",
            Self::Publish(PublishError::AboveLimits) => "above_limits",
            Self::Publish(PublishError::NoAck) => "no_ack",
        }
    }

    pub(crate) fn into_response(self) -> Response {
        let status = self.status();
        if status == StatusCode::NO_CONTENT {
            return empty(status);
        }
        let answer = Answer {
            code: self.code(),
            message: self.to_string(),
        };
        let mut response = json(status, &answer);
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if let Self::Unauthorized(Some(challenge)) = self {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}

/// Why a request published no event.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The sender is not authenticated: `fail_open` does not apply, and its log lines are limited.
    pub(crate) unauthenticated: bool,
}

impl From<Unread> for Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::TooLarge,
            Unread::Overloaded => Self::Overloaded,
            Unread::TooSlow => Self::TooSlow,
            Unread::Broken => Self::Broken,
        }
    }
}

impl Failure {
    pub(crate) fn unauthenticated(error: Error) -> Self {
        Self {
            error,
            unauthenticated: true,
        }
    }
}

/// Of an authenticated sender.
impl<E> From<E> for Failure
where
    Error: From<E>,
{
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            unauthenticated: false,
        }
    }
}
