//! When the input elements of a case arrive, by its virtual clock.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;
use torvyn_runtime::endpoint::{Input, Timed};

use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The key for the arrival time of an element.
pub(crate) const KEY: &str = "at";

/// When elements arrive, counted from the start of the flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrivals {
    /// As soon as there is room.
    AtOnce,
    /// The first at once, and each other element this long after the previous one.
    Every(Duration),
    /// Each at its time.
    At(Arc<[Duration]>),
}

impl Arrivals {
    /// Reads `every` of an input, or `at` of its `elements`. An element without `at` arrives with the previous one.
    pub(crate) fn read(table: &Table, elements: Option<&Field>, report: &mut Report) -> Option<Arrivals> {
        let every = table.get("every");
        // `elements` that are not an array are reported where they are read.
        let elements = elements.filter(|field| matches!(field.value, DeValue::Array(_)));
        let items = elements.and_then(|field| field.items(report)).unwrap_or_default();
        let at: Vec<_> = items.iter().map(at).collect();
        let Some(first) = at.iter().flatten().next() else {
            return every
                .map_or(Some(Arrivals::AtOnce), |field| field.duration(&ranges::PAUSE, report).map(Arrivals::Every));
        };
        if let Some(every) = every {
            let message = "`every` and `at` exclude each other";
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
                    let wrong = Diagnostic::error(codes::OUT_OF_ORDER, "an element arrives before the previous one");
                    let wrong =
                        wrong.label(report.file, field.span, "").label(report.file, place, "the previous element");
                    report.found.push(wrong.help("list the elements in the order in which they arrive"));
                    return None;
                }
                before = (time, Some(field.span));
            }
            times.push(before.0);
        }
        Some(Arrivals::At(times.into()))
    }

    /// Delays the elements of an input accordingly.
    pub(crate) fn delay(&self, input: Box<dyn Input>) -> Box<dyn Input> {
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
