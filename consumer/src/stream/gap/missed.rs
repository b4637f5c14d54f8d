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

    fn gap(missed: Option<u64>) -> Gap {
        let found_at = Timestamp::UNIX_EPOCH;
        Gap { found_at, missed }
    }

    fn position(gap: Option<Gap>) -> Position {
        let at = Timestamp::UNIX_EPOCH;
        Position {
            stream: at,
            durable: None,
            floor: 0,
            at,
            gap,
            taken: None,
            stuck: None,
            replicas: BTreeMap::new(),
        }
    }

    #[test]
    fn a_missed_message_counts_when_it_is_found() {
        for (last, now, expected) in [
            (None, None, 0),
            (None, Some(gap(Some(7))), 7),
            // An open gap that grows, and one that does not.
            (Some(gap(Some(7))), Some(gap(Some(9))), 2),
            (Some(gap(Some(7))), Some(gap(Some(7))), 0),
            // The stream was created again.
            (None, Some(gap(None)), 0),
            (Some(gap(Some(7))), Some(gap(None)), 0),
            (Some(gap(Some(7))), None, 0),
        ] {
            let (last, now) = (position(last), position(now));
            assert_eq!(
                newly_missed(Some(&last), &now),
                expected,
                "{last:?} {now:?}"
            );
        }
        assert_eq!(newly_missed(None, &position(Some(gap(Some(3))))), 3);
    }
}
