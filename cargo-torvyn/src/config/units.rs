//! Parses and formats sizes, durations and times: `"64KiB"`, `"500ms"`, `2000-01-01T00:00:00Z`.

use std::time::Duration;

use toml::value::{Datetime, Offset};

/// The units of a size, in bytes.
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The units of a duration, in milliseconds.
const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000)];

/// Parses a size such as `64KiB` or `10 MB` to bytes.
///
/// # Errors
///
/// The help of a diagnostic; none if the number is too large for any range.
pub(crate) fn size(text: &str) -> Result<u64, Option<String>> {
    quantity(text, SIZES)
}

/// Formats a size in the largest binary unit of which it is a whole multiple, so that `size` can parse it.
pub(crate) fn format_size(bytes: u64) -> String {
    let fits = |unit: &&(&str, u64)| unit.0.contains("iB") && bytes > 0 && bytes.is_multiple_of(unit.1);
    let (unit, scale) = SIZES.iter().rev().find(fits).unwrap_or(&SIZES[0]);
    format!("{}{unit}", bytes / scale)
}

/// Formats a duration in the largest unit of which it is a whole multiple, so that `duration` can parse it.
pub(crate) fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis() as u64;
    let fits = |unit: &&(&str, u64)| millis > 0 && millis.is_multiple_of(unit.1);
    let (unit, scale) = DURATIONS.iter().rev().find(fits).unwrap_or(&DURATIONS[0]);
    format!("{}{unit}", millis / scale)
}

/// Parses a duration such as `500ms`, `1s` or `2m`.
///
/// # Errors
///
/// The help of a diagnostic; none if the number is too large for any range.
pub(crate) fn duration(text: &str) -> Result<Duration, Option<String>> {
    quantity(text, DURATIONS).map(Duration::from_millis)
}

/// Converts a time with an offset to nanoseconds since the Unix epoch.
///
/// # Errors
///
/// The help of a diagnostic.
pub(crate) fn unix_ns(time: &Datetime) -> Result<u64, String> {
    let (Some(date), Some(clock), Some(offset)) = (time.date, time.time, time.offset) else {
        return Err("write a date, a time and an offset: 2000-01-01T00:00:00Z".to_string());
    };
    let east = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let minutes = i64::from(clock.hour) * 60 + i64::from(clock.minute) - east;
    let days = days_from_civil(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let seconds = (days * 24 * 60 + minutes) * 60 + i64::from(clock.second.unwrap_or_default());
    let since = u64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000_000));
    let since = since.and_then(|since| since.checked_add(u64::from(clock.nanosecond.unwrap_or_default())));
    since.ok_or_else(|| "write a time from 1970 to 2554".to_string())
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: `days_from_civil` of Howard Hinnant's "chrono-Compatible
/// Low-Level Date Algorithms".
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Result<u64, Option<String>> {
    let known: Vec<&str> = units.iter().map(|(unit, _)| *unit).collect();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    if number.is_empty() || unit.starts_with(['.', ',', '_']) {
        return Err(Some("write a whole number and a unit".to_string()));
    }
    let Some((_, scale)) = units.iter().find(|(known, _)| *known == unit) else {
        return Err(Some(crate::output::diagnostic::suggestion(unit, "units", &known)));
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale)).ok_or(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::timestamp::rfc3339;
    use std::time::SystemTime;

    #[test]
    fn parses_sizes() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("10 MB"), Ok(10_000_000));
        assert_eq!(size("0B"), Ok(0));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("1.5MiB"), Err(Some("write a whole number and a unit".to_string())));
        assert_eq!(size("MiB"), Err(Some("write a whole number and a unit".to_string())));
        assert_eq!(size("99999999999GiB"), Err(None));
        assert!(size("64KB").unwrap_err().unwrap().starts_with("did you mean `kB`?"));
        assert!(size("64").unwrap_err().unwrap().starts_with("the units are"));
    }

    #[test]
    fn formats_sizes_as_parsed() {
        for text in ["0B", "1B", "4KiB", "1000B", "1025B", "1MiB", "1537KiB", "3GiB", "1TiB"] {
            assert_eq!(size(text).map(format_size), Ok(text.to_string()));
        }
    }

    #[test]
    fn parses_durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in ["0ms", "1ms", "1001ms", "59s", "61s", "1m", "1440m"] {
            assert_eq!(duration(text).map(format_duration), Ok(text.to_string()));
        }
        assert!(duration("1h").unwrap_err().unwrap().contains("`ms`, `s`, `m`"));
    }

    #[test]
    fn formats_times_as_parsed() {
        for text in ["1970-01-01T00:00:00.000Z", "2000-02-29T23:59:59.999Z", "2026-11-30T10:23:13.007Z"] {
            let ns = unix_ns(&text.parse().unwrap()).unwrap();
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_nanos(ns)), text);
        }
    }

    #[test]
    fn parses_times() {
        let time = |text: &str| unix_ns(&text.parse().unwrap());
        assert_eq!(time("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(time("2000-01-01T00:00:00Z"), Ok(946_684_800_000_000_000));
        assert_eq!(time("2024-02-29T23:59:59.000000001+01:30"), Ok(1_709_245_799_000_000_001));
        assert!(time("2024-02-29T23:59:59").unwrap_err().contains("offset"));
        assert!(time("1969-12-31T23:59:59Z").unwrap_err().contains("1970"));
        assert!(time("9999-12-31T23:59:59Z").unwrap_err().contains("2554"));
    }
}
