//! What cases of `cargo torvyn test` give and expect, as a user writes it: elements with metadata.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use std::path::Path;
use std::process::Output;

#[path = "common/program.rs"]
mod program;
#[path = "common/project.rs"]
mod project;

use program::{said, torvyn};

/// A folder with a pipeline of the components of the project, and these cases.
fn folder(cases: &str) -> tempfile::TempDir {
    project::folder(&format!("{PIPELINES}{cases}"))
}

const PIPELINES: &str = r#"
[pipeline.main]
stages = ["COMPONENTS/router.wasm", "COMPONENTS/transform.wasm"]
"#;

/// Runs `test`, and asserts the exit code and that stderr has all of `texts`, in their order.
#[track_caller]
fn expect(folder: &Path, args: &[&str], code: i32, texts: &[&str]) -> Output {
    let output = torvyn(folder, &[&["test"], args].concat());
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    let mut rest = &said[..];
    for text in texts {
        let at = rest.find(text).unwrap_or_else(|| panic!("{args:?} does not say {text:?} there:\n{said}"));
        rest = &rest[at + text.len()..];
    }
    assert!(!said.contains("panicked at cargo-torvyn") && !said.contains("panicked at runtime"), "{said}");
    output
}

#[test]
fn elements_carry_the_metadata_that_is_given() {
    let folder = folder(
        r#"
[[test]]
name = "through a pipeline"
input.elements = [
    { text = "a", sequence = 7, timestamp = 2000-01-01T00:00:01Z, deadline = "5s" },
    { text = "b", trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    "c",
]
expect.output.elements = [
    { text = "A", sequence = 7, timestamp = 946684801000000000, deadline = "5s" },
    { text = "B", sequence = 8, trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    "C",
]

[[test]]
name = "in any order"
stage = "COMPONENTS/router.wasm"
input.elements = [{ text = "a", sequence = 5 }, { text = "a", sequence = 3 }]
expect.output = { elements = ["a", { text = "a", sequence = 5 }], any-order = true }

[[test]]
name = "otherwise"
input.elements = [{ text = "a", deadline = "5s" }, "b"]
expect.output.elements = [{ text = "A", deadline = "6s" }, { text = "B", deadline = "1s", sequence = 1 }]
"#,
    );
    let said = [
        "Pass",
        "through a pipeline",
        "Pass",
        "in any order",
        "Fail",
        "otherwise",
        "0 - \"A\" deadline 6s",
        "0 + \"A\" deadline 5s",
        "1 - \"B\" deadline 1s\n",
        "1 + \"B\" no deadline\n",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
}

/// They go where the element goes, also where it is written anew, and all of them count where one is expected.
#[test]
fn elements_carry_attributes() {
    let folder = folder(
        r#"
[[test]]
name = "through a pipeline"
input.elements = [{ text = "a", attributes = { tenant = "a", "zone.of" = "" } }, "b", "c"]
expect.output.elements = [
    { text = "A", attributes = { "zone.of" = "", tenant = "a" } },
    { text = "B", attributes = {} },
    "C",
]

[[test]]
name = "otherwise"
input.elements = [{ text = "a", attributes = { tenant = "a", zone = "b" } }, "b"]
expect.output.elements = [{ text = "A", attributes = { tenant = "a" } }, { text = "B", attributes = { x = "\"" } }]
"#,
    );
    let said = [
        "Pass",
        "through a pipeline",
        "Fail",
        "otherwise",
        "0 - \"A\" attributes { tenant = \"a\" }\n",
        "0 + \"A\" attributes { tenant = \"a\", zone = \"b\" }\n",
        "1 - \"B\" attributes { x = \"\\\"\" }\n",
        "1 + \"B\" attributes {}\n",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
}
