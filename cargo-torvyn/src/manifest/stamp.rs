//! The keys `deadline` and `trace`, which an input or a source component stamps on its elements.

use std::ops::Range;

use toml::de::DeValue;
use torvyn_runtime::contract::{Stamp, TraceOrigin};

use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;

/// The keys of a stamp.
pub(super) const KEYS: [&str; 2] = ["deadline", "trace"];

/// Reads the keys from the table of an input or a stage. Keys that are missing or not valid are left unset.
pub(super) fn read(table: &Table, report: &mut Report) -> Stamp {
    Stamp {
        deadline: table.get("deadline").and_then(|field| field.duration(&ranges::DEADLINE, report)),
        trace: table.get("trace").and_then(|field| read_trace(&field, report)),
    }
}

/// The place of the first of the keys, if any is present.
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
                let help = "write `true` to start a new trace".to_string();
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
