//! GitLab's webhooks: <https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers>.
//!
//! Headers tell the id and the type; which secret an event is about, only the configuration knows.

use http::HeaderMap;

use super::{
    DecodeError, checked_type,
    generic::{Envelope, header},
    json::Scalar,
    usable_id,
};

pub(super) fn envelope(headers: &HeaderMap) -> Result<Envelope, DecodeError> {
    Ok(Envelope {
        // Since 17.4, and the same when GitLab tries again.
        id: usable_id(Scalar::of_header(headers, "Idempotency-Key")),
        // GitLab guards against loops with it: a new one at each attempt, and one and the same for
        // all events of a request that a webhook caused. As an id it would swallow changes.
        reference: usable_id(Scalar::of_header(headers, "X-Gitlab-Event-UUID")),
        kind: header(headers, "X-Gitlab-Event", checked_type)?,
        ..Envelope::default()
    })
}
