//! `[runtime.pool]`: how much payload memory is kept for reuse.

use std::ops::Range;

use torvyn_runtime::payload::PoolSettings;

use crate::config::toml_reader::{Field, Report};
use crate::config::{ranges, units};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// What a manifest says of the pool, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    /// What it comes to.
    pub(crate) settings: PoolSettings,
    /// The classes that it names, in the order of the file: their bytes and the place of their key and value.
    classes: Vec<(u64, Range<usize>)>,
    /// Where it begins.
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
                let help = help.unwrap_or_else(|| "the number is too great".to_string());
                return wrong(codes::BAD_SIZE, format!("`{}` is not a size", field.key), help, report);
            }
        };
        if !self.settings.keep_in_class(bytes, room.unwrap_or_default()) {
            let nearest = PoolSettings::classes().min_by_key(|class| class.abs_diff(bytes)).unwrap_or_default();
            let message = format!("there are no blocks of `{}`", field.key);
            let help = format!(
                "the nearest class is `{}`; the classes are the powers of two from `4KiB` to `64MiB`",
                units::written(nearest)
            );
            return wrong(codes::UNKNOWN_VALUE, message, help, report);
        }
        if let Some((_, first)) = self.classes.iter().find(|(class, _)| *class == bytes) {
            let message = format!("`classes` says twice what is kept of `{}`", units::written(bytes));
            let first = first.clone();
            let second = Diagnostic::error(codes::CONFLICTING_KEYS, message);
            let second = second.label(report.file, field.key_span.clone(), "the second");
            report.found.push(second.label(report.file, first, "the first").help("leave one of them out"));
            return;
        }
        self.classes.push((bytes, field.key_span.start..field.span.end));
    }

    /// Where it says how much is kept of the class of `bytes`, or else where it says anything.
    pub(crate) fn place(&self, bytes: u64) -> Option<Range<usize>> {
        let class = self.classes.iter().find(|(class, _)| *class == bytes);
        class.map(|(_, place)| place.clone()).or_else(|| self.span.clone())
    }
}
