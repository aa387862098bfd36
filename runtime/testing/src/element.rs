//! An element that came out of a run: compared with what a test expects, shown where it differs, given to the next run.

use std::fmt;

/// An element that came out: its payload, which is all that is compared, and its metadata. It can be given to another run.
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
}

impl Element {
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
        Element { payload: payload.to_vec(), sequence: 0, timestamp: 0, deadline: None }
    }

    #[test]
    fn payloads_are_compared_with_whatever_has_bytes() {
        let (one, text, bytes) = (element(b"one"), "one".to_string(), b"one".to_vec());
        assert!(one == "one" && one == *"one" && one == b"one" && one == text && one == bytes);
        assert!(one == Element { sequence: 7, ..one.clone() } && one != "two");
        assert_eq!([one][..], ["one"]);
    }

    #[test]
    fn what_is_no_text_is_shown_in_hexadecimal() {
        assert_eq!(format!("{:?}", [element(b"a \"b\""), element(b"\xff\x00")]), r#"["a \"b\"", hex ff 00]"#);
        assert_eq!(element(b"\xff").text(), None);
    }
}
