//! Times and sizes for people.

use async_nats::jetstream::stream::State;
pub(super) use eso_relay::nats::timestamp;
use jiff::Timestamp;

/// `2h 5m ago`: the two largest units.
pub(super) fn ago(now: Timestamp, then: Option<Timestamp>) -> String {
    let Some(then) = then else {
        return "-".to_owned();
    };
    let seconds = u64::try_from(now.duration_since(then).as_secs()).unwrap_or(0);
    let age = match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    };
    format!("{age} ago")
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn sizes_and_ages_are_short() {
        let sizes = [0, 1023, 1024, 1_572_864, u64::MAX].map(bytes);
        assert_eq!(
            sizes,
            ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "16777216.0 TiB"]
        );
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let then = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(ago(now, Some(then)), "1d 3h ago");
        let of = |seconds: u64| ago(then + Duration::from_secs(seconds), Some(then));
        assert_eq!(
            [59, 61, 3600].map(of),
            ["59s ago", "1m 1s ago", "1h 0m ago"]
        );
        assert_eq!(ago(then, Some(now)), "0s ago");
        assert_eq!(ago(now, None), "-");
    }
}
