//! Reads events from a file: a batch as in the stream, or the output of `explain` and `dead show`.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use eso_relay::{
    Event,
    command::{self, Failure},
    event::decode_batch,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The output of a command that contains events.
#[derive(Default, Deserialize)]
struct Envelope<'a> {
    /// Of `explain`.
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    /// Of `dead show`.
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

pub(super) fn events(file: &Path) -> Result<Vec<Event>, Failure> {
    let text = command::read(file)?;
    Ok(parse(&text).with_context(|| format!("{} holds no events", file.display()))?)
}

/// One event or a batch, alone or within the output of our own commands.
fn parse(text: &[u8]) -> anyhow::Result<Vec<Event>> {
    let is_object = |text: &[u8]| text.trim_ascii_start().starts_with(b"{");
    let around: Envelope<'_> = if is_object(text) {
        serde_json::from_slice(text).unwrap_or_default()
    } else {
        Envelope::default()
    };
    let within = around.events.or(around.body);
    let events = within.map_or(text, |events| events.get().as_bytes());
    // A dead letter is mostly one event.
    let batch = if is_object(events) {
        [b"[", events, b"]"].concat()
    } else {
        events.to_vec()
    };
    let events = decode_batch(&batch)?.into_iter().enumerate();
    events
        .map(|(index, event)| event.map_err(|error| anyhow!("element {index}: {error}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use eso_relay::event::encode_batch;

    use super::*;
    use crate::tests::event;

    #[test]
    fn events_are_parsed_in_every_form() {
        let events = [event("one"), event("two")];
        let batch = String::from_utf8(encode_batch(&events).into()).unwrap();
        let alone = encode_batch(&events[..1]);
        let alone = std::str::from_utf8(&alone)
            .unwrap()
            .trim_matches(['[', ']']);
        let dead = format!(r#"{{"sequence": 1, "reason": "gone", "body": {alone}}}"#);
        for text in [alone, &dead] {
            assert_eq!(parse(text.as_bytes()).unwrap(), events[..1], "{text}");
        }
        for text in [
            batch.clone(),
            format!(r#"{{"authenticated": false, "events": {batch}, "ignored": []}}"#),
            format!(r#"{{"sequence": 1, "reason": "gone", "body": {batch}}}"#),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), events, "{text}");
        }
    }

    #[test]
    fn what_is_no_event_is_named_by_its_place_and_never_quoted() {
        for (text, said) in [
            ("", "not a JSON array"),
            ("hunter2", "not a JSON array"),
            ("[]", "an empty batch"),
            (r#"{"events": []}"#, "an empty batch"),
            (r#"{"item_name": "hunter2"}"#, "element 0: not an event"),
        ] {
            let error = format!("{:#}", parse(text.as_bytes()).unwrap_err());
            assert!(
                error.contains(said) && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
