//! The files that people write: `Torvyn.toml` and the Torvyn tables of a `Cargo.toml`, with the readers that both share.

pub(crate) mod base64;
pub(crate) mod budget;
pub(crate) mod case_files;
pub(crate) mod document;
pub(crate) mod file_uses;
pub(crate) mod lint;
pub(crate) mod lint_levels;
pub(crate) mod manifest;
pub(crate) mod ranges;
pub(crate) mod settings;
pub(crate) mod spanned;
pub(crate) mod toml_reader;
pub(crate) mod units;
