//! What the elements of an input or a source component are stamped with: `deadline` and `trace` of the manifest.

use std::ops::Range;

use toml::de::DeValue;
use torvyn_runtime::contract::{Stamp, TraceOrigin};

use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;

/// The keys of the table.
pub(super) const KEYS: [&str; 2] = ["deadline", "trace"];

/// Reads the keys of an input or a stage, as far as they are there and right.
pub(super) fn read(table: &Table, report: &mut Report) -> Stamp {
    Stamp {
        deadline: table.get("deadline").and_then(|field| field.duration(&ranges::DEADLINE, report)),
        trace: table.get("trace").and_then(|field| read_trace(&field, report)),
    }
}

/// The place of the first of the keys, where one is written.
pub(super) fn place(table: &Table) -> Option<Range<usize>> {
    let field = table.fields().into_iter().find(|field| KEYS.contains(&field.key))?;
    Some(field.key_span)
}

fn read_trace(field: &Field, report: &mut Report) -> Option<TraceOrigin> {
    match field.value {
        DeValue::Boolean(_) => field.only_true(report).map(|()| TraceOrigin::Flow),
        DeValue::String(text) => match text.parse() {
            Ok(trace) => Some(TraceOrigin::Given(trace)),
            Err(error) => {
                let message = format!("`{text}` is not a traceparent: {error}");
                let help = "write `true` for a new trace".to_string();
                field.wrong(codes::BAD_TRACEPARENT, message, "", report).help = Some(help);
                None
            }
        },
        _ => {
            field.wrong_type("`true` or a traceparent", report);
            None
        }
    }
}
