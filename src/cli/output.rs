//! Tables for people.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use async_nats::jetstream::stream::State;
use jiff::Timestamp;

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Output {
    #[default]
    Text,
    Json,
}

/// Columns as wide as their widest cell, two spaces apart; the last column is not padded.
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self(vec![header.iter().map(|&name| name.to_owned()).collect()])
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.0.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.0 {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                write!(line, "{cell:width$}  ")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `2h 5m ago`: the two largest units.
pub(super) fn ago(now: Timestamp, then: Option<Timestamp>) -> String {
    let Some(then) = then else {
        return "-".to_owned();
    };
    let seconds = u64::try_from(now.duration_since(then).as_secs()).unwrap_or(0);
    let age = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    let units: Vec<&str> = age.split(' ').take(2).collect();
    format!("{} ago", units.join(" "))
}

/// `1.5 MiB`
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// The server's clock as ours.
pub(super) fn timestamp(time: async_nats::datetime::DateTime) -> Timestamp {
    Timestamp::from_nanosecond(time.unix_timestamp_nanos()).unwrap_or_default()
}

/// When the first and the last stored message came; an empty stream has neither.
pub(super) fn first_and_last(state: &State) -> Option<(Timestamp, Timestamp)> {
    (state.messages > 0).then(|| {
        (
            timestamp(state.first_timestamp),
            timestamp(state.last_timestamp),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_ends_without_spaces() {
        let mut table = Table::new(&["NAME", "N"]);
        table.row(vec!["durable east".to_owned(), "1".to_owned()]);
        table.row(vec!["ü".to_owned(), String::new()]);
        assert_eq!(table.to_string(), "NAME          N\ndurable east  1\nü\n");
    }

    #[test]
    fn sizes_and_ages_are_short() {
        let sizes = [0, 1023, 1024, 1_572_864, u64::MAX].map(bytes);
        assert_eq!(
            sizes,
            ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "16777216.0 TiB"]
        );
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let then = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(ago(now, Some(then)), "1day 3h ago");
        assert_eq!(ago(then, Some(now)), "0s ago");
        assert_eq!(ago(now, None), "-");
    }
}
