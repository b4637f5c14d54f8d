//! GitHub's webhooks: <https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers>.
//!
//! Headers tell the id and the type; which secret an event is about, only the configuration knows.

use http::HeaderMap;

use super::{
    DecodeError, Irrelevant, checked_id, checked_type,
    generic::{Envelope, header},
};

pub(super) fn envelope(headers: &HeaderMap) -> Result<Envelope, DecodeError> {
    let kind = header(headers, "X-GitHub-Event", checked_type)?;
    Ok(Envelope {
        // The same when somebody presses *Redeliver*.
        id: header(headers, "X-GitHub-Delivery", checked_id)?,
        // Sent when a webhook is made.
        irrelevant: (kind.as_deref() == Some("ping")).then_some(Irrelevant::Test),
        kind,
        ..Envelope::default()
    })
}
