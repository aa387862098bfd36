//! Metadata of elements as cases write it. Inputs get it as written; expected elements compare only what is written.

use std::time::Duration;

use toml::de::DeValue;
use torvyn_runtime::contract::Trace;
use torvyn_runtime::payload::ElementRef;
use torvyn_runtime::payload::attributes::{Attribute, Attributes};
use torvyn_runtime::payload::element::Metadata;

use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;

/// The keys of an element that are metadata.
pub(crate) const KEYS: [&str; 5] = ["sequence", "timestamp", "deadline", "trace", "attributes"];

/// Reads the metadata keys of an element.
pub(crate) fn read(table: &Table, report: &mut Report) -> Option<Metadata> {
    let mut metadata = Metadata::default();
    for field in table.fields() {
        match field.key {
            "sequence" => metadata.sequence = Some(field.count(&ranges::ANY, report)?),
            "timestamp" => metadata.timestamp = Some(field.time(report)?),
            "deadline" => metadata.deadline = Some(field.duration(&ranges::DEADLINE, report)?),
            "trace" => metadata.trace = Some(read_trace(&field, report)?),
            "attributes" => metadata.attributes = Some(read_attributes(&field, report)?),
            _ => {}
        }
    }
    Some(metadata)
}

/// Reads a table of attributes. Reports every invalid one.
fn read_attributes(field: &Field, report: &mut Report) -> Option<Attributes> {
    let DeValue::Table(entries) = field.value else {
        field.wrong_type("a table", report);
        return None;
    };
    let mut attributes = Some(Attributes::new());
    for entry in Field::all(entries) {
        let DeValue::String(value) = entry.value else {
            entry.wrong_type("a string", report);
            attributes = None;
            continue;
        };
        let checked = Attribute::new(entry.key, value);
        let set = checked.and_then(|attribute| attributes.as_mut().map_or(Ok(()), |all| all.set(attribute)));
        if let Err(error) = set {
            let message = format!("invalid attribute `{}`: {error}", entry.key.escape_debug());
            entry.wrong(codes::BAD_ATTRIBUTE, message, "", report);
            attributes = None;
        }
    }
    attributes
}

fn read_trace(field: &Field, report: &mut Report) -> Option<Trace> {
    let DeValue::String(text) = field.value else {
        field.wrong_type("a traceparent", report);
        return None;
    };
    let parsed = text.parse();
    let wrong = |error| {
        let message = format!("`{text}` is not a traceparent: {error}");
        field.wrong(codes::BAD_TRACEPARENT, message, "", report);
    };
    parsed.map_err(wrong).ok()
}

/// The metadata of an actual element.
pub(crate) fn from_element(element: ElementRef<'_>) -> Metadata {
    let (sequence, timestamp) = (element.sequence(), element.timestamp());
    // A case cannot write a deadline before the timestamp.
    let deadline = element.deadline().and_then(|deadline| deadline.checked_sub(timestamp));
    Metadata {
        sequence: Some(sequence),
        timestamp: Some(timestamp),
        deadline: deadline.map(Duration::from_nanos),
        trace: element.trace(),
        attributes: Some(element.attributes().clone()),
    }
}

/// Whether the actual metadata has everything that is expected.
pub(crate) fn holds(expected: &Metadata, actual: &Metadata) -> bool {
    differing(expected, actual) == Metadata::default()
}

/// The part of the expected metadata that differs from the actual one.
pub(crate) fn differing(expected: &Metadata, actual: &Metadata) -> Metadata {
    fn other<T: Clone + PartialEq>(expected: &Option<T>, actual: &Option<T>) -> Option<T> {
        expected.clone().filter(|_| expected != actual)
    }
    Metadata {
        sequence: other(&expected.sequence, &actual.sequence),
        timestamp: other(&expected.timestamp, &actual.timestamp),
        deadline: other(&expected.deadline, &actual.deadline),
        trace: other(&expected.trace, &actual.trace),
        attributes: other(&expected.attributes, &actual.attributes),
    }
}

/// The keys of `shown` that `wanted` has, for people; each with a space before it.
pub(crate) fn shown(shown: &Metadata, wanted: &Metadata) -> String {
    fn one<T, W>(key: &str, shown: Option<T>, wanted: Option<W>, text: impl Fn(T) -> String) -> String {
        match (wanted, shown) {
            (None, _) => String::new(),
            (Some(_), Some(value)) => format!(" {key} {}", text(value)),
            (Some(_), None) => format!(" no {key}"),
        }
    }
    [
        one("sequence", shown.sequence, wanted.sequence, |number| number.to_string()),
        one("timestamp", shown.timestamp, wanted.timestamp, |time| time.to_string()),
        one("deadline", shown.deadline, wanted.deadline, |time| format!("{time:?}")),
        one("trace", shown.trace, wanted.trace, |trace| trace.to_string()),
        one("attributes", shown.attributes.as_ref(), wanted.attributes.as_ref(), text),
    ]
    .concat()
}

/// Attributes as a case writes them: `{ tenant = "a" }`. They contain no control characters.
fn text(attributes: &Attributes) -> String {
    let pairs: Vec<_> = attributes.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    if pairs.is_empty() { "{}".to_string() } else { format!("{{ {} }}", pairs.join(", ")) }
}
