//! `replicas` of a stage: how many instances of its component take turns.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

use toml::de::DeValue;
use torvyn_runtime::Stage as RunningStage;

use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::suggestion;

/// The instances of the component of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replicas {
    /// How many there are; `None` for as many as the machine has processors.
    number: Option<usize>,
    /// Whether the pipeline declares that the stage is stateless.
    pub(crate) stateless: bool,
    /// The place of `replicas` in the manifest, if present.
    place: Option<Range<usize>>,
}

impl Replicas {
    /// One instance, about which nothing is declared.
    pub(super) const ONE: Replicas = Replicas { number: Some(1), stateless: false, place: None };

    /// Reads `replicas` and `stateless`.
    pub(super) fn read(table: &Table, report: &mut Report) -> Replicas {
        let field = table.get("replicas");
        let stateless = table.get("stateless").and_then(|field| field.only_true(report)).is_some();
        let place = field.as_ref().map(|field| field.span.clone());
        let number = field.and_then(|field| read_number(&field, report)).unwrap_or(Replicas::ONE.number);
        Replicas { number, stateless, place }
    }

    /// How many instances the stage has on this machine.
    pub(crate) fn count(&self) -> usize {
        let processors = || thread::available_parallelism().map_or(1, NonZero::get).min(RunningStage::MAX_REPLICAS);
        self.number.unwrap_or_else(processors)
    }

    /// Where the stage is said to have several instances, or as many as there are processors.
    pub(crate) fn several(&self) -> Option<Range<usize>> {
        self.place.clone().filter(|_| self.number != Some(1))
    }
}

/// The number of instances: the inner value is none for "auto".
fn read_number(field: &Field, report: &mut Report) -> Option<Option<usize>> {
    match field.value {
        DeValue::Integer(_) => Some(Some(field.count(&ranges::REPLICAS, report)?)),
        DeValue::String(text) if text == "auto" => Some(None),
        DeValue::String(text) => {
            let message = format!("`replicas` cannot be `{text}`");
            let help = suggestion(text, "values", &["auto"]);
            field.wrong(codes::UNKNOWN_VALUE, message, "a number, or \"auto\"", report).help = Some(help);
            None
        }
        _ => {
            field.wrong_type("a whole number or \"auto\"", report);
            None
        }
    }
}
