//! Answers the handshake with which a sender checks an endpoint before it sends events.

use eso_relay::Slug;
use http::StatusCode;
use serde::Serialize;
use tracing::{info, warn};

use crate::{
    answer::{Response, empty, json},
    error::Error,
    outgoing::Outgoing,
    source::Handshake,
};

/// Bytes. SNS answers with less than one thousand.
const LARGEST: usize = 64 * 1024;

/// The answer that Azure Event Grid expects:
/// <https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema>.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Validation {
    validation_response: String,
}

/// The answer is 200 and no other success: senders of handshakes want it so.
pub(crate) async fn answer(
    source: &Slug,
    handshake: Handshake,
    outgoing: &Outgoing,
) -> Result<Response, Error> {
    match handshake {
        Handshake::Validation { code } => {
            info!(%source, "validated the endpoint");
            let answer = Validation {
                validation_response: code,
            };
            return Ok(json(StatusCode::OK, &answer));
        }
        Handshake::Unwanted { host } => {
            let host = host.as_deref().unwrap_or("-");
            warn!(%source, host, "not confirming a subscription at a host that the source's `confirm` does not name: add the host and let the sender ask again, or remove the subscription");
            return Err(Error::Unwanted);
        }
        Handshake::Confirmation { url } => {
            if let Err(error) = outgoing.get(&url, LARGEST).await {
                warn!(%source, %url, %error, "cannot confirm the subscription");
                return Err(Error::Unconfirmed);
            }
            info!(%source, %url, "confirmed the subscription");
        }
        // Not confirmed again: the subscription may have been removed on purpose.
        Handshake::Unsubscribed => {
            warn!(%source, "the subscription was removed; its topic sends no more events");
        }
    }
    Ok(empty(StatusCode::OK))
}

#[cfg(test)]
mod tests;
