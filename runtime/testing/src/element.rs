//! An element: compared with what a test expects, shown where it differs, given to a run.

use std::fmt;

use bytes::Bytes;
use torvyn_runtime::payload::attributes::{Attribute, Attributes};
use torvyn_runtime::payload::element::Metadata;

/// An element: its payload, which is all that is compared, and its metadata. One that came out of a run can be given to
/// another, where it counts by its payload, and by [`run_elements`](crate::Pipeline::run_elements) with its attributes.
///
/// ```no_run
/// # let upper = torvyn_testing::build("upper")?;
/// let run = upper.run(["one", "two"])?;
/// assert_eq!(run.output(0)[0], "ONE");
/// assert_eq!(run.output(0)[1].sequence, 1);
/// assert_eq!(upper.run(run.output(0))?.output(0), run.output(0));
/// # Ok::<(), torvyn_testing::Error>(())
/// ```
#[derive(Clone)]
pub struct Element {
    pub(crate) payload: Vec<u8>,
    /// Its number at the source it came from, from 0.
    pub sequence: u64,
    /// When it entered the flow, in nanoseconds since the Unix epoch.
    pub timestamp: u64,
    /// When it should have reached the end, in nanoseconds since the Unix epoch, where it has a deadline.
    pub deadline: Option<u64>,
    pub(crate) attributes: Attributes,
}

impl Element {
    /// To be given to a run, which says when it enters and what its number is.
    ///
    /// ```no_run
    /// # let by_tenant = torvyn_testing::build("by-tenant")?.outputs(2);
    /// use torvyn_testing::Element;
    /// let run = by_tenant.alone().run_elements([Element::new("one").with_attribute("tenant", "a"), Element::new("two")])?;
    /// assert_eq!(run.output(0)[0].attribute("tenant"), Some("a"));
    /// # Ok::<(), torvyn_testing::Error>(())
    /// ```
    pub fn new(payload: impl AsRef<[u8]>) -> Element {
        let payload = payload.as_ref().to_vec();
        Element { payload, sequence: 0, timestamp: 0, deadline: None, attributes: Attributes::new() }
    }

    /// With an attribute, in place of the one of this name that it has.
    ///
    /// # Panics
    ///
    /// Where no element can have it, or this one no more.
    #[track_caller]
    pub fn with_attribute(mut self, name: &str, value: &str) -> Element {
        let set = Attribute::new(name, value).and_then(|attribute| self.attributes.set(attribute));
        set.unwrap_or_else(|error| panic!("the attribute {name:?} cannot be: {error}"));
        self
    }

    /// The value of its attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)
    }

    /// All its attributes.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// What a run is given of it.
    pub(crate) fn into_given(self) -> (Bytes, Metadata) {
        let attributes = (!self.attributes.is_empty()).then_some(self.attributes);
        (self.payload.into(), Metadata { attributes, ..Metadata::default() })
    }

    /// Its payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Its payload, where that is a text.
    pub fn text(&self) -> Option<&str> {
        str::from_utf8(&self.payload).ok()
    }
}

impl AsRef<[u8]> for Element {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

/// A text where it is one, and hexadecimal otherwise.
impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => write!(f, "{text:?}"),
            None => {
                f.write_str("hex")?;
                self.payload.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
        }
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Element {
    fn eq(&self, other: &T) -> bool {
        self.payload == other.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(payload: &[u8]) -> Element {
        Element::new(payload)
    }

    #[test]
    fn payloads_are_compared_with_whatever_has_bytes() {
        let (one, text, bytes) = (element(b"one"), "one".to_string(), b"one".to_vec());
        assert!(one == "one" && one == *"one" && one == b"one" && one == text && one == bytes);
        assert!(one == Element { sequence: 7, ..one.clone() } && one != "two");
        assert_eq!([one][..], ["one"]);
    }

    #[test]
    fn attributes_are_those_of_the_contract() {
        let some = element(b"").with_attribute("zone", "1").with_attribute("tenant", "a").with_attribute("zone", "2");
        assert_eq!(some.attributes().iter().collect::<Vec<_>>(), [("tenant", "a"), ("zone", "2")]);
        assert_eq!((some.attribute("zone"), some.attribute("none")), (Some("2"), None));
    }

    #[test]
    #[should_panic(expected = "the attribute \"a\" cannot be: an attribute value must not contain control characters")]
    fn an_attribute_that_no_element_can_have() {
        drop(element(b"").with_attribute("a", "\n"));
    }

    #[test]
    fn what_is_no_text_is_shown_in_hexadecimal() {
        assert_eq!(format!("{:?}", [element(b"a \"b\""), element(b"\xff\x00")]), r#"["a \"b\"", hex ff 00]"#);
        assert_eq!(element(b"\xff").text(), None);
    }
}
