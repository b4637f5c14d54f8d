//! How a sender makes sure that somebody wants its webhooks, before it sends any.

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use eso_relay::Slug;
use serde::Serialize;
use tracing::{info, warn};

use crate::{
    error::{Error, json},
    outgoing::Outgoing,
    source::Handshake,
};

/// Bytes. SNS answers with less than one thousand.
const LARGEST: usize = 64 * 1024;

/// What Azure Event Grid waits for:
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
            warn!(%source, host, "a subscription is to be confirmed at a host that the source's `confirm` does not name: add it there and let the sender ask again, or remove the subscription");
            return Err(Error::Unwanted);
        }
        Handshake::Confirmation { url } => {
            if let Err(error) = outgoing.get(&url, LARGEST).await {
                warn!(%source, %url, %error, "cannot confirm the subscription");
                return Err(Error::Unconfirmed);
            }
            info!(%source, %url, "confirmed the subscription");
        }
        // Not subscribed anew: whoever ended it may have meant it.
        Handshake::Farewell => {
            warn!(%source, "the subscription has ended; no more events come from its topic");
        }
    }
    Ok(StatusCode::OK.into_response())
}

#[cfg(test)]
mod tests;
