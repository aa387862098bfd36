//! Natively, attributes are refused as by the host: for the same reasons, with the same texts.

use torvyn_guest::testing::process;
use torvyn_guest::{Config, Element, Failure, Output, Processor, Router, Stage};

/// Sets this many attributes, of which the last is `name` with `value`.
struct Sets(usize, &'static str, String);

impl Stage for Sets {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Sets(1, "name", String::new()))
    }
}

impl Processor<Router> for Sets {
    fn process(&mut self, element: Element<'_, Router>, _: &mut Output<'_, Router>) -> Result<(), Failure> {
        let Sets(count, name, value) = self;
        for number in 1..*count {
            element.set_attribute(&format!("n{number}"), "")?;
        }
        element.set_attribute(name, value)
    }
}

#[test]
fn are_refused_with_the_texts_of_the_host() {
    let too_long = "the attributes of an element can have at most 8192 bytes in total";
    for (count, name, value, expected) in [
        (1, "", "", "an attribute name must not be empty"),
        (1, "a\n", "b", "an attribute name must not contain control characters"),
        (1, "a", "b\n", "an attribute value must not contain control characters"),
        (65, "a", "", "an element can have at most 64 attributes"),
        (1, "a", &"b".repeat(8192), too_long),
        (2, "a", &"b".repeat(8190), too_long),
    ] {
        let mut stage = Sets(count, name, value.to_string());
        match process(&mut stage, &[b""]).map_err(|failed| failed.failure) {
            Err(Failure::InvalidInput(text) | Failure::LimitExceeded(text)) => assert_eq!(text, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert!(process(&mut Sets(64, "a", "b".repeat(7900)), &[b""]).is_ok());
}
