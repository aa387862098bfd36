//! A value that a person declared, with its place: what a finding against it points at.

use std::ops::Range;
use std::path::PathBuf;

/// A value, and where it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared<T> {
    /// The value.
    pub(crate) value: T,
    /// Who declares it.
    pub(crate) by: Declarer,
    /// The file, under the name that its text has in `Sources`.
    pub(crate) file: PathBuf,
    /// Where the value is in the file.
    pub(crate) span: Range<usize>,
    /// From its key to the end of the value.
    pub(crate) entry: Range<usize>,
}

/// Who declares a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declarer {
    /// The `Cargo.toml` of the package.
    Package,
    /// The workspace, from which the package inherits it.
    Workspace,
    /// A pipeline of `Torvyn.toml`.
    Pipeline,
}

/// A name, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
}
