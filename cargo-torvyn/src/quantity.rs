//! Sizes and durations as people write them: `"64KiB"`, `"500ms"`.

use std::time::Duration;

/// The units of a size and their bytes.
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// The units of a duration and their milliseconds.
const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000)];

/// Bytes of a size such as `64KiB` or `10 MB`.
///
/// # Errors
///
/// What is wrong with it, as the help of a diagnostic.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    quantity(text, SIZES)
}

/// A size as it can be read: in the largest unit that it is a whole number of.
pub(crate) fn written(bytes: u64) -> String {
    let fits = |unit: &&(&str, u64)| unit.0.contains("iB") && bytes > 0 && bytes.is_multiple_of(unit.1);
    let (unit, scale) = SIZES.iter().rev().find(fits).unwrap_or(&SIZES[0]);
    format!("{}{unit}", bytes / scale)
}

/// A duration such as `500ms`, `1s` or `2m`.
///
/// # Errors
///
/// What is wrong with it, as the help of a diagnostic.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    quantity(text, DURATIONS).map(Duration::from_millis)
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    let known: Vec<&str> = units.iter().map(|(unit, _)| *unit).collect();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    if number.is_empty() || unit.starts_with(['.', ',', '_']) {
        return Err("write a whole number and a unit".to_string());
    }
    let Some((_, scale)) = units.iter().find(|(known, _)| *known == unit) else {
        return Err(crate::diagnostic::suggestion(unit, "units", &known));
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale));
    number.ok_or_else(|| "the number is too great".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("10 MB"), Ok(10_000_000));
        assert_eq!(size("0B"), Ok(0));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("1.5MiB"), Err("write a whole number and a unit".to_string()));
        assert_eq!(size("MiB"), Err("write a whole number and a unit".to_string()));
        assert_eq!(size("99999999999GiB"), Err("the number is too great".to_string()));
        assert!(size("64KB").unwrap_err().starts_with("did you mean `kB`?"));
        assert!(size("64").unwrap_err().starts_with("the units are"));
    }

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for text in ["0B", "1B", "4KiB", "1000B", "1025B", "1MiB", "1537KiB", "3GiB"] {
            assert_eq!(size(text).map(written), Ok(text.to_string()));
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("1h").unwrap_err().contains("`ms`, `s`, `m`"));
    }
}
