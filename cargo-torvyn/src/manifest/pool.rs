//! `[runtime.pool]`: how much payload memory is kept for reuse.

use std::ops::Range;

use torvyn_runtime::payload::PoolSettings;

use crate::config::toml_reader::{Field, Report};
use crate::config::{ranges, units};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The pool settings of a manifest, with their places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    /// The resulting settings.
    pub(crate) settings: PoolSettings,
    /// The size classes that the manifest names, in file order: their bytes and the place of key and value.
    classes: Vec<(u64, Range<usize>)>,
    /// The place of the table.
    span: Option<Range<usize>>,
}

impl Pool {
    /// Reads `pool`.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<Self> {
        let table = field.table("`pool`", &["keep", "classes"], report)?;
        let mut pool = Pool { span: Some(table.span.clone()), ..Pool::default() };
        if let Some(keep) = table.get("keep").and_then(|field| field.size(&ranges::POOL_BYTES, report)) {
            pool.settings.keep = keep;
        }
        for field in table.get("classes").and_then(|field| field.entries(report)).unwrap_or_default() {
            pool.read_class(&field, report);
        }
        Some(pool)
    }

    fn read_class(&mut self, field: &Field, report: &mut Report) {
        let wrong = |code, message: String, help: String, report: &mut Report| {
            let wrong = Diagnostic::error(code, message).label(report.file, field.key_span.clone(), "");
            report.found.push(wrong.help(help));
        };
        let room = field.size(&ranges::POOL_BYTES, report);
        let bytes = match units::size(field.key) {
            Ok(bytes) => bytes,
            Err(help) => {
                let help = help.unwrap_or_else(|| "the number is too large".to_string());
                return wrong(codes::BAD_SIZE, format!("`{}` is not a size", field.key), help, report);
            }
        };
        if !self.settings.keep_in_class(bytes, room.unwrap_or_default()) {
            let nearest = PoolSettings::classes().min_by_key(|class| class.abs_diff(bytes)).unwrap_or_default();
            let message = format!("`{}` is not a size class of the pool", field.key);
            let help = format!(
                "the nearest class is `{}`; the classes are the powers of two from `4KiB` to `64MiB`",
                units::format_size(nearest)
            );
            return wrong(codes::UNKNOWN_VALUE, message, help, report);
        }
        if let Some((_, first)) = self.classes.iter().find(|(class, _)| *class == bytes) {
            let message = format!("duplicate class `{}` in `classes`", units::format_size(bytes));
            let first = first.clone();
            let second = Diagnostic::error(codes::CONFLICTING_KEYS, message);
            let second = second.label(report.file, field.key_span.clone(), "declared again here");
            report.found.push(second.label(report.file, first, "first declared here").help("remove one of them"));
            return;
        }
        self.classes.push((bytes, field.key_span.start..field.span.end));
    }

    /// The place of the class of `bytes`, or else of the table.
    pub(crate) fn place(&self, bytes: u64) -> Option<Range<usize>> {
        let class = self.classes.iter().find(|(class, _)| *class == bytes);
        class.map(|(_, place)| place.clone()).or_else(|| self.span.clone())
    }
}
