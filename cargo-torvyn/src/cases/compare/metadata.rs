//! Metadata of elements as cases write it: given to a flow as it stands, and compared as far as it is written.

use std::time::Duration;

use toml::de::DeValue;
use torvyn_runtime::contract::Trace;
use torvyn_runtime::payload::attributes::{Attribute, Attributes};
use torvyn_runtime::payload::element::{Element, Metadata};

use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;

/// The keys of an element that are metadata.
pub(crate) const KEYS: [&str; 5] = ["sequence", "timestamp", "deadline", "trace", "attributes"];

/// Reads the keys of an element, as far as they are there.
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

/// A table of any names. All that is wrong in it is reported.
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

/// The metadata that an element came with.
pub(crate) fn of(element: &Element) -> Metadata {
    let Element { sequence, timestamp, .. } = *element;
    // A deadline before the timestamp is none that a case can write.
    let deadline = element.deadline().and_then(|deadline| deadline.checked_sub(timestamp));
    Metadata {
        sequence: Some(sequence),
        timestamp: Some(timestamp),
        deadline: deadline.map(Duration::from_nanos),
        trace: element.trace(),
        attributes: Some(element.attributes().clone()),
    }
}

/// Whether all that is expected is so.
pub(crate) fn holds(expected: &Metadata, came: &Metadata) -> bool {
    differing(expected, came) == Metadata::default()
}

/// Of what is expected, that which is not so.
pub(crate) fn differing(expected: &Metadata, came: &Metadata) -> Metadata {
    fn other<T: Clone + PartialEq>(expected: &Option<T>, came: &Option<T>) -> Option<T> {
        expected.clone().filter(|_| expected != came)
    }
    Metadata {
        sequence: other(&expected.sequence, &came.sequence),
        timestamp: other(&expected.timestamp, &came.timestamp),
        deadline: other(&expected.deadline, &came.deadline),
        trace: other(&expected.trace, &came.trace),
        attributes: other(&expected.attributes, &came.attributes),
    }
}

/// For people, with a space before each: of `shown` what `wanted` says something of.
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

/// As a case has them: `{ tenant = "a" }`. No control character is in them.
fn text(attributes: &Attributes) -> String {
    let pairs: Vec<_> = attributes.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    if pairs.is_empty() { "{}".to_string() } else { format!("{{ {} }}", pairs.join(", ")) }
}
