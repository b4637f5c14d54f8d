//! A letter is superseded when a newer event has refreshed the same in its cluster: a refresh reads the current value, so
//! another one for the letter would change nothing.

use std::collections::HashMap;

use anyhow::Context as _;
use async_nats::jetstream::{Context, stream::LastRawMessageErrorKind};
use bytes::Bytes;
use eso_relay::{
    Event, Slug,
    event::{Fingerprint, Reach, decode_batch},
    stream::{Receipt, Start, Stream, receipt},
};
use jiff::Timestamp;

use super::letter::Letter;
use crate::cli::{
    again::meaning,
    output::timestamp,
    scan::{Scan, scan},
};

/// Of a letter's newer events, the receipts of so many are read, the newest first.
const RECEIPTS: usize = 10;

/// A newer event of the same.
struct Newer {
    id: String,
    source: Slug,
    fingerprint: Fingerprint,
}

/// Where a letter's event stands.
struct Place {
    letter: usize,
    cluster: Slug,
    sequence: u64,
    asked_at: Timestamp,
    id: String,
    reach: Reach,
    newer: Vec<Newer>,
}

/// Writes into each letter what supersedes it. A letter of several events is never superseded.
pub(super) async fn look(jetstream: &Context, letters: &mut [Letter]) -> anyhow::Result<()> {
    let mut places: HashMap<Bytes, Vec<Place>> = HashMap::new();
    for (at, letter) in letters.iter().enumerate() {
        if let Some((same, place)) = place(at, letter) {
            places.entry(same).or_default().push(place);
        }
    }
    let asked = places.values().flatten().map(|place| place.asked_at);
    let Some(first) = asked.min() else {
        return Ok(());
    };
    let events = Scan {
        stream: Stream::Events,
        filter: Stream::Events.subjects().to_owned(),
        start: Start::At(first).into(),
        headers_only: false,
    };
    scan(jetstream, events, |message, info| {
        let published = timestamp(info.published);
        for event in decode_batch(&message.payload)
            .into_iter()
            .flatten()
            .flatten()
        {
            for place in places.get_mut(&same(&event)).into_iter().flatten() {
                if place.is_before(info.stream_sequence, published, &event) {
                    place.newer.push(Newer {
                        fingerprint: event.fingerprint(),
                        source: event.source.clone(),
                        id: event.id.clone(),
                    });
                }
            }
        }
    })
    .await?;
    for place in places.values().flatten() {
        for newer in place.newer.iter().rev().take(RECEIPTS) {
            if has_refreshed(jetstream, &place.cluster, newer).await? {
                letters[place.letter].superseded_by = Some(newer.id.clone());
                break;
            }
        }
    }
    Ok(())
}

fn place(letter_at: usize, letter: &Letter) -> Option<(Bytes, Place)> {
    let [event] = letter.events.as_deref()? else {
        return None;
    };
    let place = Place {
        letter: letter_at,
        cluster: letter.cluster.parse().ok()?,
        sequence: letter.event_sequence.parse().unwrap_or(0),
        asked_at: event.asked_at(),
        id: event.id.clone(),
        reach: anywhere(event.target.clone()),
        newer: Vec::new(),
    };
    Some((same(event), place))
}

impl Place {
    /// Whether the event came after this one, and reaches all that it reaches in its cluster.
    fn is_before(&self, sequence: u64, published: Timestamp, event: &Event) -> bool {
        let reach = anywhere(event.target.clone());
        sequence > self.sequence
            && published >= self.asked_at
            && event.id != self.id
            && event.reaches_cluster(&self.cluster)
            && (reach == Reach::default() || reach == self.reach)
    }
}

/// The same in any cluster.
fn anywhere(reach: Option<Reach>) -> Reach {
    Reach {
        clusters: Vec::new(),
        ..reach.unwrap_or_default()
    }
}

/// Equal for events of the same secret, whichever source tells of it.
fn same(event: &Event) -> Bytes {
    // OK because it is a slug.
    let any = "any".parse().expect("a slug");
    meaning(&Event {
        source: any,
        target: None,
        settle: None,
        restart: false,
        ..event.clone()
    })
}

async fn has_refreshed(jetstream: &Context, cluster: &Slug, event: &Newer) -> anyhow::Result<bool> {
    let stream = jetstream.get_stream_no_info(Stream::Receipts.name()).await;
    let stream = stream.context("cannot look at the receipts")?;
    let subject = receipt::subject(cluster, &event.source, event.fingerprint);
    match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => Ok(serde_json::from_slice::<Receipt>(&message.payload)
            .is_ok_and(|receipt| receipt.is_well() && receipt.counts.synced > 0)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
        Err(error) => Err(error).context("cannot read a receipt"),
    }
}

#[cfg(test)]
mod tests {
    use eso_relay::event::{Keys, Match, Pattern};

    use super::*;

    fn event(id: &str) -> Event {
        let source = "prod".parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        Event {
            matches: Match::Exact(Keys::one("/prod/db").unwrap()),
            ..Event::refresh_everything(source, id.to_owned(), Reach::default(), now)
        }
    }

    fn team(event: Event) -> Event {
        let namespaces = vec![Pattern::new("team-a")];
        Event {
            target: Some(Reach {
                namespaces,
                ..Reach::default()
            }),
            ..event
        }
    }

    /// Where the event of a letter of `east` stands: at 5.
    fn at_five(event: &Event) -> Place {
        Place {
            letter: 0,
            cluster: "east".parse().unwrap(),
            sequence: 5,
            asked_at: event.asked_at(),
            id: event.id.clone(),
            reach: anywhere(event.target.clone()),
            newer: Vec::new(),
        }
    }

    #[test]
    fn only_a_newer_event_that_reaches_as_much_counts() {
        let west = Event {
            target: Some(Reach {
                clusters: vec![Pattern::new("west")],
                ..Reach::default()
            }),
            ..event("2")
        };
        for (letter, newer, sequence, expected) in [
            (event("1"), event("2"), 6, true),
            (event("1"), event("2"), 4, false),
            (event("1"), event("1"), 6, false),
            (event("1"), west, 6, false),
            (event("1"), team(event("2")), 6, false),
            (team(event("1")), team(event("2")), 6, true),
            (team(event("1")), event("2"), 6, true),
        ] {
            let place = at_five(&letter);
            let is_before = place.is_before(sequence, Timestamp::UNIX_EPOCH, &newer);
            assert_eq!(is_before, expected, "{newer:?} at {sequence}");
        }
    }

    #[test]
    fn the_same_secret_of_another_source_is_the_same() {
        let other = Event {
            source: "poll".parse().unwrap(),
            ..event("2")
        };
        assert_eq!(same(&event("1")), same(&other));
        let key = Event {
            matches: Match::Exact(Keys::one("/prod/mail").unwrap()),
            ..event("2")
        };
        assert_ne!(same(&event("1")), same(&key));
    }
}
