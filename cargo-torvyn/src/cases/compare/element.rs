//! An element as a case writes it: its bytes, and what is said of its metadata.

use std::path::Path;

use toml::de::DeValue;
use torvyn_runtime::payload::element::Metadata;

use crate::cases::compare::literal::{self, Literal};
use crate::cases::compare::metadata;
use crate::config::toml_reader::{Field, Report};
use crate::output::diagnostic::Diagnostic;

/// An element that a case has written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) payload: Literal,
    pub(crate) metadata: Metadata,
}

/// An element with its bytes: one that is given or expected, with the metadata that is said of it, or one that came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) bytes: Vec<u8>,
    /// Of how many bytes these are the first; of so many, where it is not too long to be what is expected.
    pub(crate) size: u64,
    pub(crate) metadata: Metadata,
}

impl Written {
    /// Reads a text, or a table that says how the bytes are written and what the metadata is.
    fn read(field: &Field, more: &[&str], report: &mut Report) -> Option<Written> {
        let DeValue::Table(_) = field.value else {
            return Literal::read(field, report).map(Written::plain);
        };
        let known = [&literal::KEYS[..], &metadata::KEYS, more].concat();
        let table = field.table("an element", &known, report)?;
        let (payload, metadata) = (Literal::read_table(&table, report), metadata::read(&table, report));
        Some(Written { payload: payload?, metadata: metadata? })
    }

    /// Reads an array of elements, which can have `more` keys than these; those are left to the caller.
    pub(crate) fn read_all(field: &Field, more: &[&str], report: &mut Report) -> Option<Vec<Written>> {
        field.items(report)?.iter().map(|item| Written::read(item, more, report)).collect()
    }

    /// Reads `lines`.
    pub(crate) fn read_lines(field: &Field, report: &mut Report) -> Option<Vec<Written>> {
        Some(Literal::read_lines(field, report)?.into_iter().map(Written::plain).collect())
    }

    fn plain(payload: Literal) -> Written {
        Written { payload, metadata: Metadata::default() }
    }

    /// The element; the bytes of a file are read now. `file` is the one that the element is written in.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub(crate) fn entry(&self, file: &Path) -> Result<Entry, Diagnostic> {
        Ok(Entry { metadata: self.metadata.clone(), ..Entry::plain(self.payload.bytes(file)?) })
    }
}

impl Entry {
    /// An element of which only the bytes count.
    pub(crate) fn plain(bytes: Vec<u8>) -> Entry {
        Entry { size: bytes.len() as u64, bytes, metadata: Metadata::default() }
    }

    /// Whether both have the same bytes.
    pub(crate) fn has_bytes_of(&self, other: &Entry) -> bool {
        self.size == other.size && self.bytes == other.bytes
    }

    /// Whether an element that came is what is expected.
    pub(crate) fn is(&self, came: &Entry) -> bool {
        self.has_bytes_of(came) && metadata::holds(&self.metadata, &came.metadata)
    }
}
