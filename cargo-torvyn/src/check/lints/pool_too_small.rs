//! In a run, payload memory was freed for lack of room in the pool, and allocated again.

use torvyn_runtime::payload::PoolUse;

use super::Check;
use crate::config::lint::{Level, Lint};
use crate::config::lint_levels::Levels;
use crate::config::units::format_size;
use crate::manifest::{Pipeline, Pool};
use crate::output::diagnostic::Diagnostic;
use crate::output::run_report::grouped;

pub(super) const LINT: Lint = Lint { code: "pool-too-small", level: Level::Warn };
pub(super) const CHECKS: &[Check] = &[Check::Pool(find)];

/// Reports the class of the pool that is too small, if that is why little was reused.
fn find(used: &PoolUse, pool: &Pool, pipeline: &Pipeline, levels: &Levels) -> Option<Diagnostic> {
    let shortage = used.shortage()?;
    let class = format_size(shortage.class);
    let again = grouped(shortage.allocated_again);
    let message = format!("in this run, {again} blocks of `{class}` were freed for lack of room and allocated again");
    let finding = levels.finding(LINT, message)?;
    let place = pool.place(shortage.class).unwrap_or_else(|| pipeline.span.clone());
    let rates = format!(
        "the pool reuse rate was {:.1} %; with room for all blocks held at once, it would have been {:.1} %",
        100.0 * shortage.reuse_rate,
        100.0 * shortage.reuse_rate_then
    );
    let help = format!("write `\"{class}\" = \"{}\"` under `[runtime.pool.classes]`", format_size(shortage.room));
    Some(finding.label(&pipeline.file, place, "").note(rates).help(help))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use torvyn_runtime::payload::ClassUse;

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn suggests_room_for_all_blocks_held_at_once() {
        let text = "[pipeline.main]\nstages = ['a']\n[runtime.pool]\nkeep = '0B'\n";
        let manifest = Manifest::parse(text, Path::new("Torvyn.toml")).unwrap();
        let class = ClassUse { bytes: Some(4096), taken: 100, freed: 100, most_live: 2, ..ClassUse::default() };
        let used = PoolUse { allocated: 100, returned: 0, reuse_rate: Some(0.0), live_at_end: 0, classes: vec![class] };
        let find = |used| find(&used, &manifest.runtime.pool, manifest.select(None).unwrap(), &Levels::default());
        let finding = find(used.clone()).unwrap();
        let message = "in this run, 98 blocks of `4KiB` were freed for lack of room and allocated again";
        assert_eq!(finding.message, message);
        assert_eq!(finding.help.as_deref(), Some("write `\"4KiB\" = \"8KiB\"` under `[runtime.pool.classes]`"));
        assert!(find(PoolUse { reuse_rate: Some(0.9), ..used }).is_none());
    }
}
