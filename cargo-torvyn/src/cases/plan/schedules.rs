//! The schedules that cases run under: a schedule decides which of the nodes that can run goes next.

use torvyn_runtime::Schedule;

use crate::cases::case::Case;
use crate::output::diagnostic::Diagnostic;

/// The schedules that cases run under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Schedules {
    /// Each under its own schedule: that of its `seed`, or the normal one of flows.
    #[default]
    Own,
    /// All under the schedule of this seed.
    Seed(u64),
    /// Each under several schedules, with consecutive seeds.
    Several {
        /// The first seed.
        first: u64,
        /// The number of schedules.
        count: u32,
    },
}

impl Schedules {
    /// The seeds that a case runs under, one after the other; `None` for the normal schedule.
    pub(crate) fn seeds(self, case: &Case) -> impl Iterator<Item = Option<u64>> {
        let (first, count) = match self {
            Schedules::Own => (case.seed, 1),
            Schedules::Seed(seed) => (Some(seed), 1),
            Schedules::Several { first, count } => (Some(first), count),
        };
        (0..count).map(move |index| first.map(|first| first.wrapping_add(u64::from(index))))
    }

    /// Adds how to rerun a case that failed with this seed, if there were several.
    pub(crate) fn add_rerun_help(self, case: &Case, seed: Option<u64>, finding: &mut Diagnostic) {
        if let (Schedules::Several { .. }, Some(seed)) = (self, seed) {
            finding.notes.push(format!("it failed with seed {seed}"));
            finding.notes.extend(finding.help.take());
            finding.help = Some(format!("cargo torvyn test --exact {} --seed {seed}", quoted(&case.name)));
        }
    }
}

impl Case {
    /// The seed of the random numbers that its stages draw. Without a `seed`, it is the 32-bit FNV-1a hash of the name, so the
    /// numbers are the same in each run and differ between cases.
    pub(crate) fn random_seed(&self) -> u64 {
        let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let of_name = || u64::from(self.name.as_bytes().iter().fold(0x811c_9dc5, step));
        self.seed.unwrap_or_else(of_name)
    }
}

/// The schedule of a seed, or the normal one.
pub(crate) fn schedule(seed: Option<u64>) -> Schedule {
    seed.map_or(Schedule::Downstream, Schedule::Seeded)
}

/// Quotes a name for a shell.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_a_name_for_a_shell() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
