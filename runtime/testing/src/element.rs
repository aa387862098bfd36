//! [`Element`]: an element that a test passes to a run, or compares with the result.

use std::fmt;

use bytes::Bytes;
use torvyn_runtime::payload::attributes::{Attribute, Attributes};
use torvyn_runtime::payload::element::Metadata;

/// An element: its payload and its metadata. Comparisons use the payload only.
///
/// An element of one run can be passed to another, which uses its payload, and with
/// [`run_elements`](crate::Pipeline::run_elements) also its attributes.
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
    /// The number of the element at its source, from 0.
    pub sequence: u64,
    /// When the element entered the flow, in nanoseconds since the Unix epoch.
    pub timestamp: u64,
    /// The deadline of the element, if it has one, in nanoseconds since the Unix epoch.
    pub deadline: Option<u64>,
    pub(crate) attributes: Attributes,
}

impl Element {
    /// An element for a run. The run sets its sequence number and timestamp.
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

    /// Sets an attribute, replacing an existing value.
    ///
    /// # Panics
    ///
    /// If the attribute is not valid, or the element would exceed the limits for attributes.
    #[track_caller]
    pub fn with_attribute(mut self, name: &str, value: &str) -> Element {
        let set = Attribute::new(name, value).and_then(|attribute| self.attributes.set(attribute));
        set.unwrap_or_else(|error| panic!("attribute {name:?} cannot be set: {error}"));
        self
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)
    }

    /// All attributes.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The payload and the attributes, as an input delivers them.
    pub(crate) fn into_parts(self) -> (Bytes, Metadata) {
        let attributes = (!self.attributes.is_empty()).then_some(self.attributes);
        (self.payload.into(), Metadata { attributes, ..Metadata::default() })
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        str::from_utf8(&self.payload).ok()
    }
}

impl AsRef<[u8]> for Element {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

/// Formats the payload as text if it is UTF-8, and otherwise in hexadecimal.
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
    fn compares_payloads_with_anything_that_has_bytes() {
        let (one, text, bytes) = (element(b"one"), "one".to_string(), b"one".to_vec());
        assert!(one == "one" && one == *"one" && one == b"one" && one == text && one == bytes);
        assert!(one == Element { sequence: 7, ..one.clone() } && one != "two");
        assert_eq!([one][..], ["one"]);
    }

    #[test]
    fn sets_and_replaces_attributes() {
        let some = element(b"").with_attribute("zone", "1").with_attribute("tenant", "a").with_attribute("zone", "2");
        assert_eq!(some.attributes().iter().collect::<Vec<_>>(), [("tenant", "a"), ("zone", "2")]);
        assert_eq!((some.attribute("zone"), some.attribute("none")), (Some("2"), None));
    }

    #[test]
    #[should_panic(expected = "attribute \"a\" cannot be set: an attribute value must not contain control characters")]
    fn rejects_invalid_attributes() {
        drop(element(b"").with_attribute("a", "\n"));
    }

    #[test]
    fn formats_other_bytes_in_hexadecimal() {
        assert_eq!(format!("{:?}", [element(b"a \"b\""), element(b"\xff\x00")]), r#"["a \"b\"", hex ff 00]"#);
        assert_eq!(element(b"\xff").text(), None);
    }
}
