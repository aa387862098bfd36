//! What a case expects of the account of its flow: copies, drops and verdicts, in total and by stage.

use std::ops::Range;
use std::path::Path;

use torvyn_runtime::Account;
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::contract::Verdict;
use torvyn_runtime::flow::account::{FailureUse, StageAccount};
use torvyn_runtime::ledger::Copies;

use crate::cases::compare::amount::Amount;
use crate::config::spanned::Named;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// What is expected of an account.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ExpectedAccount {
    whole: Figures,
    /// By stage.
    pub(crate) stages: Vec<(Named, Figures)>,
}

/// What is expected of a stage, or of all stages together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Figures {
    counts: Vec<(&'static str, Amount<u64>)>,
    amplification: Option<Amount<f64>>,
    verdict: Option<(&'static str, Range<usize>)>,
}

/// The measurements of a stage, or of all stages together.
struct Measured<'a> {
    name: &'a str,
    copies: &'a Copies,
    dropped: u64,
    failures: FailureUse,
    amplification: Option<f64>,
    verdict: Verdict,
}

const COUNTS: [&str; 8] = ["copies", "reads", "writes", "dropped", "skipped", "dead-letters", "retries", "restarts"];
const VERDICTS: [(&str, Verdict); 3] =
    [("handle-pass", Verdict::HandlePass), ("read-only", Verdict::ReadOnly), ("rewrite", Verdict::Rewrite)];
/// The keys that are not counts.
const OTHERS: [&str; 2] = ["amplification", "verdict"];

impl ExpectedAccount {
    /// Reads `account`.
    pub(crate) fn read(field: &Field, report: &mut Report) -> Option<ExpectedAccount> {
        let keys = [&COUNTS[..], &OTHERS].concat();
        let table = field.table("what is expected of the account", &[&keys[..], &["stage"]].concat(), report)?;
        let mut expected = ExpectedAccount { whole: Figures::read(&table, report)?, stages: Vec::new() };
        let stages = match table.get("stage") {
            Some(field) => field.entries(report)?,
            None => Vec::new(),
        };
        for field in stages {
            let table = field.table("what is expected of a stage", &keys, report)?;
            let name = Named { name: field.key.to_string(), span: field.key_span };
            expected.stages.push((name, Figures::read(&table, report)?));
        }
        Some(expected)
    }

    /// Reports what differs from the expectation. `file` is the file of the case.
    pub(crate) fn judge(&self, file: &Path, account: &Account) -> Vec<Diagnostic> {
        let rank = |verdict: Verdict| VERDICTS.iter().position(|(_, known)| *known == verdict);
        let whole = Measured {
            name: "all stages together",
            copies: &account.copies,
            dropped: account.elements.dropped,
            failures: account.stages.iter().fold(FailureUse::default(), |sum, stage| add_failures(sum, stage.failures)),
            amplification: account.amplification,
            verdict: account
                .stages
                .iter()
                .map(|stage| stage.verdict)
                .max_by_key(|verdict| rank(*verdict))
                .unwrap_or(Verdict::HandlePass),
        };
        let mut found = self.whole.judge(file, &whole, account);
        for (Named { name, .. }, figures) in &self.stages {
            let Some(stage) = account.stages.iter().find(|stage| stage.name == *name) else { continue };
            let StageAccount { copies, elements_dropped, failures, amplification, verdict, .. } = stage;
            let name = format!("stage `{name}`");
            let measured = Measured {
                name: &name,
                copies,
                dropped: *elements_dropped,
                failures: *failures,
                amplification: *amplification,
                verdict: *verdict,
            };
            found.extend(figures.judge(file, &measured, account));
        }
        found
    }
}

impl Figures {
    fn read(table: &Table, report: &mut Report) -> Option<Figures> {
        let mut figures = Figures::default();
        for key in COUNTS {
            if let Some(field) = table.get(key) {
                figures.counts.push((key, Amount::read(&field, report)?));
            }
        }
        if let Some(field) = table.get("amplification") {
            figures.amplification = Some(Amount::read_ratio(&field, report)?);
        }
        if let Some(field) = table.get("verdict") {
            figures.verdict = Some((field.choice(&VERDICTS.map(|(name, _)| name), report)?, field.span));
        }
        Some(figures)
    }

    fn judge(&self, file: &Path, measured: &Measured<'_>, account: &Account) -> Vec<Diagnostic> {
        let Measured { name, copies, dropped, failures, amplification, verdict } = measured;
        let wrong = |what: &str, is: String, span: &Range<usize>, expected: String| {
            let message = format!("`{what}` of {name} is {is}");
            Diagnostic::error(codes::UNEXPECTED_ACCOUNT, message).label(
                file,
                span.clone(),
                format!("expected {expected}"),
            )
        };
        let mut found = Vec::new();
        for (key, amount) in &self.counts {
            let (reads, writes) = (copies.payload_read.ops, copies.payload_write.ops);
            let is = match *key {
                "copies" => reads + writes,
                "reads" => reads,
                "writes" => writes,
                "dropped" => *dropped,
                _ => failure_count(key, failures),
            };
            if !amount.contains(is) {
                found.push(
                    wrong(key, is.to_string(), &amount.span, amount.to_string()).note(describe_stages(key, account)),
                );
            }
        }
        if let Some(amount) =
            self.amplification.as_ref().filter(|amount| !amplification.is_some_and(|is| amount.contains(is)))
        {
            let is = amplification
                .map_or_else(|| "undefined: no payload byte was offered".to_string(), |is| format!("{is:.2}"));
            found.push(wrong("amplification", is, &amount.span, amount.to_string()));
        }
        if let Some((expected, span)) = self.verdict.as_ref().filter(|(expected, _)| *expected != verdict.to_string()) {
            found.push(wrong("verdict", format!("`{verdict}`"), span, format!("`{expected}`")));
        }
        found
    }
}

/// A count of failures, by its key.
fn failure_count(key: &str, failures: &FailureUse) -> u64 {
    match key {
        "skipped" => failures.skipped,
        "dead-letters" => failures.dead_letters,
        "retries" => failures.retries,
        _ => failures.restarts,
    }
}

fn add_failures(one: FailureUse, other: FailureUse) -> FailureUse {
    FailureUse {
        calls: one.calls + other.calls,
        retries: one.retries + other.retries,
        skipped: one.skipped + other.skipped,
        dead_letters: one.dead_letters + other.dead_letters,
        restarts: one.restarts + other.restarts,
    }
}

/// Describes the count of each stage.
fn describe_stages(key: &str, account: &Account) -> String {
    let stage = |stage: &StageAccount| match key {
        "dropped" => format!("`{}` dropped {}", stage.name, stage.elements_dropped),
        "skipped" | "dead-letters" | "retries" | "restarts" => {
            let FailureUse { calls, retries, skipped, dead_letters, restarts } = stage.failures;
            format!(
                "`{}` failed in {}: retries {retries}, skipped {skipped}, dead letters {dead_letters}, \
                 restarts {restarts}",
                stage.name,
                counted(calls, "call")
            )
        }
        _ => {
            let Copies { payload_read, payload_write, .. } = stage.copies;
            format!(
                "`{}` read {} of {} and wrote {}",
                stage.name,
                counted(payload_read.ops, "payload"),
                counted(stage.elements_in, "element"),
                payload_write.ops
            )
        }
    };
    account.stages.iter().map(stage).collect::<Vec<_>>().join("\n")
}
