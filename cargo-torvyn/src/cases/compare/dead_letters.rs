//! Dead letters in cases: captured in memory, and compared with what a case expects of them.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use toml::de::DeValue;
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::endpoint::Output as _;
use torvyn_runtime::flow::DeadLetters;
use torvyn_runtime::payload::Batch;

use crate::cases::compare::capture::{Capture, Collector};
use crate::cases::compare::expectation::Expectation;
use crate::cases::compare::expected::Expected;
use crate::config::spanned::Named;
use crate::config::toml_reader::{Field, Report};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics};
use crate::output::printable::printable;
use crate::run::dead_letters::reason;

/// The most reasons that are shown if another one was expected.
const SHOWN: usize = 5;

/// What is expected of the dead letters of a stage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpectedDeadLetters {
    /// The stage; `None` if the case runs a single stage.
    pub(crate) stage: Option<Named>,
    pub(crate) elements: Expected,
    /// Texts that the reasons of dead letters must contain, each at least one.
    reasons: Vec<(String, Range<usize>)>,
    /// Where it is written.
    pub(crate) span: Range<usize>,
}

/// What is expected of the dead letters of a stage, with the contents of files.
pub(crate) struct DeadLetterExpectation {
    stage: String,
    pub(crate) elements: Expectation,
    reasons: Vec<(String, Range<usize>)>,
}

impl ExpectedDeadLetters {
    /// Reads `dead-letters`: one table if the case runs a single stage (`alone`), or a table for each stage.
    pub(crate) fn read_all(field: &Field, alone: bool, report: &mut Report) -> Option<Vec<ExpectedDeadLetters>> {
        if alone {
            return Some(vec![ExpectedDeadLetters::read(field, None, report)?]);
        }
        let entries = field.entries(report)?;
        let mut read = |field: &Field| {
            if !matches!(field.value, DeValue::Table(_)) {
                let message = format!("`{}` must be the table of a stage", field.key);
                let wrong = Diagnostic::error(codes::WRONG_TYPE, message);
                let wrong = wrong.label(report.file, field.key_span.clone(), "expected the name of a stage");
                report.found.push(wrong.help("write `dead-letters.STAGE = { … }` for a stage of the pipeline"));
                return None;
            }
            let stage = Named { name: field.key.to_string(), span: field.key_span.clone() };
            ExpectedDeadLetters::read(field, Some(stage), report)
        };
        entries.iter().map(&mut read).collect()
    }

    fn read(field: &Field, stage: Option<Named>, report: &mut Report) -> Option<ExpectedDeadLetters> {
        let (elements, table) = Expected::read_letters(field, report)?;
        let reasons = match table.get("reason") {
            Some(field) if matches!(field.value, DeValue::Array(_)) => field.items(report)?,
            field => field.into_iter().collect(),
        };
        let reasons = reasons.iter().map(|item| Some((item.text(report)?.to_string(), item.span.clone())));
        let reasons = reasons.collect::<Option<_>>()?;
        Some(ExpectedDeadLetters { stage, elements, reasons, span: field.key_span.clone() })
    }

    /// Loads the files of the expectation, for the stage of this name.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub(crate) fn load(&self, stage: &str, file: &Path, bless: bool) -> Result<DeadLetterExpectation, Diagnostics> {
        let elements = self.elements.load(file, bless)?;
        Ok(DeadLetterExpectation { stage: stage.to_string(), elements, reasons: self.reasons.clone() })
    }
}

/// The dead letters of a run.
#[derive(Clone, Default)]
pub(crate) struct Letters(Arc<Mutex<Vec<StageLetters>>>);

/// The dead letters of a stage that the case expects something of.
struct StageLetters {
    stage: String,
    elements: Collector,
    /// For each expected text, whether a reason contains it.
    found: Vec<(String, bool)>,
    /// The first actual reasons.
    reasons: Vec<String>,
}

impl Letters {
    pub(crate) fn new(wanted: &[DeadLetterExpectation]) -> Letters {
        let of_stage = |wanted: &DeadLetterExpectation| StageLetters {
            stage: wanted.stage.clone(),
            elements: Collector::new(wanted.elements.capture()),
            found: wanted.reasons.iter().map(|(reason, _)| (reason.clone(), false)).collect(),
            reasons: Vec::new(),
        };
        Letters(Arc::new(Mutex::new(wanted.iter().map(of_stage).collect())))
    }

    fn of_stages(&self) -> MutexGuard<'_, Vec<StageLetters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sink for the dead letters of a flow.
    pub(crate) fn sink(&self) -> DeadLetters {
        let letters = self.clone();
        Arc::new(move |letter| {
            let mut stages = letters.of_stages();
            let Some(of_stage) = stages.iter_mut().find(|of_stage| of_stage.stage == letter.stage) else {
                return io::Result::Ok(());
            };
            let reason = reason(letter.error);
            of_stage.found.iter_mut().for_each(|(text, found)| *found |= reason.contains(text.as_str()));
            if of_stage.reasons.len() < SHOWN {
                of_stage.reasons.push(reason);
            }
            of_stage.elements.push(&Batch::from_iter([letter.element.clone()]))
        })
    }
}

impl DeadLetterExpectation {
    /// Reports what differs from the expectation. `file` is the file of the case.
    pub(crate) fn judge(&self, file: &Path, letters: &Letters) -> Vec<Diagnostic> {
        let stages = letters.of_stages();
        let Some(of_stage) = stages.iter().find(|of_stage| of_stage.stage == self.stage) else { return Vec::new() };
        let collected = of_stage.elements.collected();
        let what = format!("the list of dead letters of `{}`", self.stage);
        let mut found = self.elements.judge(&what, file, &collected);
        let missing = self.reasons.iter().zip(&of_stage.found).filter(|(_, (_, found))| !found);
        found.extend(missing.map(|((text, span), _)| {
            let message = format!("no dead letter of `{}` has a reason that contains `{text}`", self.stage);
            let wrong = Diagnostic::error(codes::UNEXPECTED_OUTPUT, message);
            let reasons: Vec<_> = of_stage.reasons.iter().map(|reason| printable(reason, true)).collect();
            let text = format!("searched {}", counted(collected.count, "dead letter"));
            let wrong = wrong.label(file, span.clone(), text);
            if reasons.is_empty() { wrong } else { wrong.note(reasons.join("\n")) }
        }));
        found
    }

    /// Calls `each` with the captured elements.
    pub(crate) fn with_collected<T>(&self, letters: &Letters, each: impl FnOnce(&Capture) -> T) -> Option<T> {
        let stages = letters.of_stages();
        let of_stage = stages.iter().find(|of_stage| of_stage.stage == self.stage)?;
        let collected = of_stage.elements.collected();
        Some(each(&collected))
    }
}
