//! When the elements that a case gives come, by its clock.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;
use torvyn_runtime::endpoint::{Input, Timed};

use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The key of an element that says when it comes.
pub(crate) const KEY: &str = "at";

/// When elements come, from the beginning of the flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrivals {
    /// As soon as there is room.
    AtOnce,
    /// The first at once, and each other one so long after the one before it.
    Every(Duration),
    /// Each at its time.
    At(Arc<[Duration]>),
}

impl Arrivals {
    /// Reads `every` of an input, or `at` of its `elements`. One that does not say when comes with the one before it.
    pub(crate) fn read(table: &Table, elements: Option<&Field>, report: &mut Report) -> Option<Arrivals> {
        let every = table.get("every");
        // What is no array is told where the elements themselves are read.
        let elements = elements.filter(|field| matches!(field.value, DeValue::Array(_)));
        let items = elements.and_then(|field| field.items(report)).unwrap_or_default();
        let at: Vec<_> = items.iter().map(at).collect();
        let Some(first) = at.iter().flatten().next() else {
            return every
                .map_or(Some(Arrivals::AtOnce), |field| field.duration(&ranges::PAUSE, report).map(Arrivals::Every));
        };
        if let Some(every) = every {
            let message = "elements come either `every` so often or each `at` its time";
            let diagnostic = Diagnostic::error(codes::CONFLICTING_KEYS, message);
            let diagnostic = diagnostic.label(report.file, every.key_span, "either this");
            report.found.push(diagnostic.label(report.file, first.key_span.clone(), "or this"));
            return None;
        }
        let (mut times, mut before) = (Vec::new(), (Duration::ZERO, None::<Range<usize>>));
        for field in at {
            if let Some(field) = field {
                let time = field.duration(&ranges::ARRIVAL, report)?;
                if let (true, Some(place)) = (time < before.0, before.1) {
                    let wrong =
                        Diagnostic::error(codes::OUT_OF_ORDER, "an element comes before the one in front of it");
                    let wrong = wrong.label(report.file, field.span, "").label(report.file, place, "in front of it");
                    report.found.push(wrong.help("elements come in the order in which they stand here"));
                    return None;
                }
                before = (time, Some(field.span));
            }
            times.push(before.0);
        }
        Some(Arrivals::At(times.into()))
    }

    /// An input whose elements come then.
    pub(crate) fn of(&self, input: Box<dyn Input>) -> Box<dyn Input> {
        match self {
            Arrivals::AtOnce => input,
            Arrivals::Every(time) => Box::new(Timed::every(input, *time)),
            Arrivals::At(times) => Box::new(Timed::new(input, times.to_vec())),
        }
    }
}

fn at<'a>(element: &Field<'a>) -> Option<Field<'a>> {
    match element.value {
        DeValue::Table(entries) => Field::find(entries, KEY),
        _ => None,
    }
}
