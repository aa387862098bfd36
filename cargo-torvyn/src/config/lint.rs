//! A lint as those know it who set its level: its code and its level. Its findings are in `check::lints`.

use std::fmt;

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lint {
    /// The stable name, in kebab-case.
    pub(crate) code: &'static str,
    /// The default level.
    pub(crate) level: Level,
}

/// The level of a lint: what happens to its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// They are not shown.
    Allow,
    /// They are warnings.
    Warn,
    /// They are errors.
    Deny,
}

impl Level {
    /// The names of the levels.
    pub(crate) const NAMES: &[&str] = &["allow", "warn", "deny"];

    /// The level with this name.
    pub(crate) fn parse(name: &str) -> Option<Level> {
        [Level::Allow, Level::Warn, Level::Deny].into_iter().find(|level| level.name() == name)
    }

    /// The name of the level.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Allow => "allow",
            Level::Warn => "warn",
            Level::Deny => "deny",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_names_of_levels() {
        assert!(Level::NAMES.iter().all(|name| Level::parse(name).map(Level::name) == Some(*name)));
        assert_eq!(Level::parse("forbid"), None);
    }
}
