//! Values of options, as people write them.

use std::time::Duration;

use jiff::Timestamp;

use super::Failure;

/// A moment in the past: `2h`, or RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    Ago(Duration),
    At(Timestamp),
}

impl Since {
    /// The moment, seen from `now`; `None` if it lies in the future or before all time.
    pub(super) fn before(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Ago(duration) => now.checked_sub(duration).ok(),
            Self::At(moment) => (moment <= now).then_some(moment),
        }
    }

    /// The same as the value of an option.
    pub(super) fn of(self, option: &str, now: Timestamp) -> Result<Timestamp, Failure> {
        self.before(now).ok_or_else(|| {
            Failure::Usage(format!("{option} lies in the future, or before all time"))
        })
    }
}

pub(super) fn since(text: &str) -> Result<Since, String> {
    if let Ok(moment) = text.parse() {
        return Ok(Since::At(moment));
    }
    humantime::parse_duration(text)
        .map(Since::Ago)
        .map_err(|_| {
            "write how long ago (90m, 2h, 3d) or a moment (2026-01-31T08:00:00Z)".to_owned()
        })
}

/// One of a closed set, by its name.
pub(super) fn one_of<T: Copy, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
    text: &str,
) -> Result<T, String> {
    let found = all.into_iter().find(|it| name(*it) == text);
    found.ok_or_else(|| format!("one of {}", all.map(name).join(", ")))
}

/// Not shorter than a second: a slip such as `72` is a mistake, not a wish.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration >= Duration::from_secs(1) => Ok(duration),
        _ => Err("write a duration of one second or more, such as 90m, 72h or 7d".to_owned()),
    }
}

/// `1GiB`, `512Mi`, `2GB` or a number of bytes; a stream below 1 MiB takes hardly two messages.
pub(super) fn bytes(text: &str) -> Result<i64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: Option<i64> = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "ki" | "kib" => Some(1 << 10),
        "mi" | "mib" => Some(1 << 20),
        "gi" | "gib" => Some(1 << 30),
        "ti" | "tib" => Some(1 << 40),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        _ => None,
    };
    let number = number.parse::<i64>().ok();
    number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .filter(|&bytes| bytes >= 1 << 20)
        .ok_or_else(|| "write a size of 1MiB or more, such as 512MiB or 10GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_duration_or_a_moment_and_never_the_future() {
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        let eight: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
        for text in [
            "2h",
            "120m",
            "1h 60m",
            "2026-01-31T08:00:00Z",
            "2026-01-31T09:00:00+01:00",
        ] {
            assert_eq!(since(text).unwrap().before(now), Some(eight), "{text}");
        }
        assert_eq!(since("2026-01-31T10:00:01Z").unwrap().before(now), None);
        assert_eq!(since("99999years").unwrap().before(now), None);
        for wrong in ["", "yesterday", "2", "-2h", "2026-01-31"] {
            assert!(since(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn sizes_are_read_in_the_units_of_kubernetes_and_of_people() {
        let sizes = [
            "1GiB",
            "1Gi",
            "1024MiB",
            "1073741824",
            "1073741824b",
            "1 gib",
        ];
        for text in sizes {
            assert_eq!(bytes(text), Ok(1 << 30), "{text}");
        }
        assert_eq!(bytes("2GB"), Ok(2_000_000_000));
        for wrong in [
            "",
            "GiB",
            "1.5GiB",
            "-1",
            "0",
            "1KiB",
            "1XB",
            "99999999999TiB",
        ] {
            assert!(bytes(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_duration_without_a_unit_is_refused() {
        assert_eq!(duration("72h"), Ok(Duration::from_secs(72 * 3600)));
        for wrong in ["72", "0s", "1ms", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong} was taken");
        }
    }
}
