//! Compares elements with expected JSON: objects may have more keys, arrays must have the same length, and numbers are
//! compared by value.
//!
//! Numbers are parsed as they are written: as `f64`, 9007199254740993 would become 9007199254740992, and 1e400 would not be
//! a number.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::IgnoredAny;
use toml::de::DeValue;
use torvyn_runtime::base::plural::counted;

use crate::cases::compare::decimal::Decimal;
use crate::cases::compare::diff::{self, Sides};
use crate::cases::compare::element::Entry;
use crate::config::toml_reader::{Field, Report};
use crate::output::codes;

/// The most differences that are shown of one element.
const DIFFERENCES: usize = 8;
/// The most characters that are shown of a value.
const WIDTH: usize = 60;
/// How deep values may be nested: the limit of `serde_json`.
const DEEPEST: usize = 128;

/// A JSON value. Of several members of the same name the last one counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

/// The expected values and the actual elements.
pub(crate) struct Json<'a> {
    expected: &'a [Value],
    got: &'a [Entry],
    parsed: Vec<Result<Value, String>>,
}

/// A step in the path to a nested value.
#[derive(Debug, Clone)]
pub(crate) enum Step<'a> {
    Key(Cow<'a, str>),
    Item(usize),
}

impl<'a> Json<'a> {
    pub(crate) fn new(expected: &'a [Value], got: &'a [Entry]) -> Json<'a> {
        Json { expected, got, parsed: got.iter().map(|entry| parse(&entry.bytes)).collect() }
    }
}

impl Sides for Json<'_> {
    fn lengths(&self) -> (usize, usize) {
        (self.expected.len(), self.got.len())
    }

    fn matches(&self, expected: usize, got: usize) -> bool {
        self.parsed[got].as_ref().is_ok_and(|got| contains(got, &self.expected[expected]))
    }

    fn missing(&self, expected: usize, _: Option<usize>) -> String {
        shown(&self.expected[expected])
    }

    fn actual(&self, _: Option<usize>, got: usize) -> String {
        match &self.parsed[got] {
            Ok(value) => shown(value),
            Err(_) => diff::shown(&self.got[got].bytes, 0),
        }
    }

    fn explain(&self, expected: usize, got: usize) -> Vec<String> {
        match &self.parsed[got] {
            Err(error) => vec![format!("not valid JSON: {error}")],
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

/// Reads `json`: a value, or an array with a value for each element.
pub(crate) fn read(field: &Field, report: &mut Report) -> Option<Vec<Value>> {
    match field.value {
        DeValue::Array(_) => field.items(report)?.iter().map(|item| read_value(item, report)).collect(),
        _ => Some(vec![read_value(field, report)?]),
    }
}

/// Converts a TOML value to JSON.
fn read_value(field: &Field, report: &mut Report) -> Option<Value> {
    match field.value {
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Boolean(boolean) => Some(Value::Bool(*boolean)),
        DeValue::Integer(integer) => {
            let number = match integer.radix() {
                10 => Decimal::parse(integer.as_str()),
                radix => u128::from_str_radix(integer.as_str(), radix).ok().map(Decimal::from),
            };
            if number.is_none() {
                field.wrong(codes::BAD_NUMBER, format!("`{}` is too large for a number", field.key), "", report);
            }
            number.map(Value::Number)
        }
        DeValue::Float(float) => {
            let number = Decimal::parse(float.as_str());
            if number.is_none() {
                field.wrong(codes::BAD_NUMBER, format!("`{}` is not a JSON number", float.as_str()), "", report);
            }
            number.map(Value::Number)
        }
        DeValue::Datetime(_) => {
            field.wrong_type("a JSON value (write a date as a string)", report);
            None
        }
        DeValue::Array(_) => {
            let items = field.items(report)?;
            items.iter().map(|item| read_value(item, report)).collect::<Option<_>>().map(Value::Array)
        }
        DeValue::Table(_) => {
            let mut object = BTreeMap::new();
            for field in field.entries(report)? {
                object.insert(field.key.to_string(), read_value(&field, report)?);
            }
            Some(Value::Object(object))
        }
    }
}

/// Parses an element as JSON.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
    // `serde_json` decides whether it is JSON; the reader below parses only what it has accepted.
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_string())?;
    Reader { rest: text }.value(0)
}

/// Parses a text that is known to be JSON.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth == DEEPEST {
            return Err(format!("values are nested more than {DEEPEST} deep"));
        }
        match self.skip_space() {
            Some('"') => self.text().map(Value::Text),
            Some('[') => {
                let mut items = Vec::new();
                self.list(']', |reader| {
                    items.push(reader.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Value::Array(items))
            }
            Some('{') => {
                let mut members = BTreeMap::new();
                self.list('}', |reader| {
                    reader.skip_space();
                    let key = reader.text()?;
                    reader.skip_space();
                    reader.skip(1);
                    members.insert(key, reader.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Value::Object(members))
            }
            _ => self.word(),
        }
    }

    /// Skips white space and returns the next character.
    fn skip_space(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.rest.chars().next()
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Parses the items between brackets, starting at the opening bracket.
    fn list(&mut self, end: char, mut item: impl FnMut(&mut Reader<'a>) -> Result<(), String>) -> Result<(), String> {
        self.skip(1);
        while self.skip_space().is_some_and(|letter| letter != end) {
            item(self)?;
            if self.skip_space() == Some(',') {
                self.skip(1);
            }
        }
        self.skip(1);
        Ok(())
    }

    /// Parses a string, starting at its opening quote.
    fn text(&mut self) -> Result<String, String> {
        let (mut end, bytes) = (1, self.rest.as_bytes());
        while bytes.get(end).is_some_and(|byte| *byte != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let text = serde_json::from_str(self.rest.get(..=end).unwrap_or(self.rest)).map_err(|error| error.to_string());
        self.skip(end + 1);
        text
    }

    /// Parses a number, `null`, `true` or `false`.
    fn word(&mut self) -> Result<Value, String> {
        let end = self.rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        self.skip(end);
        Ok(match word {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number => Value::Number(Decimal::parse(number).ok_or("the exponent of a number is too large")?),
        })
    }
}

/// Whether a value contains everything that is expected.
fn contains(value: &Value, expected: &Value) -> bool {
    match (expected, value) {
        (Value::Object(expected), Value::Object(value)) => {
            expected.iter().all(|(key, expected)| value.get(key).is_some_and(|value| contains(value, expected)))
        }
        (Value::Array(expected), Value::Array(value)) => {
            expected.len() == value.len()
                && expected.iter().zip(value).all(|(expected, value)| contains(value, expected))
        }
        _ => expected == value,
    }
}

/// The differences of a value from what is expected, with their paths.
#[derive(Default)]
struct Differences<'a> {
    path: Vec<Step<'a>>,
    lines: Vec<String>,
    /// Differences that are only counted.
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
                        None => self.add(|| format!("expected {}, found nothing", shown(expected))),
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
                self.add(|| format!("expected {}, found {}", items(expected.len()), items(value.len())));
            }
            _ if expected == value => {}
            _ => self.add(|| format!("expected {}, found {}", shown(expected), shown(value))),
        }
    }

    fn add(&mut self, line: impl FnOnce() -> String) {
        match self.lines.len() < DIFFERENCES {
            true => self.lines.push(format!("{}: {}", written(&self.path), line())),
            false => self.more += 1,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let between = |index: usize| if index == 0 { "" } else { "," };
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => value.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Text(value) => f.write_str(&text(value)),
            Value::Array(items) => {
                f.write_str("[")?;
                items.iter().enumerate().try_for_each(|(index, item)| write!(f, "{}{item}", between(index)))?;
                f.write_str("]")
            }
            Value::Object(members) => {
                f.write_str("{")?;
                let mut members = members.iter().enumerate();
                members.try_for_each(|(index, (key, value))| write!(f, "{}{}:{value}", between(index), text(key)))?;
                f.write_str("}")
            }
        }
    }
}

/// A path as people write it: `$.user.names[0]`.
pub(crate) fn written(path: &[Step<'_>]) -> String {
    let step = |step: &Step<'_>| match step {
        Step::Item(index) => format!("[{index}]"),
        Step::Key(key) if !key.is_empty() && key.chars().all(|letter| letter.is_alphanumeric() || letter == '_') => {
            format!(".{key}")
        }
        Step::Key(key) => format!("[{}]", shown(&Value::Text(key.to_string()))),
    };
    "$".to_string() + &path.iter().map(step).collect::<String>()
}

/// A value in one line, shortened if it is long.
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

    fn explained(expected: serde_json::Value, came: &str) -> Vec<String> {
        explained_text(&expected.to_string(), came)
    }

    fn explained_text(expected: &str, came: &str) -> Vec<String> {
        let (expected, got) = ([parse(expected.as_bytes()).unwrap()], [Entry::plain(came.as_bytes().to_vec())]);
        let json = Json::new(&expected, &got);
        let lines = json.explain(0, 0);
        assert_eq!(json.matches(0, 0), lines.is_empty());
        lines
    }

    #[test]
    fn an_object_may_have_more_keys() {
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
    fn compares_numbers_without_rounding() {
        for (expected, came) in [
            ("9007199254740993", "9007199254740993.0"),
            ("1", "1.0"),
            ("1", "1e0"),
            ("100", "1E+2"),
            ("0.1", "1e-1"),
            ("0", "-0"),
            ("0.0", "-0.0e5"),
            ("1e400", "10e399"),
            ("123456789012345678901234567890", "1.2345678901234567890123456789e29"),
            ("1e-400", "0.1e-399"),
            ("{\"a\":[1e400]}", "{\"a\":[1E400],\"b\":2}"),
        ] {
            assert_eq!(explained_text(expected, came), [""; 0], "{expected} {came}");
        }
        for (expected, came) in [
            ("9007199254740993", "9007199254740992.0"),
            ("18446744073709551616", "18446744073709551617"),
            ("0.1", "0.10000000000000000001"),
            ("1e400", "1e401"),
            ("1e-400", "0"),
            ("1", "-1"),
            ("1", "\"1\""),
        ] {
            let line = format!("$: expected {expected}, found {came}");
            assert_eq!(explained_text(expected, came), [line], "{expected} {came}");
        }
        // These are not JSON numbers.
        for came in ["01", "1.", ".5", "+1", "NaN", "0x10", "1e"] {
            assert!(explained_text("1", came)[0].starts_with("not valid JSON: "), "{came}");
        }
    }

    #[test]
    fn rejects_values_nested_too_deep() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEEPEST - 1).as_bytes()).is_ok());
        assert!(parse(nested(DEEPEST).as_bytes()).unwrap_err().contains("128 deep"));
        assert!(parse(nested(1_000_000).as_bytes()).is_err());
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
        assert_eq!(explained(json!(1), "1 2"), ["not valid JSON: trailing characters at line 1 column 3"]);
        assert!(explained(json!(1), "\u{ff}")[0].starts_with("not valid JSON: "));
        let (many, other) = (json!(vec![0; 20]), json!(vec![1; 20]).to_string());
        let lines = explained(many, &other);
        assert_eq!((lines.len(), &*lines[8]), (9, "... and 12 more"));
    }
}
