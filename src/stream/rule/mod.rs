//! The required settings of streams and durables. `init` applies them, and the daemons report what differs:
//! both use the same tables. No I/O.

pub(super) mod durable;
pub(super) mod stream;

use std::time::Duration;

/// One setting that eso-relay needs.
pub(super) struct Rule<C> {
    pub(super) setting: &'static str,
    /// Its value, as people write it.
    pub(super) text: fn(&C) -> String,
    /// Sets the right value, given eso-relay's own declaration.
    pub(super) set: fn(&mut C, &C),
    /// What another value means.
    pub(super) otherwise: fn(&C) -> Otherwise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// Events would be lost unnoticed: no daemon works with that.
    Unusable(&'static str),
    /// It works, and `init` is to bring it up to date.
    Outdated(&'static str),
}

/// A state that the server cannot change.
pub(super) struct Fixed<C> {
    pub(super) is: fn(&C) -> bool,
    pub(super) what: &'static str,
}

/// The rules that a stream or durable breaks, in words.
#[derive(Debug, Default)]
pub(super) struct Broken {
    /// [`Otherwise::Unusable`]
    pub(super) unusable: Vec<String>,
    /// [`Otherwise::Outdated`]
    pub(super) outdated: Vec<String>,
}

impl Broken {
    /// `right`: what was found, put right.
    pub(super) fn of<C>(rules: &[Rule<C>], found: &C, right: &C) -> Self {
        let mut broken = Self::default();
        for rule in rules {
            let value = (rule.text)(found);
            if value == (rule.text)(right) {
                continue;
            }
            let (list, why) = match (rule.otherwise)(found) {
                Otherwise::Unusable(why) => (&mut broken.unusable, why),
                Otherwise::Outdated(why) => (&mut broken.outdated, why),
            };
            list.push(format!("{} {value} ({why})", rule.setting));
        }
        broken
    }
}

/// As the options and the documents write it: `72h` and not `3days`.
pub fn duration(duration: Duration) -> String {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    let seconds = duration.as_secs();
    if duration.is_zero() {
        "unlimited".to_owned()
    } else if seconds > 4 * DAY && seconds.is_multiple_of(DAY) {
        format!("{}d", seconds / DAY)
    } else if seconds >= DAY {
        let rest = Duration::new(seconds % HOUR, duration.subsec_nanos());
        let hours = format!("{}h", seconds / HOUR);
        if rest.is_zero() {
            hours
        } else {
            format!("{hours} {}", humantime::format_duration(rest))
        }
    } else {
        humantime::format_duration(duration).to_string()
    }
}

pub(super) fn number(limit: i64) -> String {
    if limit <= 0 {
        "unlimited".to_owned()
    } else {
        limit.to_string()
    }
}

/// With the largest unit that divides it, so that it reads back as the same number.
pub(super) fn bytes(limit: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    if limit <= 0 {
        return "unlimited".to_owned();
    }
    UNITS
        .into_iter()
        .find(|(unit, _)| limit % unit == 0)
        .map_or_else(
            || format!("{limit} bytes"),
            |(unit, name)| format!("{}{name}", limit / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for text in ["unlimited", "15s", "1m", "5h 10m", "72h", "31h 5m", "30d"] {
            let parsed = humantime::parse_duration(text).unwrap_or_default();
            assert_eq!(duration(parsed), text);
        }
    }
}
