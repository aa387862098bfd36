//! `[runtime]`: settings for every pipeline of the manifest.

use std::time::Duration;

use super::pool::Pool;
use crate::config::ranges;
use crate::config::toml_reader::{Field, Report};

/// The settings for every run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Runtime {
    /// How much payload memory is kept for reuse.
    pub(crate) pool: Pool,
    /// Time limit for a run to end after a signal, if set.
    pub(crate) drain: Option<Duration>,
}

impl Runtime {
    /// Reads `runtime`.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<Self> {
        let table = field.table("`runtime`", &["pool", "drain"], report)?;
        Some(Runtime {
            pool: table.get("pool").and_then(|field| Pool::read(&field, report)).unwrap_or_default(),
            drain: table.get("drain").and_then(|field| field.duration(&ranges::DRAIN, report)),
        })
    }
}
