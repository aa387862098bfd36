//! Faults that a case injects into its stages.

use std::ops::Range;
use std::path::Path;

use torvyn_runtime::Account;
use torvyn_runtime::contract::Kind;
use torvyn_runtime::pipeline::injection::{FailureKind, InjectedFault, Injection};

use crate::cases::compare::expectation::counted;
use crate::config::ranges;
use crate::config::spanned::Named;
use crate::config::toml_reader::{Field, Report};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// A fault to inject into a stage at an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaseFault {
    /// The stage; `None` if the case runs a single stage.
    pub(crate) stage: Option<Named>,
    element: u64,
    times: u32,
    what: InjectedFault,
    span: Range<usize>,
}

const FAULTS: [(&str, InjectedFault); 8] = [
    ("trap", InjectedFault::Trap),
    ("deadline", InjectedFault::Deadline),
    ("allocation", InjectedFault::Allocation),
    ("invalid-input", InjectedFault::Failure(FailureKind::InvalidInput)),
    ("unavailable", InjectedFault::Failure(FailureKind::Unavailable)),
    ("internal", InjectedFault::Failure(FailureKind::Internal)),
    ("deadline-exceeded", InjectedFault::Failure(FailureKind::DeadlineExceeded)),
    ("fatal", InjectedFault::Failure(FailureKind::Fatal)),
];

impl CaseFault {
    /// Reads `faults`, an array. Each fault names its stage, unless the case runs a single stage (`alone`).
    pub(crate) fn read_all(field: &Field, alone: bool, report: &mut Report) -> Option<Vec<CaseFault>> {
        field.items(report)?.iter().map(|item| CaseFault::read(item, alone, report)).collect()
    }

    fn read(field: &Field, alone: bool, report: &mut Report) -> Option<CaseFault> {
        let table = field.table("a fault", &["stage", "element", "fault", "pause", "times"], report)?;
        let stage = match table.get("stage") {
            Some(field) => Some(Named { name: field.text(report)?.to_string(), span: field.span }),
            None if alone => None,
            None => {
                table.report_missing(&["stage"], report);
                return None;
            }
        };
        let element = table.need("element", report).and_then(|field| field.count(&ranges::ANY, report));
        let what = table.need_one(&["fault", "pause"], report)?;
        let injected = match what.key {
            "pause" => InjectedFault::Pause(what.duration(&ranges::PAUSE, report)?),
            _ => {
                let name = what.choice(&FAULTS.each_ref().map(|(name, _)| *name), report)?;
                FAULTS.iter().find(|(known, _)| *known == name).map(|(_, injected)| injected.clone())?
            }
        };
        let times = table.get("times").map_or(Some(1), |field| field.count(&ranges::TIMES, report))?;
        Some(CaseFault { stage, element: element?, times, what: injected, span: field.span.clone() })
    }

    /// The injection for one run.
    pub(crate) fn injection(&self) -> Injection {
        Injection::new(self.element, self.times, self.what.clone())
    }

    /// The stage never reached the element of the fault. `account` is that of the run, if it ran to its end; `file` is the
    /// file of the case.
    pub(crate) fn not_reached(&self, stage: &str, file: &Path, account: Option<&Account>) -> Diagnostic {
        let message = format!("`{stage}` never reached element {}", self.element);
        let stage = account.and_then(|account| account.stages.iter().find(|other| other.name == stage));
        let text = stage.map_or_else(String::new, |stage| match stage.kind {
            Kind::Source => format!("it made {} (numbered from 0)", counted(stage.elements_out)),
            Kind::Processor | Kind::Sink => format!("it was given {} (numbered from 0)", counted(stage.elements_in)),
        });
        Diagnostic::error(codes::FAULT_NOT_REACHED, message).label(file, self.span.clone(), text)
    }
}
