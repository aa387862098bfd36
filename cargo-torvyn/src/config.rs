//! What people write: `Torvyn.toml`, the tables of Torvyn in a `Cargo.toml`, and what both are read with.

pub(crate) mod base64;
pub(crate) mod budget;
pub(crate) mod case_files;
pub(crate) mod document;
pub(crate) mod file_uses;
pub(crate) mod lint_levels;
pub(crate) mod manifest;
pub(crate) mod ranges;
pub(crate) mod settings;
pub(crate) mod spanned;
pub(crate) mod toml_reader;
pub(crate) mod units;
