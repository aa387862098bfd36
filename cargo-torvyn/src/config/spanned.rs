//! A declared value with its place in the file, so that a diagnostic can point at it.

use std::ops::Range;
use std::path::PathBuf;

/// A value, with the place where it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared<T> {
    /// The value.
    pub(crate) value: T,
    /// The kind of its declaration.
    pub(crate) by: Declarer,
    /// The file, under its name in `Sources`.
    pub(crate) file: PathBuf,
    /// The place of the value.
    pub(crate) span: Range<usize>,
    /// The place of the key and the value.
    pub(crate) entry: Range<usize>,
}

/// Where a value is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declarer {
    /// The `Cargo.toml` of the package.
    Package,
    /// The `Cargo.toml` of the workspace, from which the package inherits the value.
    Workspace,
    /// A pipeline of `Torvyn.toml`.
    Pipeline,
}

/// A name with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
}
