//! How the elements of an output are written one after another: the key `as`.

use torvyn_runtime::endpoint::OutputFraming;

use crate::config::toml_reader::{Field, Report, Table};

/// The keys.
pub(super) const KEYS: [&str; 1] = ["as"];

/// Reads the key from the table of an output.
pub(super) fn read(table: &Table, report: &mut Report) -> Option<OutputFraming> {
    table.get("as").map_or_else(|| Some(OutputFraming::default()), |field| read_value(&field, report))
}

/// Reads the value of `as`.
pub(crate) fn read_value(field: &Field, report: &mut Report) -> Option<OutputFraming> {
    Some(match field.choice(&["lines", "length-prefixed", "raw"], report)? {
        "lines" => OutputFraming::Lines,
        "length-prefixed" => OutputFraming::LengthPrefixed,
        _ => OutputFraming::Raw,
    })
}
