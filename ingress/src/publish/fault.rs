//! What a failed attempt to publish means.

use std::error::Error as _;

use async_nats::jetstream::{
    self, ErrorCode,
    context::{PublishError, PublishErrorKind},
};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It may have been stored or not: send the same again.
    Transient,
    /// The stream or the account is full, or the server is overloaded.
    Full,
    /// Larger than the stream or the server allows.
    TooLarge,
    /// The stream is misconfigured; an operator must correct it.
    Refused(String),
}

impl Fault {
    pub(super) fn of(error: &PublishError) -> Self {
        let refused = error
            .source()
            .and_then(|source| source.downcast_ref::<jetstream::Error>());
        match error.kind() {
            // StreamNotFound also stands for no responders: an election, or a server that is starting.
            PublishErrorKind::TimedOut
            | PublishErrorKind::StreamNotFound
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::MaxAckPending => Self::Transient,
            PublishErrorKind::MaxPayloadExceeded => Self::TooLarge,
            _ => match refused {
                Some(refused) => Self::of_code(refused.error_code())
                    .unwrap_or_else(|| Self::Refused(refused.to_string())),
                None => Self::Refused(error.to_string()),
            },
        }
    }

    fn of_code(code: ErrorCode) -> Option<Self> {
        match code {
            ErrorCode::STREAM_STORE_FAILED
            | ErrorCode::STREAM_TOO_MANY_REQUESTS
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => Some(Self::Full),
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => Some(Self::TooLarge),
            // The second: an earlier attempt under the same id is on its way through the replicas.
            ErrorCode::CLUSTER_NOT_AVAILABLE | ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT => {
                Some(Self::Transient)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u64) -> Fault {
        let answer = serde_json::json!({ "code": 503, "err_code": code, "description": "why" });
        let error: jetstream::Error = serde_json::from_value(answer).unwrap();
        Fault::of(&PublishError::with_source(PublishErrorKind::Other, error))
    }

    #[test]
    fn an_attempt_of_unknown_outcome_is_repeated() {
        for kind in [
            PublishErrorKind::TimedOut,
            PublishErrorKind::StreamNotFound,
            PublishErrorKind::BrokenPipe,
            PublishErrorKind::MaxAckPending,
        ] {
            assert_eq!(Fault::of(&PublishError::new(kind)), Fault::Transient);
        }
        for code in [10008, 10158] {
            assert_eq!(refusal(code), Fault::Transient, "{code}");
        }
    }

    #[test]
    fn no_room_is_not_repeated() {
        for code in [10002, 10023, 10047, 10077, 10167] {
            assert_eq!(refusal(code), Fault::Full, "{code}");
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_told_from_a_stream_that_is_not_as_it_should_be() {
        let local = PublishError::new(PublishErrorKind::MaxPayloadExceeded);
        assert_eq!(Fault::of(&local), Fault::TooLarge);
        assert_eq!(refusal(10054), Fault::TooLarge);
        let Fault::Refused(reason) = refusal(10060) else {
            panic!("another stream than the expected one is no passing trouble");
        };
        assert!(reason.contains("10060"), "{reason}");
    }
}
