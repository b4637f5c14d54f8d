//! What an ExternalSecret itself says about being refreshed. Sources: [`Unrefreshable`].

use serde_json::Value;

use super::object::Object;
use crate::unrefreshable::Unrefreshable;

/// `None` when a change of its annotation refreshes it, and when that cannot be told.
pub(super) fn unrefreshable(object: &Object) -> Option<Unrefreshable> {
    let Object {
        deleting,
        ignore,
        spec,
        status,
        ..
    } = object;
    let policy = spec["refreshPolicy"].as_str();
    let interval = spec["refreshInterval"].as_str();
    // Whether the Secret is there, as far as that shows without a look at it.
    let written = || {
        let named = status["binding"]["name"].as_str();
        named.is_some_and(|name| !name.is_empty()) || !status["refreshTime"].is_null()
    };
    if *deleting {
        Some(Unrefreshable::Deleting)
    } else if *ignore {
        Some(Unrefreshable::Ignored)
    } else if policy == Some("CreatedOnce") {
        Some(Unrefreshable::CreatedOnce)
    } else if policy != Some("OnChange") && interval.is_some_and(never_elapses) {
        Some(Unrefreshable::IntervalZero)
    } else if spec["target"]["immutable"] == Value::Bool(true) && written() {
        Some(Unrefreshable::Immutable)
    } else {
        None
    }
}

/// Whether this is a duration of Go's (`time.ParseDuration`) of 0 or less. What is none is not.
fn never_elapses(text: &str) -> bool {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return true;
    }
    let mut positive = false;
    while !rest.is_empty() {
        let Some((nanoseconds, after)) = part(rest) else {
            return false;
        };
        positive |= nanoseconds >= 1.0;
        rest = after;
    }
    !text.trim_start_matches(['-', '+']).is_empty() && (negative || !positive)
}

/// One number with its unit, and what follows.
fn part(text: &str) -> Option<(f64, &str)> {
    let digits = |c: char| !c.is_ascii_digit() && c != '.';
    let (number, rest) = text.split_at(text.find(digits)?);
    let number: f64 = number.parse().ok()?;
    // The longest first: `m` is the beginning of `ms`.
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("μs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 60e9),
        ("h", 3600e9),
    ];
    let unit = |(unit, size): &(&str, f64)| Some((number * size, rest.strip_prefix(*unit)?));
    UNITS.iter().find_map(unit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: Value) -> Option<Unrefreshable> {
        unrefreshable(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn every_policy_is_told_apart() {
        use Unrefreshable::{CreatedOnce, Immutable, IntervalZero};
        let synced = json!({ "refreshTime": "2026-01-01T00:00:00Z" });
        let bound = json!({ "binding": { "name": "db" } });
        let cases = [
            (json!({}), json!({}), None),
            (json!({ "refreshPolicy": "Periodic" }), json!({}), None),
            (json!({ "refreshPolicy": "OnChange" }), json!({}), None),
            (
                json!({ "refreshPolicy": "CreatedOnce" }),
                json!({}),
                Some(CreatedOnce),
            ),
            (
                json!({ "refreshPolicy": "CreatedOnce", "refreshInterval": "1h" }),
                json!({}),
                Some(CreatedOnce),
            ),
            (json!({ "refreshInterval": "1h0m0s" }), json!({}), None),
            (
                json!({ "refreshInterval": "0" }),
                json!({}),
                Some(IntervalZero),
            ),
            (
                json!({ "refreshInterval": "0s" }),
                json!({}),
                Some(IntervalZero),
            ),
            (
                json!({ "refreshInterval": "0h0m0s" }),
                synced.clone(),
                Some(IntervalZero),
            ),
            (
                json!({ "refreshPolicy": "Periodic", "refreshInterval": "0s" }),
                json!({}),
                Some(IntervalZero),
            ),
            (
                json!({ "refreshPolicy": "OnChange", "refreshInterval": "0s" }),
                json!({}),
                None,
            ),
            // Without a Secret, the next one that ESO makes has the value of today.
            (json!({ "target": { "immutable": true } }), json!({}), None),
            (
                json!({ "target": { "immutable": true } }),
                json!({ "refreshTime": null, "binding": { "name": "" } }),
                None,
            ),
            (
                json!({ "target": { "immutable": true } }),
                synced.clone(),
                Some(Immutable),
            ),
            (
                json!({ "target": { "immutable": true } }),
                bound,
                Some(Immutable),
            ),
            (json!({ "target": { "immutable": false } }), synced, None),
            // What cannot be understood is tried.
            (
                json!({ "refreshPolicy": 7, "refreshInterval": 0, "target": [] }),
                json!("text"),
                None,
            ),
            (json!({ "refreshInterval": "soon" }), json!([]), None),
            (json!(null), json!(null), None),
        ];
        for (spec, status, expected) in cases {
            let json = json!({ "metadata": {}, "spec": spec, "status": status });
            assert_eq!(read(json), expected, "{spec} {status}");
        }
    }

    #[test]
    fn an_owner_opts_out_by_an_annotation() {
        for (value, ignored) in [
            (json!("true"), true),
            (json!("false"), false),
            (json!(""), false),
            (json!(true), false),
        ] {
            let annotations = json!({ crate::IGNORE_ANNOTATION: value });
            let found = read(json!({ "metadata": { "annotations": annotations } }));
            assert_eq!(found == Some(Unrefreshable::Ignored), ignored, "{value}");
        }
    }

    #[test]
    fn what_is_being_deleted_is_not_refreshed_whatever_else_it_says() {
        let json = json!({
            "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "refreshPolicy": "CreatedOnce" },
        });
        assert_eq!(read(json), Some(Unrefreshable::Deleting));
    }

    #[test]
    fn a_duration_is_read_as_go_does() {
        for zero in [
            "0", "+0", "-0", "0s", "0h0m0s", "-1h", "0.0s", ".0s", "0.5ns", "-1m30s", "0ms", "0µs",
        ] {
            assert!(never_elapses(zero), "{zero}");
        }
        for other in [
            "1h",
            "1h0m0s",
            "0h0m1s",
            "1ns",
            "0.5us",
            "1.5h",
            ".5s",
            "5.s",
            "+1m",
            "1us",
            "1µs",
            "1μs",
            "99999999999999999999h",
            // None of these is a duration.
            "",
            "-",
            "+",
            "00",
            "0x",
            "s",
            ".s",
            "1",
            "0d",
            "0s ",
            " 0s",
            "0s,",
            "--0s",
            "0.0.0s",
            "1e3s",
            "infs",
            "é",
        ] {
            assert!(!never_elapses(other), "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_interval_panics(text in "[-+.0-9hmsuµnx ]{0,8}") {
            never_elapses(&text);
        }
    }
}
