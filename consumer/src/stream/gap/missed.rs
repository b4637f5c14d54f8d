//! Counts missed messages once, whoever refreshes for them.

use eso_relay::stream::Position;

/// How many messages are missed by `position`, which follows from `last`, and were not by that. Zero where their number
/// is unknown.
pub(super) fn newly_missed(last: Option<&Position>, position: &Position) -> u64 {
    let missed = |position: &Position| position.gap.as_ref().and_then(|gap| gap.missed);
    let known = last.and_then(missed).unwrap_or(0);
    missed(position).unwrap_or(0).saturating_sub(known)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use eso_relay::stream::position::Gap;
    use jiff::Timestamp;

    use super::*;

    /// With a gap of so many messages.
    fn position(missed: Option<Option<u64>>) -> Position {
        let at = Timestamp::UNIX_EPOCH;
        Position {
            stream: at,
            durable: None,
            floor: 0,
            at,
            gap: missed.map(|missed| Gap {
                found_at: at,
                missed,
            }),
            taken: None,
            stuck: None,
            replicas: BTreeMap::new(),
        }
    }

    #[test]
    fn a_missed_message_counts_when_it_is_found() {
        for (last, now, expected) in [
            (None, None, 0),
            (None, Some(Some(7)), 7),
            // An open gap that grows, and one that does not.
            (Some(Some(7)), Some(Some(9)), 2),
            (Some(Some(7)), Some(Some(7)), 0),
            // The stream was created again.
            (None, Some(None), 0),
            (Some(Some(7)), Some(None), 0),
            (Some(Some(7)), None, 0),
        ] {
            let newly = newly_missed(Some(&position(last)), &position(now));
            assert_eq!(newly, expected, "{last:?} {now:?}");
        }
        assert_eq!(newly_missed(None, &position(Some(Some(3)))), 3);
    }
}
