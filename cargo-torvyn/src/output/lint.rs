//! The lints: their codes, default levels and one-line descriptions. Each lint has a page in the guide. `config` reads the
//! configured levels; `check` produces the findings.

use std::fmt;

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

macro_rules! lints {
    ($($name:ident = $code:literal, $level:ident, $about:literal;)*) => {
        /// A kind of finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Lint {
            $(#[doc = $about] $name,)*
        }

        impl Lint {
            /// All lints, in the order of the guide.
            pub(crate) const ALL: &[Lint] = &[$(Lint::$name),*];
            /// The codes of all lints.
            pub(crate) const CODES: &[&str] = &[$($code),*];

            /// The stable name, in kebab-case.
            pub(crate) fn code(self) -> &'static str {
                match self {
                    $(Lint::$name => $code,)*
                }
            }

            /// The default level.
            pub(crate) fn default_level(self) -> Level {
                match self {
                    $(Lint::$name => Level::$level,)*
                }
            }

            /// A one-line description.
            pub(crate) fn about(self) -> &'static str {
                match self {
                    $(Lint::$name => $about,)*
                }
            }
        }
    };
}

lints! {
    OverBudgetContract = "over-budget-contract", Deny,
        "the stage's world allows copies that its budget forbids, and nothing proves that the stage does not make them";
    OverBudgetComponent = "over-budget-component", Deny,
        "the built component can copy more often than its stage's budget allows";
    OverBudgetPipeline = "over-budget-pipeline", Deny,
        "an element can be copied more often on its way through the pipeline than the pipeline's budget allows";
    NotOfWorld = "not-of-world", Deny,
        "the built component imports something that the declared world of its stage does not have";
    WorseThanBaseline = "worse-than-baseline", Deny,
        "something that the baseline proves is no longer proven";
    WideWorld = "wide-world", Warn,
        "the stage's world imports a way to copy that its code never uses";
    ReadOnlyToForward = "read-only-to-forward", Warn,
        "payloads are read, but the bytes read decide nothing, as far as the code or a run shows";
    WriteUnchanged = "write-unchanged", Warn,
        "in a run, payloads were written unchanged, byte for byte, where forwarding the handle would do";
    PoolTooSmall = "pool-too-small", Warn,
        "in a run, payload memory was freed for lack of room in the pool, and allocated again";
    WholeRead = "whole-read", Warn,
        "payloads are read whole, but only their first bytes are looked at";
    RetainsWithoutLeaseBudget = "retains-without-lease-budget", Warn,
        "the stage can hold payloads beyond the call, and its budget does not limit leases";
    UnknownImport = "unknown-import", Deny,
        "the component imports something that the host does not provide, so it cannot start";
    UngrantedImport = "ungranted-import", Warn,
        "the component imports a part of WASI that the host provides without granting access to anything";
    MissingBudget = "missing-budget", Allow,
        "the stage declares no copy budget";
    UnprovenBudget = "unproven-budget", Allow,
        "nothing proves that the stage stays within its budget; the host counts at run time";
}

impl Lint {
    /// The lint with this code.
    pub(crate) fn find(code: &str) -> Option<Lint> {
        Lint::ALL.iter().copied().find(|lint| lint.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_among_all_findings() {
        let all: BTreeSet<_> = Lint::CODES.iter().chain(crate::output::codes::ALL).collect();
        assert_eq!(all.len(), Lint::CODES.len() + crate::output::codes::ALL.len());
        assert!(Lint::CODES.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        assert!(Lint::ALL.iter().all(|lint| Lint::find(lint.code()) == Some(*lint)));
        // `workspace` is a key of the table `lints`.
        assert_eq!(Lint::find("workspace"), None);
    }

    #[test]
    fn parses_the_names_of_levels() {
        assert!(Level::NAMES.iter().all(|name| Level::parse(name).map(Level::name) == Some(*name)));
        assert_eq!(Level::parse("forbid"), None);
    }
}
