//! GitLab's webhooks: <https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers>.
//!
//! Headers tell the id and the type; `mapping` tells which secret an event is about.

use http::HeaderMap;

use super::{
    DecodeError, checked_type,
    generic::{Envelope, header},
    json::Scalar,
    usable_id,
};

pub(super) fn envelope(headers: &HeaderMap) -> Result<Envelope, DecodeError> {
    Ok(Envelope {
        // Since 17.4, and the same when GitLab retries.
        id: usable_id(Scalar::of_header(headers, "Idempotency-Key")),
        // For GitLab's protection against loops: new at each attempt, and shared by all events of a request
        // that a webhook caused. As an id it would drop changes.
        reference: usable_id(Scalar::of_header(headers, "X-Gitlab-Event-UUID")),
        kind: header(headers, "X-Gitlab-Event", checked_type)?,
        ..Envelope::default()
    })
}
