//! The Torvyn tables of a `Cargo.toml`, and the readers that they share with `endpoints`, `manifest` and
//! `cases`.

pub(crate) mod base64;
pub(crate) mod budget;
pub(crate) mod case_files;
pub(crate) mod document;
pub(crate) mod file_uses;
pub(crate) mod lint;
pub(crate) mod lint_levels;
pub(crate) mod ranges;
pub(crate) mod settings;
pub(crate) mod spanned;
pub(crate) mod toml_reader;
pub(crate) mod units;
