//! The configuration of a stage, flattened to the pairs of strings that the component gets.

use std::collections::HashMap;
use std::ops::Range;

use toml::de::DeValue;

use crate::config::toml_reader::{Field, Report};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// Reads the pairs of a `config` table in file order. A key of a nested table becomes `nested.x`, an item of an array
/// `list.0`. Values that are not strings are formatted in decimal or as RFC 3339.
pub(crate) fn read(field: &Field, report: &mut Report) -> Vec<(String, String)> {
    let mut flat = Flat { pairs: Vec::new(), spans: Vec::new(), places: HashMap::new() };
    match field.value {
        DeValue::Table(_) => flat.add(String::new(), field, report),
        _ => field.wrong_type("a table", report),
    }
    flat.pairs
}

struct Flat {
    pairs: Vec<(String, String)>,
    spans: Vec<Range<usize>>,
    /// The index of each key in `pairs` and `spans`.
    places: HashMap<String, usize>,
}

impl Flat {
    fn add(&mut self, key: String, field: &Field, report: &mut Report) {
        let within = |name: &str| if key.is_empty() { name.to_string() } else { format!("{key}.{name}") };
        let text = match field.value {
            DeValue::Table(entries) => {
                return Field::all(entries).iter().for_each(|field| self.add(within(field.key), field, report));
            }
            DeValue::Array(_) => {
                let items = field.items(report).unwrap_or_default();
                return items
                    .iter()
                    .enumerate()
                    .for_each(|(index, item)| self.add(within(&index.to_string()), item, report));
            }
            DeValue::String(text) => text.to_string(),
            DeValue::Float(float) => float.as_str().to_string(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            DeValue::Datetime(datetime) => datetime.to_string(),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => integer.to_string(),
                Err(_) => {
                    let message = format!("`{key}` does not fit into a 64-bit integer");
                    field.wrong(codes::BAD_NUMBER, message, "", report).help = Some("write it as a string".to_string());
                    return;
                }
            },
        };
        if let Some(&first) = self.places.get(&key) {
            let message = format!("duplicate key `{key}` in `config`");
            report.found.push(
                Diagnostic::error(codes::DUPLICATE_CONFIG, message).label(report.file, field.span.clone(), "").label(
                    report.file,
                    self.spans[first].clone(),
                    "first declared here",
                ),
            );
            return;
        }
        self.places.insert(key.clone(), self.pairs.len());
        self.pairs.push((key, text));
        self.spans.push(field.span.clone());
    }
}
