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

pub(super) fn duration(duration: Duration) -> String {
    if duration.is_zero() {
        "unlimited".to_owned()
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
