//! `[runtime]`: what goes for whichever pipeline runs.

use std::time::Duration;

use super::pool::Pool;
use crate::cli::LONGEST_DRAIN;
use crate::code;
use crate::table::{Field, Report};

/// What a manifest says of every run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Runtime {
    /// How much payload memory is kept for reuse.
    pub(crate) pool: Pool,
    /// How long a run may take to end after a signal, where it says so.
    pub(crate) drain: Option<Duration>,
}

impl Runtime {
    /// Reads `runtime`.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<Self> {
        let table = field.table("`runtime`", &["pool", "drain"], report)?;
        Some(Runtime {
            pool: table.get("pool").and_then(|field| Pool::read(&field, report)).unwrap_or_default(),
            drain: table.get("drain").and_then(|field| read_drain(&field, report)),
        })
    }
}

fn read_drain(field: &Field, report: &mut Report) -> Option<Duration> {
    let drain = field.any_duration(report)?;
    if drain > LONGEST_DRAIN {
        let diagnostic = field.wrong(code::BAD_DURATION, "`drain` is too long", "", report);
        diagnostic.help = Some("a run has from `0s` to `60m` to end after a signal".to_string());
        return None;
    }
    Some(drain)
}
