//! Messages that were delivered, that no replica holds, and that the server does not deliver again: a
//! damaged block of its store, or a fault of its own.
//!
//! It would deliver each of them again within `ack_wait`, to any replica that asks. So they are stuck when
//! that has not happened for three of them, while the ack floor stood still, a request was waiting at
//! every look, and no replica held the message above the floor.

use std::{collections::VecDeque, time::Duration};

use eso_relay::stream::{Position, position::Replica};
use jiff::Timestamp;
use tokio::time::Instant;

use super::book::Server;

/// Two looks that lie further apart say nothing of the time between.
const APART: Duration = Duration::from_secs(30);

/// What stays the same while messages are stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    durable: Timestamp,
    floor: u64,
    /// Of this replica: behind a lost one the others are not seen.
    connection: u64,
}

/// The looks at one place, the latest last: when, and how many messages no replica held.
#[derive(Debug, Default)]
pub(super) struct Looks {
    place: Option<Place>,
    looks: VecDeque<(Instant, u64)>,
}

impl Looks {
    /// How many messages are stuck, with this look as the latest.
    pub(super) fn stuck(
        &mut self,
        now: Instant,
        connection: u64,
        server: &Server,
        position: &Position,
    ) -> u64 {
        let place = Place {
            durable: server.seen.durable,
            floor: server.seen.ack_floor,
            connection,
        };
        let unheld = unheld(server, position);
        let latest = self.looks.back().map(|(at, _)| *at);
        let goes_on = latest.is_some_and(|at| now.duration_since(at) <= APART);
        if self.place != Some(place) || unheld == 0 || !goes_on {
            self.place = Some(place);
            self.looks.clear();
        }
        if unheld == 0 {
            return 0;
        }
        self.looks.push_back((now, unheld));
        let whole = server.ack_wait.saturating_mul(3);
        let is_over = |(at, _): &(Instant, u64)| now.duration_since(*at) >= whole;
        // One look before the beginning of that time says what it began with.
        while self.looks.get(1).is_some_and(is_over) {
            self.looks.pop_front();
        }
        if self.looks.front().is_some_and(is_over) {
            let fewest = self.looks.iter().map(|(_, unheld)| *unheld).min();
            fewest.unwrap_or(0)
        } else {
            0
        }
    }
}

/// How many messages that wait for an ack no replica holds, if they should have come again.
fn unheld(server: &Server, position: &Position) -> u64 {
    let seen = &server.seen;
    let replicas = || position.replicas.values();
    // Between a floor and the first message nothing is left.
    let next = seen.ack_floor.max(seen.first.saturating_sub(1)) + 1;
    let next_is_held = replicas().any(|Replica { lowest, .. }| lowest.is_some_and(|it| it <= next));
    if !server.delivers || next_is_held {
        return 0;
    }
    let held: u64 = replicas().map(|replica| replica.held).sum();
    seen.pending.saturating_sub(held)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use eso_relay::stream::position::Seen;

    use super::*;

    const ACK_WAIT: Duration = Duration::from_secs(15);

    fn server(ack_floor: u64, pending: u64) -> Server {
        let seen = Seen {
            stream: Timestamp::UNIX_EPOCH,
            first: 1,
            last: 100,
            durable: Timestamp::UNIX_EPOCH,
            start: 0,
            ack_floor,
            delivered: 100,
            pending,
        };
        Server {
            seen,
            ack_wait: ACK_WAIT,
            delivers: true,
        }
    }

    /// As the replicas say: how many they hold, and the lowest.
    fn position(replicas: &[(u64, Option<u64>)]) -> Position {
        let replica = |(name, (held, lowest)): (usize, &(u64, Option<u64>))| {
            let replica = Replica {
                at: Timestamp::UNIX_EPOCH,
                held: *held,
                lowest: *lowest,
                until: None,
            };
            (name.to_string(), replica)
        };
        Position {
            stream: Timestamp::UNIX_EPOCH,
            durable: None,
            floor: 0,
            at: Timestamp::UNIX_EPOCH,
            gap: None,
            taken: None,
            stuck: None,
            replicas: replicas
                .iter()
                .enumerate()
                .map(replica)
                .collect::<BTreeMap<_, _>>(),
        }
    }

    /// A look every ten seconds, all on one connection: what each says.
    fn looks<'a>(looks: impl IntoIterator<Item = (Server, &'a [(u64, Option<u64>)])>) -> Vec<u64> {
        let (mut watched, start) = (Looks::default(), Instant::now());
        let seconds = (0..).step_by(10);
        let looks = seconds.zip(looks).map(|(at, (server, replicas))| {
            let now = start + Duration::from_secs(at);
            watched.stuck(now, 1, &server, &position(replicas))
        });
        looks.collect()
    }

    #[test]
    fn what_does_not_come_again_for_three_ack_waits_is_stuck() {
        let stuck = (0..7).map(|_| (server(59, 14), &[(0, None), (0, None)][..]));
        assert_eq!(looks(stuck), [0, 0, 0, 0, 0, 14, 14]);
        let one_held = (0..7).map(|_| (server(59, 14), &[(4, Some(61)), (0, None)][..]));
        assert_eq!(looks(one_held), [0, 0, 0, 0, 0, 10, 10]);
    }

    #[test]
    fn the_fewest_of_that_time_are_stuck() {
        let counts = [14, 13, 14, 14, 14, 16, 16, 16, 16, 16, 16, 16];
        let looked = counts.map(|count| (server(59, count), &[][..]));
        assert_eq!(looks(looked)[5..], [13, 13, 14, 14, 14, 16, 16]);
    }

    #[test]
    fn what_moves_or_is_held_is_not_stuck() {
        type Case = fn(u64) -> (Server, &'static [(u64, Option<u64>)]);
        let cases: [Case; 7] = [
            // The floor moves.
            |look| (server(59 + look, 14), &[]),
            // A replica works on the message above the floor.
            |_| (server(59, 14), &[(0, None), (1, Some(60))]),
            // Everything is held.
            |_| (server(59, 2), &[(2, Some(61))]),
            // No request waits, or nothing may be delivered.
            |look| {
                let delivers = look != 3;
                let server = Server {
                    delivers,
                    ..server(59, 14)
                };
                (server, &[])
            },
            // It came again.
            |look| (server(59, if look == 3 { 0 } else { 14 }), &[]),
            // An operator has the server wait longer.
            |_| {
                let server = Server {
                    ack_wait: ACK_WAIT * 10,
                    ..server(59, 14)
                };
                (server, &[])
            },
            // Another durable.
            |look| {
                let mut server = server(59, 14);
                if look > 2 {
                    server.seen.durable = Timestamp::MAX;
                }
                (server, &[])
            },
        ];
        for (at, case) in cases.into_iter().enumerate() {
            assert_eq!(looks((0..7).map(case)), [0; 7], "case {at}");
        }
    }

    #[test]
    fn after_a_lost_connection_it_is_looked_at_from_the_beginning() {
        let (mut watched, start) = (Looks::default(), Instant::now());
        let mut look = |at: u64, connection: u64| {
            let now = start + Duration::from_secs(at);
            watched.stuck(now, connection, &server(59, 14), &position(&[]))
        };
        assert_eq!([0, 10, 20, 30].map(|at| look(at, 1)), [0; 4]);
        assert_eq!([40, 50, 60, 70, 80].map(|at| look(at, 2)), [0; 5]);
        assert_eq!(look(90, 2), 14);
        // Too long without a look.
        assert_eq!(look(130, 2), 0);
    }
}
