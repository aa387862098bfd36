//! Attributes: pairs of a name and a value that an element carries besides its payload. `host/attributes.rs` is the interface
//! of stages to them.

use std::sync::Arc;

/// The most attributes of one element.
pub const MAX_ATTRIBUTES: usize = 64;
/// The most bytes of the attributes of one element, names and values together.
pub const MAX_ATTRIBUTE_BYTES: usize = 8 << 10;

/// An upper bound on the host memory of an attribute besides its name and value: two reference-counted texts, allocator
/// overhead, and their place in a list that may have grown to twice its length.
const ATTRIBUTE_OVERHEAD: usize = 128;
/// Host memory of an element that has attributes at all: its context, and the first places of the list.
const CONTEXT_OVERHEAD: usize = 256;

/// The attributes of an element, in the order of their names. Clones share the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    all: Vec<(Arc<str>, Arc<str>)>,
    /// Bytes of all names and values.
    bytes: usize,
}

/// An attribute that an element can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    name: Arc<str>,
    value: Arc<str>,
}

/// Why an element cannot have an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// The name is empty.
    #[error("an attribute name must not be empty")]
    Nameless,
    /// The name contains a control character, which could mislead whoever it is shown to.
    #[error("an attribute name must not contain control characters")]
    ControlInName,
    /// The value contains a control character.
    #[error("an attribute value must not contain control characters")]
    ControlInValue,
    /// The element would have too many attributes.
    #[error("an element can have at most {MAX_ATTRIBUTES} attributes")]
    TooMany,
    /// The attributes would be too long in total.
    #[error("the attributes of an element can have at most {MAX_ATTRIBUTE_BYTES} bytes in total")]
    TooLong,
}

impl AttributeError {
    /// Whether the attribute itself is valid, and only a limit is exceeded.
    pub fn is_limit(self) -> bool {
        matches!(self, AttributeError::TooMany | AttributeError::TooLong)
    }
}

impl Attribute {
    /// # Errors
    ///
    /// [`AttributeError`] if no element can have this attribute.
    pub fn new(name: &str, value: &str) -> Result<Attribute, AttributeError> {
        check_name(name)?;
        if name.len() + value.len() > MAX_ATTRIBUTE_BYTES {
            return Err(AttributeError::TooLong);
        }
        if value.contains(char::is_control) {
            return Err(AttributeError::ControlInValue);
        }
        Ok(Attribute { name: name.into(), value: value.into() })
    }

    /// Bytes of its name and value.
    pub fn bytes(&self) -> usize {
        self.name.len() + self.value.len()
    }
}

/// Checks that an attribute can have this name.
///
/// # Errors
///
/// The reason if it cannot.
pub fn check_name(name: &str) -> Result<(), AttributeError> {
    if name.is_empty() {
        return Err(AttributeError::Nameless);
    }
    if name.len() > MAX_ATTRIBUTE_BYTES {
        return Err(AttributeError::TooLong);
    }
    if name.contains(char::is_control) { Err(AttributeError::ControlInName) } else { Ok(()) }
}

impl Attributes {
    /// No attributes.
    pub const fn new() -> Attributes {
        Attributes { all: Vec::new(), bytes: 0 }
    }

    /// The number of attributes.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Upper bound on their host memory, in bytes.
    pub fn structure_bytes(&self) -> usize {
        if self.is_empty() { 0 } else { CONTEXT_OVERHEAD + self.bytes + self.all.len() * ATTRIBUTE_OVERHEAD }
    }

    /// The value of the attribute with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.shared(name).map(|value| &**value)
    }

    /// All attributes, in the byte order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(crate) fn shared(&self, name: &str) -> Option<&Arc<str>> {
        self.place(name).ok().map(|at| &self.all[at].1)
    }

    pub(crate) fn as_slice(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.all
    }

    /// Checks that there is room for this attribute, in place of an existing one with the same name.
    ///
    /// # Errors
    ///
    /// [`AttributeError::TooMany`] and [`AttributeError::TooLong`].
    pub fn room_for(&self, attribute: &Attribute) -> Result<(), AttributeError> {
        let before = self.shared(&attribute.name).map(|value| attribute.name.len() + value.len());
        if before.is_none() && self.len() == MAX_ATTRIBUTES {
            return Err(AttributeError::TooMany);
        }
        let bytes = self.bytes() - before.unwrap_or(0) + attribute.bytes();
        if bytes > MAX_ATTRIBUTE_BYTES { Err(AttributeError::TooLong) } else { Ok(()) }
    }

    /// Sets an attribute, in place of an existing one with the same name.
    ///
    /// # Errors
    ///
    /// As [`room_for`](Attributes::room_for). Nothing is changed then.
    pub fn set(&mut self, attribute: Attribute) -> Result<(), AttributeError> {
        self.room_for(&attribute)?;
        let Attribute { name, value } = attribute;
        match self.place(&name) {
            Ok(at) => {
                self.bytes = self.bytes - self.all[at].1.len() + value.len();
                self.all[at].1 = value;
            }
            Err(at) => {
                self.bytes += name.len() + value.len();
                self.all.insert(at, (name, value));
            }
        }
        Ok(())
    }

    /// Removes the attribute with this name, if it exists.
    pub fn remove(&mut self, name: &str) {
        if let Ok(at) = self.place(name) {
            let (name, value) = self.all.remove(at);
            self.bytes -= name.len() + value.len();
        }
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.all.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Attributes with these names and values.
    pub(crate) fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        let mut attributes = Attributes::new();
        for (name, value) in pairs {
            attributes.set(Attribute::new(name, value).unwrap()).unwrap();
        }
        attributes
    }

    #[test]
    fn finds_and_lists_attributes_by_name() {
        let mut some = attributes(&[("tenant", "a"), ("Zone", ""), ("größe", "1"), ("tenant", "b")]);
        assert_eq!(some.iter().collect::<Vec<_>>(), [("Zone", ""), ("größe", "1"), ("tenant", "b")]);
        assert_eq!((some.get("tenant"), some.get("Zone"), some.get("zone")), (Some("b"), Some(""), None));
        assert_eq!((some.len(), some.bytes()), (3, 4 + 8 + 7));
        some.remove("none");
        some.remove("Zone");
        assert_eq!(some, attributes(&[("größe", "1"), ("tenant", "b")]));
        assert_eq!((some.bytes(), some.structure_bytes()), (8 + 7, CONTEXT_OVERHEAD + 8 + 7 + 2 * ATTRIBUTE_OVERHEAD));
        assert_eq!(Attributes::new().structure_bytes(), 0);
    }

    #[test]
    fn refuses_misleading_attributes() {
        use AttributeError::*;
        let why = |name: &str, value: &str| Attribute::new(name, value).unwrap_err();
        assert_eq!(why("", "a"), Nameless);
        for hostile in ["\0", "\n", "\u{1b}[31m", "\u{7f}", "\u{9b}1m"] {
            assert_eq!((why(hostile, "a"), why("a", hostile)), (ControlInName, ControlInValue), "{hostile:?}");
            assert_eq!(check_name(hostile), Err(ControlInName));
        }
        assert_eq!(why(&"a".repeat(MAX_ATTRIBUTE_BYTES), "b"), TooLong);
        assert_eq!(check_name(&"a".repeat(MAX_ATTRIBUTE_BYTES + 1)), Err(TooLong));
        assert!(TooLong.is_limit() && TooMany.is_limit() && !Nameless.is_limit() && !ControlInValue.is_limit());
    }

    #[test]
    fn limits_number_and_bytes() {
        let mut many = Attributes::new();
        for number in 0..MAX_ATTRIBUTES {
            many.set(Attribute::new(&format!("{number:02}"), "v").unwrap()).unwrap();
        }
        let one = |name: &str, bytes: usize| Attribute::new(name, &"v".repeat(bytes)).unwrap();
        assert_eq!(many.set(one("xx", 1)), Err(AttributeError::TooMany));
        let left = MAX_ATTRIBUTE_BYTES - many.bytes();
        assert_eq!(many.set(one("00", left + 2)), Err(AttributeError::TooLong));
        assert_eq!((many.get("00"), many.len()), (Some("v"), MAX_ATTRIBUTES), "nothing was changed");
        many.set(one("00", left + 1)).unwrap();
        assert_eq!(many.bytes(), MAX_ATTRIBUTE_BYTES);
        many.remove("01");
        many.set(one("xx", 1)).unwrap();
        assert_eq!(many.set(one("xx", 2)), Err(AttributeError::TooLong));
    }
}
