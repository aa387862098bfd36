//! An element as a case writes it: its bytes and its metadata, as far as given.

use std::path::Path;

use toml::de::DeValue;
use torvyn_runtime::payload::element::Metadata;

use crate::cases::compare::literal::{self, Literal};
use crate::cases::compare::metadata;
use crate::config::toml_reader::{Field, Report};
use crate::output::diagnostic::Diagnostic;

/// An element that a case declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ElementSpec {
    pub(crate) payload: Literal,
    pub(crate) metadata: Metadata,
}

/// An element with its bytes and metadata: an input, an expected element, or an actual one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) bytes: Vec<u8>,
    /// The size of the whole element. `bytes` can be only its beginning, if it is too long to match anyway.
    pub(crate) size: u64,
    pub(crate) metadata: Metadata,
}

impl ElementSpec {
    /// Reads a text, or a table with the bytes and metadata.
    fn read(field: &Field, more: &[&str], report: &mut Report) -> Option<ElementSpec> {
        let DeValue::Table(_) = field.value else {
            return Literal::read(field, report).map(ElementSpec::plain);
        };
        let known = [&literal::KEYS[..], &metadata::KEYS, more].concat();
        let table = field.table("an element", &known, report)?;
        let (payload, metadata) = (Literal::read_table(&table, report), metadata::read(&table, report));
        Some(ElementSpec { payload: payload?, metadata: metadata? })
    }

    /// Reads an array of elements. Their tables may also have the keys of `more`, which the caller reads.
    pub(crate) fn read_all(field: &Field, more: &[&str], report: &mut Report) -> Option<Vec<ElementSpec>> {
        field.items(report)?.iter().map(|item| ElementSpec::read(item, more, report)).collect()
    }

    /// Reads `lines`.
    pub(crate) fn read_lines(field: &Field, report: &mut Report) -> Option<Vec<ElementSpec>> {
        Some(Literal::read_lines(field, report)?.into_iter().map(ElementSpec::plain).collect())
    }

    fn plain(payload: Literal) -> ElementSpec {
        ElementSpec { payload, metadata: Metadata::default() }
    }

    /// The element with its bytes; those of a file are read now. `file` is the file of the case.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub(crate) fn entry(&self, file: &Path) -> Result<Entry, Diagnostic> {
        Ok(Entry { metadata: self.metadata.clone(), ..Entry::plain(self.payload.bytes(file)?) })
    }
}

impl Entry {
    /// An element without metadata.
    pub(crate) fn plain(bytes: Vec<u8>) -> Entry {
        Entry { size: bytes.len() as u64, bytes, metadata: Metadata::default() }
    }

    /// Whether both have the same bytes.
    pub(crate) fn has_bytes_of(&self, other: &Entry) -> bool {
        self.size == other.size && self.bytes == other.bytes
    }

    /// Whether an actual element has these bytes and, as far as given, this metadata.
    pub(crate) fn matches(&self, actual: &Entry) -> bool {
        self.has_bytes_of(actual) && metadata::holds(&self.metadata, &actual.metadata)
    }
}
