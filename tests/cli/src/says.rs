//! Compares the output of the program with what is expected.

use std::path::Path;
use std::process::Output;

use crate::program::{said, torvyn};

/// Asserts the exit code, that stderr contains all of `texts` in their order, and that the program did not panic.
#[track_caller]
pub fn assert_says(output: &Output, code: i32, texts: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let mut rest = &said[..];
    for text in texts {
        let at = rest.find(text).unwrap_or_else(|| panic!("{text:?} is not said there:\n{said}"));
        rest = &rest[at + text.len()..];
    }
    assert!(!said.contains("panicked at cargo-torvyn") && !said.contains("panicked at runtime"), "{said}");
}

/// Runs `cargo torvyn test` in a folder, and asserts as [`assert_says`] does.
#[track_caller]
pub fn expect_test(folder: &Path, args: &[&str], code: i32, texts: &[&str]) -> Output {
    let output = torvyn(folder, &[&["test"], args].concat());
    assert_says(&output, code, texts);
    output
}
