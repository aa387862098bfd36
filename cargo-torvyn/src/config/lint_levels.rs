//! The levels of lints. In order of precedence, a level is set on the command line, by the package, by the workspace that the
//! package inherits from, or it is the default of the lint.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Command, error};

use crate::config::lint::{Level, Lint};
use crate::config::spanned::{Declared, Declarer};
use crate::config::toml_reader::{Field, Report};
use crate::output::diagnostic::{Diagnostic, Severity, suggestion};
use crate::output::{codes, explanation};

/// The name that stands for all lints at level warn.
const WARNINGS: &str = "warnings";

/// The configured levels, with the places that set them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    /// By code.
    declared: BTreeMap<&'static str, Declared<Level>>,
    args: LintArgs,
}

impl Levels {
    /// Reads the entries of a `lints` table: codes and their levels.
    pub(crate) fn read(fields: &[Field], by: Declarer, report: &mut Report) -> Levels {
        let mut levels = Levels::default();
        for field in fields {
            let Some(lint) = explanation::find_lint(field.key) else {
                let message = format!("unknown lint `{}`", field.key);
                let help = suggestion(field.key, "lints", &explanation::lints());
                let diagnostic = Diagnostic::error(codes::UNKNOWN_LINT, message);
                report.found.push(diagnostic.label(report.file, field.key_span.clone(), "").help(help));
                continue;
            };
            if let Some(level) = field.choice(Level::NAMES, report).and_then(Level::parse) {
                levels.declared.insert(lint, field.declared(level, by, report));
            }
        }
        levels
    }

    /// Adds the levels of others for lints that have none here.
    pub(crate) fn or(mut self, others: &Levels) -> Levels {
        for (lint, declared) in &others.declared {
            self.declared.entry(lint).or_insert_with(|| declared.clone());
        }
        self
    }

    /// Overrides the levels with those of the command line.
    pub(crate) fn override_with(mut self, args: &LintArgs) -> Levels {
        self.args = args.clone();
        self
    }

    /// The level of a lint.
    #[cfg(test)]
    pub(crate) fn level(&self, lint: Lint) -> Level {
        self.resolve(lint).0
    }

    /// Creates a finding at the level of its lint, without a place yet; none if the level is allow.
    pub(crate) fn finding(&self, lint: Lint, message: impl Into<String>) -> Option<Diagnostic> {
        let (level, reason) = self.resolve(lint);
        let severity = match level {
            Level::Allow => return None,
            Level::Warn => Severity::Warning,
            Level::Deny => Severity::Error,
        };
        let mut diagnostic = Diagnostic::new(severity, lint.code, message);
        diagnostic.notes.extend(reason);
        Some(diagnostic)
    }

    /// The level of a lint, with a note on what set it unless it is the default.
    fn resolve(&self, lint: Lint) -> (Level, Option<String>) {
        let typed = |level: Level, what: &str| Some(format!("`--{level} {what}` is set on the command line"));
        let declared = |declared: &Declared<Level>| {
            let (level, file) = (declared.value, declared.file.display());
            (level, Some(format!("`{}` is set to `{level}` in {file}", lint.code)))
        };
        let (level, reason) = match (self.args.last(lint.code), self.declared.get(lint.code)) {
            (Some(level), _) => (level, typed(level, lint.code)),
            (None, Some(setting)) => declared(setting),
            (None, None) => (lint.level, None),
        };
        match self.args.last(WARNINGS) {
            Some(all) if level == Level::Warn && all != Level::Warn => (all, typed(all, WARNINGS)),
            _ => (level, reason),
        }
    }
}

/// `--deny`, `--warn` and `--allow`, in the order on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LintArgs {
    /// Each code, which may be `warnings`, with its level.
    set: Vec<(&'static str, Level)>,
}

impl LintArgs {
    fn last(&self, code: &str) -> Option<Level> {
        self.set.iter().rev().find(|(set, _)| *set == code).map(|(_, level)| *level)
    }

    fn arg(level: Level, short: char, help: &'static str) -> Arg {
        let parse = |code: &str| match code {
            WARNINGS => Ok(WARNINGS),
            _ => explanation::find_lint(code).ok_or_else(|| suggestion(code, "lints", &explanation::lints())),
        };
        Arg::new(level.name())
            .short(short)
            .long(level.name())
            .value_name("CODE")
            .action(ArgAction::Append)
            .value_parser(parse)
            .help(help)
            .help_heading("Lints")
    }
}

impl clap::Args for LintArgs {
    fn augment_args(command: Command) -> Command {
        command
            .arg(LintArgs::arg(
                Level::Deny,
                'D',
                "Make the lint an error; `warnings` stands for all lints at level warn",
            ))
            .arg(LintArgs::arg(Level::Warn, 'W', "Make the lint a warning"))
            .arg(LintArgs::arg(Level::Allow, 'A', "Hide the lint"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        LintArgs::augment_args(command)
    }
}

impl clap::FromArgMatches for LintArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, error::Error> {
        let mut typed = Vec::new();
        for level in [Level::Deny, Level::Warn, Level::Allow] {
            let indices = matches.indices_of(level.name()).into_iter().flatten();
            let codes = matches.get_many::<&'static str>(level.name()).into_iter().flatten();
            typed.extend(indices.zip(codes).map(|(index, code)| (index, *code, level)));
        }
        typed.sort_by_key(|(index, ..)| *index);
        Ok(LintArgs { set: typed.into_iter().map(|(_, code, level)| (code, level)).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), error::Error> {
        *self = LintArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const WIDE_WORLD: Lint = Lint { code: "wide-world", level: Level::Warn };
    const WHOLE_READ: Lint = Lint { code: "whole-read", level: Level::Warn };
    const MISSING_BUDGET: Lint = Lint { code: "missing-budget", level: Level::Allow };
    const UNPROVEN_BUDGET: Lint = Lint { code: "unproven-budget", level: Level::Allow };
    const OVER_BUDGET: Lint = Lint { code: "over-budget-contract", level: Level::Deny };

    #[derive(Parser)]
    struct Check {
        #[command(flatten)]
        lints: LintArgs,
    }

    fn typed(line: &str) -> Result<LintArgs, error::Error> {
        Ok(Check::try_parse_from(line.split(' '))?.lints)
    }

    fn levels(line: &str) -> Levels {
        Levels::default().override_with(&typed(line).unwrap())
    }

    #[test]
    fn last_level_on_the_command_line_wins() {
        assert_eq!(levels("check").level(WIDE_WORLD), Level::Warn);
        assert_eq!(levels("check -D wide-world -A wide-world").level(WIDE_WORLD), Level::Allow);
        assert_eq!(levels("check --allow wide-world -Dwide-world").level(WIDE_WORLD), Level::Deny);
        assert_eq!(levels("check -W missing-budget").level(MISSING_BUDGET), Level::Warn);
    }

    #[test]
    fn warnings_applies_to_lints_at_level_warn() {
        let denied = levels("check -D warnings -A whole-read -W missing-budget");
        assert_eq!(denied.level(WIDE_WORLD), Level::Deny);
        assert_eq!(denied.level(WHOLE_READ), Level::Allow);
        // As with rustc, also to a lint that another option has set to warn.
        assert_eq!(denied.level(MISSING_BUDGET), Level::Deny);
        assert_eq!(denied.level(UNPROVEN_BUDGET), Level::Allow);
        assert_eq!(levels("check -A warnings").level(OVER_BUDGET), Level::Deny);
    }

    #[test]
    fn rejects_unknown_codes() {
        let error = typed("check -D wide-word").unwrap_err().to_string();
        assert!(error.contains("did you mean `wide-world`?"), "{error}");
    }

    #[test]
    fn finding_notes_what_set_its_level() {
        let finding = |line: &str| levels(line).finding(WIDE_WORLD, "wide");
        let shown = finding("check -D warnings").unwrap();
        assert_eq!(
            (shown.severity, shown.notes),
            (Severity::Error, vec!["`--deny warnings` is set on the command line".to_string()])
        );
        assert_eq!(finding("check").unwrap(), Diagnostic::warning("wide-world", "wide"));
        assert_eq!(finding("check -A wide-world"), None);
    }
}
