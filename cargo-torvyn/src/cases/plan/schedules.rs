//! Under which schedules cases run: which of the nodes that can move does, in each run.

use torvyn_runtime::Schedule;

use crate::cases::case::Case;
use crate::output::diagnostic::Diagnostic;

/// Under which schedules cases run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Schedules {
    /// Each under its own: that of its `seed`, or the one that flows have.
    #[default]
    Own,
    /// All under that of a seed.
    Seed(u64),
    /// Each under so many, of seeds that follow one another.
    Several {
        /// The first.
        first: u64,
        /// How many.
        count: u32,
    },
}

impl Schedules {
    /// The seeds that a case runs under, one after the other; none stands for no seed.
    pub(crate) fn seeds(self, case: &Case) -> impl Iterator<Item = Option<u64>> {
        let (first, count) = match self {
            Schedules::Own => (case.seed, 1),
            Schedules::Seed(seed) => (Some(seed), 1),
            Schedules::Several { first, count } => (Some(first), count),
        };
        (0..count).map(move |index| first.map(|first| first.wrapping_add(u64::from(index))))
    }

    /// Adds how to run a case again that failed under this seed, where there were several.
    pub(crate) fn tell(self, case: &Case, seed: Option<u64>, finding: &mut Diagnostic) {
        if let (Schedules::Several { .. }, Some(seed)) = (self, seed) {
            finding.notes.push(format!("it failed with seed {seed}"));
            finding.notes.extend(finding.help.take());
            finding.help = Some(format!("cargo torvyn test --exact {} --seed {seed}", quoted(&case.name)));
        }
    }
}

impl Case {
    /// What its stages draw random numbers from, where no seed is given: its name, by FNV-1a of 32 bits. So they are the
    /// same in each run, and others in each case.
    pub(crate) fn random_seed(&self) -> u64 {
        let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let of_name = || u64::from(self.name.as_bytes().iter().fold(0x811c_9dc5, step));
        self.seed.unwrap_or_else(of_name)
    }
}

/// Of a seed, if there is one.
pub(crate) fn schedule(seed: Option<u64>) -> Schedule {
    seed.map_or(Schedule::Downstream, Schedule::Seeded)
}

/// As a shell takes it.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_for_a_shell() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
