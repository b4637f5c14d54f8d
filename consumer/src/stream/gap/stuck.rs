//! Detects stuck messages: delivered before, held by no replica, and not redelivered, because of a damaged
//! block in the server's store or a bug of the server.
//!
//! The server redelivers a message within `ack_wait` to any replica that pulls. So messages are stuck when
//! three times `ack_wait` have passed without that, while the ack floor did not move, a pull request was
//! waiting at every check, and no replica held the message above the floor.

use std::{collections::VecDeque, time::Duration};

use eso_relay::stream::{Position, position::Replica};
use jiff::Timestamp;
use tokio::time::Instant;

use super::store::ServerState;

/// Two checks that lie further apart say nothing about the time between them.
const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// What does not change while messages are stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    durable: Timestamp,
    floor: u64,
    /// Of this replica: while it was disconnected it did not see the others.
    connection: u64,
}

/// The checks at one place, latest last: the time, and how many messages no replica held.
#[derive(Debug, Default)]
pub(super) struct StuckDetector {
    place: Option<Place>,
    checks: VecDeque<(Instant, u64)>,
}

impl StuckDetector {
    /// Adds a check; returns how many messages are stuck.
    pub(super) fn observe(
        &mut self,
        now: Instant,
        connection: u64,
        server: &ServerState,
        position: &Position,
    ) -> u64 {
        let place = Place {
            durable: server.seen.durable,
            floor: server.seen.ack_floor,
            connection,
        };
        let unheld = unheld(server, position);
        let latest = self.checks.back().map(|(at, _)| *at);
        let goes_on = latest.is_some_and(|at| now.duration_since(at) <= MAX_INTERVAL);
        if self.place != Some(place) || unheld == 0 || !goes_on {
            self.place = Some(place);
            self.checks.clear();
        }
        if unheld == 0 {
            return 0;
        }
        self.checks.push_back((now, unheld));
        let whole = server.ack_wait.saturating_mul(3);
        let is_over = |(at, _): &(Instant, u64)| now.duration_since(*at) >= whole;
        // One check before that time is kept: it says how the time began.
        while self.checks.get(1).is_some_and(is_over) {
            self.checks.pop_front();
        }
        if self.checks.front().is_some_and(is_over) {
            let fewest = self.checks.iter().map(|(_, unheld)| *unheld).min();
            fewest.unwrap_or(0)
        } else {
            0
        }
    }
}

/// How many un-acked messages no replica holds, although the server would redeliver them.
fn unheld(server: &ServerState, position: &Position) -> u64 {
    let seen = &server.seen;
    let replicas = || position.replicas.values();
    // The messages between the floor and the first one are removed.
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

    fn server(ack_floor: u64, pending: u64) -> ServerState {
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
        ServerState {
            seen,
            ack_wait: ACK_WAIT,
            delivers: true,
        }
    }

    /// From what each replica holds: how many messages, and the lowest.
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

    /// The result of a check every ten seconds on one connection.
    fn results<'a>(
        checks: impl IntoIterator<Item = (ServerState, &'a [(u64, Option<u64>)])>,
    ) -> Vec<u64> {
        let (mut watched, start) = (StuckDetector::default(), Instant::now());
        let seconds = (0..).step_by(10);
        let results = seconds.zip(checks).map(|(at, (server, replicas))| {
            let now = start + Duration::from_secs(at);
            watched.observe(now, 1, &server, &position(replicas))
        });
        results.collect()
    }

    #[test]
    fn what_does_not_come_again_for_three_ack_waits_is_stuck() {
        let stuck = (0..7).map(|_| (server(59, 14), &[(0, None), (0, None)][..]));
        assert_eq!(results(stuck), [0, 0, 0, 0, 0, 14, 14]);
        let one_held = (0..7).map(|_| (server(59, 14), &[(4, Some(61)), (0, None)][..]));
        assert_eq!(results(one_held), [0, 0, 0, 0, 0, 10, 10]);
    }

    #[test]
    fn the_fewest_of_that_time_are_stuck() {
        let counts = [14, 13, 14, 14, 14, 16, 16, 16, 16, 16, 16, 16];
        let looked = counts.map(|count| (server(59, count), &[][..]));
        assert_eq!(results(looked)[5..], [13, 13, 14, 14, 14, 16, 16]);
    }

    #[test]
    fn what_moves_or_is_held_is_not_stuck() {
        type Case = fn(u64) -> (ServerState, &'static [(u64, Option<u64>)]);
        let cases: [Case; 7] = [
            // The floor moves.
            |check| (server(59 + check, 14), &[]),
            // A replica works on the message above the floor.
            |_| (server(59, 14), &[(0, None), (1, Some(60))]),
            // Everything is held.
            |_| (server(59, 2), &[(2, Some(61))]),
            // No request waits, or nothing may be delivered.
            |check| {
                let delivers = check != 3;
                let server = ServerState {
                    delivers,
                    ..server(59, 14)
                };
                (server, &[])
            },
            // It came again.
            |check| (server(59, if check == 3 { 0 } else { 14 }), &[]),
            // An operator has the server wait longer.
            |_| {
                let server = ServerState {
                    ack_wait: ACK_WAIT * 10,
                    ..server(59, 14)
                };
                (server, &[])
            },
            // Another durable.
            |check| {
                let mut server = server(59, 14);
                if check > 2 {
                    server.seen.durable = Timestamp::MAX;
                }
                (server, &[])
            },
        ];
        for (at, case) in cases.into_iter().enumerate() {
            assert_eq!(results((0..7).map(case)), [0; 7], "case {at}");
        }
    }

    #[test]
    fn a_lost_connection_restarts_the_checks() {
        let (mut watched, start) = (StuckDetector::default(), Instant::now());
        let mut check = |at: u64, connection: u64| {
            let now = start + Duration::from_secs(at);
            watched.observe(now, connection, &server(59, 14), &position(&[]))
        };
        assert_eq!([0, 10, 20, 30].map(|at| check(at, 1)), [0; 4]);
        assert_eq!([40, 50, 60, 70, 80].map(|at| check(at, 2)), [0; 5]);
        assert_eq!(check(90, 2), 14);
        // Too long without a check.
        assert_eq!(check(130, 2), 0);
    }
}
