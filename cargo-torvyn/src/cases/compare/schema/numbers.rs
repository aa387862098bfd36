//! Numbers that a schema cannot check exactly. Schemas are checked in 64-bit floating point, in which different numbers can
//! become equal. If that could decide the result, the element is refused with the reason instead of checked wrongly.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Number;

use crate::cases::compare::decimal::Decimal;
use crate::cases::compare::json::{self, Step, Value};

/// Keywords whose numbers are always compared as floating point.
const BOUNDS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/// The numbers of a schema, and whether it has keywords that depend on numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The numbers, by the bits of their floating-point values.
    known: HashMap<u64, Vec<Known>>,
    /// The values of `multipleOf`.
    divisors: Vec<Divisor>,
    has_integer: bool,
    has_unique_items: bool,
}

/// A number as it is written.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    exact: Decimal,
    /// Whether it is compared exactly with another such number: 64-bit integers are, except in bounds.
    is_exact: bool,
}

/// A value of `multipleOf`, as it is checked and as it is written.
#[derive(Debug)]
struct Divisor {
    float: f64,
    exact: Decimal,
}

impl Divisor {
    /// Whether checking a number in floating point gives the wrong result, or may give it.
    fn misjudges(&self, float: f64, exact: &Decimal) -> bool {
        exact.is_multiple_of(&self.exact) != Some((float / self.float).fract() == 0.0)
    }
}

impl Numbers {
    /// Adds the numbers of a schema, given as parsed and as written.
    pub(super) fn add(&mut self, schema: &serde_json::Value, exact: &Value) {
        self.add_below("", schema, exact);
    }

    fn add_below(&mut self, key: &str, schema: &serde_json::Value, exact: &Value) {
        match (schema, exact) {
            (serde_json::Value::Number(number), Value::Number(exact)) => {
                if key == "multipleOf" {
                    let float = number.as_f64().unwrap_or_default();
                    self.divisors.push(Divisor { float, exact: exact.clone() });
                }
                let known = Known { exact: exact.clone(), is_exact: is_integer(number) && !BOUNDS.contains(&key) };
                let same = self.known.entry(bits(number)).or_default();
                if !same.contains(&known) {
                    same.push(known);
                }
            }
            (serde_json::Value::String(text), _) => self.has_integer |= text == "integer",
            (serde_json::Value::Bool(true), _) => self.has_unique_items |= key == "uniqueItems",
            (serde_json::Value::Array(items), Value::Array(exact)) => {
                items.iter().zip(exact).for_each(|(item, exact)| self.add_below("", item, exact));
            }
            (serde_json::Value::Object(members), Value::Object(exact)) => {
                for (key, member) in members {
                    exact.get(key).into_iter().for_each(|exact| self.add_below(key, member, exact));
                }
            }
            _ => {}
        }
    }

    /// The numbers of an element that cannot be checked, with their paths and reasons.
    pub(super) fn refuses(&self, element: &serde_json::Value, exact: &Value) -> Vec<String> {
        let mut found = Found { schema: self, before: HashMap::new(), path: Vec::new(), reasons: Vec::new() };
        found.look_into(element, exact);
        found.reasons
    }

    /// Why a number cannot be checked, if it cannot.
    fn problem(&self, number: &Number, exact: &Decimal) -> Option<String> {
        let other = self.known.get(&bits(number)).into_iter().flatten();
        let is_other = |other: &&Known| other.exact != *exact && !(other.is_exact && is_integer(number));
        if let Some(other) = other.into_iter().find(is_other) {
            return Some(format!("cannot be distinguished from {} in the schema", other.exact));
        }
        let float = number.as_f64().unwrap_or_default();
        if self.has_integer && !exact.is_integer() && float.fract() == 0.0 {
            return Some("cannot be distinguished from an integer".to_string());
        }
        let misjudges = |divisor: &&Divisor| divisor.misjudges(float, exact);
        let divisor = self.divisors.iter().find(misjudges)?;
        Some(format!("cannot be compared with `multipleOf` {}", divisor.exact))
    }
}

/// The search for such numbers in an element.
struct Found<'a> {
    schema: &'a Numbers,
    /// The numbers of the element so far.
    before: HashMap<u64, Vec<Known>>,
    path: Vec<Step<'a>>,
    reasons: Vec<String>,
}

impl<'a> Found<'a> {
    fn look_into(&mut self, element: &serde_json::Value, value: &'a Value) {
        match (element, value) {
            (serde_json::Value::Number(number), Value::Number(exact)) => {
                let problem = self.schema.problem(number, exact).or_else(|| self.like_another(number, exact));
                if let Some(problem) = problem {
                    let path = json::written(&self.path);
                    self.reasons
                        .push(format!("{path}: {exact} {problem}: schemas are checked in 64-bit floating point"));
                }
            }
            (serde_json::Value::Array(items), Value::Array(exact)) => {
                for (index, (item, exact)) in items.iter().zip(exact).enumerate() {
                    self.path.push(Step::Item(index));
                    self.look_into(item, exact);
                    self.path.pop();
                }
            }
            (serde_json::Value::Object(members), Value::Object(exact)) => {
                for (key, exact) in exact {
                    self.path.push(Step::Key(Cow::Borrowed(key)));
                    members.get(key).into_iter().for_each(|member| self.look_into(member, exact));
                    self.path.pop();
                }
            }
            _ => {}
        }
    }

    /// Whether the number would equal another one of the element, if that matters.
    fn like_another(&mut self, number: &Number, exact: &Decimal) -> Option<String> {
        if !self.schema.has_unique_items {
            return None;
        }
        let known = Known { exact: exact.clone(), is_exact: is_integer(number) };
        let before = self.before.entry(bits(number)).or_default();
        let other = before.iter().find(|other| other.exact != *exact && !(other.is_exact && known.is_exact));
        let problem = other.map(|other| format!("cannot be distinguished from the {} before it", other.exact));
        before.push(known);
        problem
    }
}

/// Whether it is a 64-bit integer.
fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

/// The bits of the floating-point value; -0 counts as 0.
fn bits(number: &Number) -> u64 {
    (number.as_f64().unwrap_or_default() + 0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of an element that a schema cannot check.
    fn refused(schema: &str, element: &str) -> Vec<String> {
        let both = |text: &str| (serde_json::from_str(text).unwrap(), json::parse(text.as_bytes()).unwrap());
        let (mut numbers, (schema, exact)) = (Numbers::default(), both(schema));
        numbers.add(&schema, &exact);
        let (element, exact) = both(element);
        numbers.refuses(&element, &exact)
    }

    #[test]
    fn refuses_numbers_that_floating_point_cannot_distinguish() {
        for (schema, element, problem) in [
            (
                r#"{"minimum": 9007199254740993}"#,
                "9007199254740992",
                "$: 9007199254740992 cannot be distinguished from 9007199254740993 in",
            ),
            (
                r#"{"exclusiveMaximum": 1e23}"#,
                r#"{"a": [99999999999999999999999]}"#,
                "$.a[0]: 99999999999999999999999 cannot",
            ),
            (
                r#"{"const": 9007199254740993}"#,
                "9007199254740992.0",
                "$: 9007199254740992.0 cannot be distinguished from",
            ),
            (
                r#"{"enum": [0.1]}"#,
                "0.10000000000000000001",
                "$: 0.10000000000000000001 cannot be distinguished from 0.1",
            ),
            (r#"{"multipleOf": 2}"#, "9007199254740993", "cannot be compared with `multipleOf` 2:"),
            // The quotients of both are rounded: up to an integer, and down from one.
            (r#"{"multipleOf": 0.01}"#, "19.99", "$: 19.99 cannot be compared with `multipleOf` 0.01:"),
            (r#"{"multipleOf": 0.3}"#, "1e300", "$: 1e300 cannot be compared with `multipleOf` 0.3:"),
            (r#"{"multipleOf": 0.1}"#, "0.20000000000000000001", "cannot be compared with `multipleOf` 0.1:"),
            (r#"{"multipleOf": 12345678901234567890.5}"#, "1", "cannot be compared with `multipleOf`"),
            (r#"{"type": ["integer"]}"#, "9007199254740993.5", "cannot be distinguished from an integer"),
            (
                r#"{"uniqueItems": true}"#,
                "[9007199254740993, 9007199254740992.0]",
                "$[1]: 9007199254740992.0 cannot be",
            ),
        ] {
            let reasons = refused(schema, element);
            assert!(reasons.len() == 1 && reasons[0].contains(problem), "{schema} {element} {reasons:?}");
        }
    }

    #[test]
    fn accepts_numbers_that_floating_point_can_distinguish() {
        for (schema, element) in [
            (r#"{"minimum": 9007199254740993}"#, "9007199254740993"),
            (r#"{"minimum": 9007199254740993}"#, "9007199254740993.0"),
            (r#"{"enum": [9007199254740992, 9007199254740993]}"#, "9007199254740993"),
            (r#"{"const": 0.1, "maximum": 1e300}"#, "[0.10000000000000002, 1e-1, -0, 0.0]"),
            (r#"{"multipleOf": 0.01, "minimum": 0}"#, "[1.5, -0.0, 1e22, 123456789012345, 0.005]"),
            (r#"{"multipleOf": 1}"#, "[9007199254740993, -3, 0.5]"),
            (r#"{"type": "integer", "uniqueItems": true}"#, "[1.0, 1, 9007199254740993, 9007199254740992, 0.5]"),
            ("true", "9007199254740993"),
        ] {
            assert_eq!(refused(schema, element), [""; 0], "{schema} {element}");
        }
    }
}
