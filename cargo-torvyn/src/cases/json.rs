//! JSON that elements are to contain: objects may have more keys, arrays have the same length, numbers count by value.

use std::borrow::Cow;

use serde_json::{Map, Value};
use toml::de::DeValue;
use torvyn_runtime::words::counted;

use super::diff::{self, Sides};
use super::element::Entry;
use crate::code;
use crate::table::{Field, Report};

/// Differences of one element that are shown.
const DIFFERENCES: usize = 8;
/// Letters of a value that are shown.
const WIDTH: usize = 60;

/// Values that are expected, beside the elements that came.
pub(super) struct Json<'a> {
    expected: &'a [Value],
    got: &'a [Entry],
    parsed: Vec<Result<Value, String>>,
}

/// A step from a value to one in it.
#[derive(Debug, Clone)]
pub(super) enum Step<'a> {
    Key(Cow<'a, str>),
    Item(usize),
}

impl<'a> Json<'a> {
    pub(super) fn new(expected: &'a [Value], got: &'a [Entry]) -> Json<'a> {
        Json { expected, got, parsed: got.iter().map(|entry| parse(&entry.bytes)).collect() }
    }
}

impl Sides for Json<'_> {
    fn lengths(&self) -> (usize, usize) {
        (self.expected.len(), self.got.len())
    }

    fn is(&self, expected: usize, got: usize) -> bool {
        self.parsed[got].as_ref().is_ok_and(|got| contains(got, &self.expected[expected]))
    }

    fn missing(&self, expected: usize, _: Option<usize>) -> String {
        shown(&self.expected[expected])
    }

    fn came(&self, _: Option<usize>, got: usize) -> String {
        match &self.parsed[got] {
            Ok(value) => shown(value),
            Err(_) => diff::shown(&self.got[got].bytes, 0),
        }
    }

    fn explained(&self, expected: usize, got: usize) -> Vec<String> {
        match &self.parsed[got] {
            Err(error) => vec![format!("no JSON: {error}")],
            Ok(value) => {
                let mut found = Differences::default();
                found.between(&self.expected[expected], value);
                if found.more > 0 {
                    found.lines.push(format!("... and {} more", found.more));
                }
                found.lines
            }
        }
    }
}

/// Reads `json`: a value, or an array of values of an element each.
pub(super) fn read(field: &Field, report: &mut Report) -> Option<Vec<Value>> {
    match field.value {
        DeValue::Array(_) => field.items(report)?.iter().map(|item| read_value(item, report)).collect(),
        _ => Some(vec![read_value(field, report)?]),
    }
}

/// A value of TOML as the one of JSON.
fn read_value(field: &Field, report: &mut Report) -> Option<Value> {
    match field.value {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Boolean(boolean) => Some(Value::Bool(*boolean)),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).map(Value::from);
            let number = number.or_else(|_| u64::from_str_radix(integer.as_str(), integer.radix()).map(Value::from));
            let wrong = |_| {
                field.wrong(code::BAD_NUMBER, format!("`{}` is too great for a number", field.key), "", report);
            };
            number.map_err(wrong).ok()
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            if number.is_none() {
                field.wrong(code::BAD_NUMBER, format!("JSON has no number `{}`", float.as_str()), "", report);
            }
            number.map(Value::Number)
        }
        DeValue::Datetime(_) => {
            field.wrong_type("a value that JSON has: write a date as a string", report);
            None
        }
        DeValue::Array(_) => {
            let items = field.items(report)?;
            items.iter().map(|item| read_value(item, report)).collect::<Option<_>>().map(Value::Array)
        }
        DeValue::Table(_) => {
            let mut object = Map::new();
            for field in field.entries(report)? {
                object.insert(field.key.to_string(), read_value(&field, report)?);
            }
            Some(Value::Object(object))
        }
    }
}

/// The value that an element is, or why it is none.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Whether a value has all that is expected.
fn contains(value: &Value, expected: &Value) -> bool {
    match (expected, value) {
        (Value::Object(expected), Value::Object(value)) => {
            expected.iter().all(|(key, expected)| value.get(key).is_some_and(|value| contains(value, expected)))
        }
        (Value::Array(expected), Value::Array(value)) => {
            expected.len() == value.len()
                && expected.iter().zip(value).all(|(expected, value)| contains(value, expected))
        }
        (Value::Number(expected), Value::Number(value)) => is_same_number(expected, value),
        _ => expected == value,
    }
}

/// What a value has otherwise than expected, by the paths to it.
#[derive(Default)]
struct Differences<'a> {
    path: Vec<Step<'a>>,
    lines: Vec<String>,
    /// Those that are counted only.
    more: usize,
}

impl<'a> Differences<'a> {
    fn between(&mut self, expected: &'a Value, value: &Value) {
        match (expected, value) {
            (Value::Object(expected), Value::Object(value)) => {
                for (key, expected) in expected {
                    self.path.push(Step::Key(Cow::Borrowed(key)));
                    match value.get(key) {
                        Some(value) => self.between(expected, value),
                        None => self.tell(|| format!("expected {}, found nothing", shown(expected))),
                    }
                    self.path.pop();
                }
            }
            (Value::Array(expected), Value::Array(value)) if expected.len() == value.len() => {
                for (index, (expected, value)) in expected.iter().zip(value).enumerate() {
                    self.path.push(Step::Item(index));
                    self.between(expected, value);
                    self.path.pop();
                }
            }
            (Value::Array(expected), Value::Array(value)) => {
                let items = |count: usize| counted(count as u64, "item");
                self.tell(|| format!("expected {}, found {}", items(expected.len()), items(value.len())));
            }
            (Value::Number(expected), Value::Number(value)) if is_same_number(expected, value) => {}
            _ if expected == value => {}
            _ => self.tell(|| format!("expected {}, found {}", shown(expected), shown(value))),
        }
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        match self.lines.len() < DIFFERENCES {
            true => self.lines.push(format!("{}: {}", written(&self.path), line())),
            false => self.more += 1,
        }
    }
}

fn is_same_number(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64() == b.as_f64(),
    }
}

/// A path as people write it: `$.user.names[0]`.
pub(super) fn written(path: &[Step<'_>]) -> String {
    let step = |step: &Step<'_>| match step {
        Step::Item(index) => format!("[{index}]"),
        Step::Key(key) if !key.is_empty() && key.chars().all(|letter| letter.is_alphanumeric() || letter == '_') => {
            format!(".{key}")
        }
        Step::Key(key) => format!("[{}]", shown(&Value::from(&**key))),
    };
    "$".to_string() + &path.iter().map(step).collect::<String>()
}

/// A value in one line, of a long one the beginning.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut letters = text.chars();
    let part: String = letters.by_ref().take(WIDTH).map(diff::visible).collect();
    let rest = if letters.as_str().is_empty() { "" } else { "..." };
    part + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn explained(expected: Value, came: &str) -> Vec<String> {
        let (expected, got) = ([expected], [Entry::plain(came.as_bytes().to_vec())]);
        let json = Json::new(&expected, &got);
        let lines = json.explained(0, 0);
        assert_eq!(json.is(0, 0), lines.is_empty());
        lines
    }

    #[test]
    fn what_is_contained() {
        for (expected, came) in [
            (json!({}), r#"{"a": 1}"#),
            (json!({"a": {"b": 1}}), r#" {"a": {"b": 1.0, "c": null}, "d": []} "#),
            (json!([1, {"a": 2}]), r#"[1e0, {"a": 2, "b": 3}]"#),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(null), "null"),
        ] {
            assert_eq!(explained(expected, came), [""; 0]);
        }
    }

    #[test]
    fn differences_have_their_paths() {
        let came = r#"{"user": {"name": "b", "age": 3}, "tags": [1], "a b": true, "n": 9007199254740993}"#;
        for (expected, lines) in [
            (json!({"user": {"name": "a"}}), &["$.user.name: expected \"a\", found \"b\""][..]),
            (
                json!({"user": {"id": 1, "age": 4}}),
                &["$.user.age: expected 4, found 3", "$.user.id: expected 1, found nothing"],
            ),
            (json!({"tags": []}), &["$.tags: expected 0 items, found 1 item"]),
            (json!({"tags": [2]}), &["$.tags[0]: expected 2, found 1"]),
            (json!({"a b": "true"}), &["$[\"a b\"]: expected \"true\", found true"]),
            (json!({"n": 9_007_199_254_740_992_u64}), &["$.n: expected 9007199254740992, found 9007199254740993"]),
            (
                json!([]),
                &["$: expected [], found {\"a b\":true,\"n\":9007199254740993,\"tags\":[1],\"user\":{\"age\":3,..."],
            ),
        ] {
            assert_eq!(explained(expected, came), lines);
        }
        assert_eq!(explained(json!(1), "1 2"), ["no JSON: trailing characters at line 1 column 3"]);
        assert!(explained(json!(1), "\u{ff}")[0].starts_with("no JSON: "));
        let (many, other) = (json!(vec![0; 20]), json!(vec![1; 20]).to_string());
        let lines = explained(many, &other);
        assert_eq!((lines.len(), &*lines[8]), (9, "... and 12 more"));
    }
}
