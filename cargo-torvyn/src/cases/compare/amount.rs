//! An expected number: a single one or a range.

use std::fmt;
use std::ops::Range;

use toml::de::DeValue;

use crate::config::ranges;
use crate::config::toml_reader::{Field, Report};
use crate::output::codes;

/// A number or a range of numbers, and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Amount<N> {
    min: Option<N>,
    max: Option<N>,
    /// The place where it is written.
    pub(crate) span: Range<usize>,
}

/// The precision of ratios: half of the last digit that the account shows.
const RATIO_PRECISION: f64 = 0.005;

impl<N: Copy + PartialOrd> Amount<N> {
    fn read_with(
        field: &Field,
        report: &mut Report,
        number: impl Fn(&Field, &mut Report) -> Option<N>,
    ) -> Option<Amount<N>> {
        let span = field.span.clone();
        if !matches!(field.value, DeValue::Table(_)) {
            let exact = number(field, report)?;
            return Some(Amount { min: Some(exact), max: Some(exact), span });
        }
        let table = field.table("a range", &["min", "max"], report)?;
        if table.get("min").is_none() && table.get("max").is_none() {
            table.report_missing(&["min", "max"], report);
            return None;
        }
        let bound = |key: &str, report: &mut Report| match table.get(key) {
            Some(field) => number(&field, report).map(Some),
            None => Some(None),
        };
        let (min, max) = (bound("min", report), bound("max", report));
        let (min, max) = (min?, max?);
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let message = format!("`{}` is an empty range: `min` is greater than `max`", field.key);
            field.wrong(codes::BAD_NUMBER, message, "", report);
            return None;
        }
        Some(Amount { min, max, span })
    }
}

impl Amount<u64> {
    /// Reads a number, or a table of `min` and `max`.
    pub(crate) fn read(field: &Field, report: &mut Report) -> Option<Self> {
        Amount::read_with(field, report, |field, report| field.count(&ranges::ANY, report))
    }

    /// Whether the number is within the amount.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.min.is_none_or(|min| min <= number) && self.max.is_none_or(|max| number <= max)
    }
}

impl Amount<f64> {
    /// Reads a number that may have a fraction, or a table of `min` and `max`.
    pub(crate) fn read_ratio(field: &Field, report: &mut Report) -> Option<Self> {
        Amount::read_with(field, report, |field, report| field.ratio(&ranges::RATIO, report))
    }

    /// Whether the number is within the amount, to two decimals.
    pub(crate) fn contains(&self, number: f64) -> bool {
        self.min.is_none_or(|min| min <= number + RATIO_PRECISION)
            && self.max.is_none_or(|max| number <= max + RATIO_PRECISION)
    }
}

impl<N: fmt::Display + PartialEq> fmt::Display for Amount<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.min, &self.max) {
            (Some(min), Some(max)) if min == max => write!(f, "{min}"),
            (Some(min), Some(max)) => write!(f, "{min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => f.write_str("any number"),
        }
    }
}
