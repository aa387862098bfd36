//! How the bytes of an input are split into elements: the keys `as`, `size` and `keep-newline`.

use torvyn_runtime::endpoint::Framing;
use torvyn_runtime::payload::MAX_ELEMENT_BYTES;

use crate::config::ranges;
use crate::config::toml_reader::{Report, Table};

/// The keys.
pub(super) const KEYS: [&str; 3] = ["as", "size", "keep-newline"];

/// `size` of chunks
const CHUNK_BYTES: ranges::Range = 1..=MAX_ELEMENT_BYTES as u64;

/// Reads the keys from the table of an input.
pub(super) fn read(table: &Table, report: &mut Report) -> Option<Framing> {
    let keep_newline = table.get("keep-newline").is_some_and(|field| field.only_true(report).is_some());
    let lines = Framing::Lines { keep_newline };
    let Some(field) = table.get("as") else {
        // A size without `as` can only mean chunks; require the explicit `as`.
        return match table.get("size") {
            Some(_) => table.need("as", report).and(None),
            None => Some(lines),
        };
    };
    let name = field.choice(&["lines", "chunks", "length-prefixed", "whole"], report)?;
    if name != "lines" {
        table.exclude("keep-newline", &field, report);
    }
    let framing = match name {
        "chunks" => return table.need("size", report)?.size(&CHUNK_BYTES, report).map(Framing::Chunks),
        "lines" => lines,
        "length-prefixed" => Framing::LengthPrefixed,
        _ => Framing::Whole,
    };
    table.exclude("size", &field, report);
    Some(framing)
}
