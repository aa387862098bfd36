//! Labels the source lines that copy, from the call sites that the analysis found.

use std::ops::Range;
use std::path::{Path, PathBuf};

use torvyn_runtime::analysis::{Frame, Site};
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::base::text;
use torvyn_runtime::contract::TrackedImport;

use crate::fs::paths::from_here;
use crate::output::diagnostic::{Diagnostic, Sources};

/// The most places that are labelled; the rest are counted.
const MAX_LABELS: usize = 3;
/// The most functions of an inlining chain that are named; those in its middle are counted.
const MAX_CHAIN: usize = 6;
/// Where the standard library lies. Its functions do not help to explain why the author's line copies.
const STD_SOURCES: &str = "/rustc/";
/// Where the sources of libraries lie, including the standard library and torvyn-guest. Used where the author's package is
/// not known.
const LIBRARY_SOURCES: &[&str] = &[STD_SOURCES, "/.cargo/registry/", "/wit/src/"];

/// Labels the lines of `package`, a folder, that call one of `imports`. Notes name the functions inlined between such a
/// line and the call.
pub(super) fn blame(
    mut diagnostic: Diagnostic,
    sites: &[Site],
    imports: &[TrackedImport],
    package: Option<&Path>,
    sources: &mut Sources,
) -> Diagnostic {
    let mut blamed: Vec<(&Site, usize)> = Vec::new();
    for site in sites.iter().filter(|site| imports.contains(&site.callee)) {
        let author = author_frame(&site.frames, package);
        let again = |(other, at): &(&Site, usize)| is_same_place(&other.frames[*at], &site.frames[author]);
        if !blamed.iter().any(again) {
            blamed.push((site, author));
        }
    }
    let more = blamed.len().saturating_sub(MAX_LABELS);
    for (site, author) in blamed.into_iter().take(MAX_LABELS) {
        let frame = &site.frames[author];
        match locate(frame, sources) {
            Some((file, span)) => {
                diagnostic = diagnostic.label(&file, span, format!("calls `{}`", site.callee));
                if author > 0 {
                    diagnostic = diagnostic.note(describe_call_chain(&site.frames[..author], site));
                }
            }
            None => diagnostic = diagnostic.note(format!("`{}` is called in {}", site.callee, describe_frame(frame))),
        }
    }
    if more > 0 {
        diagnostic = diagnostic.note(format!("and at {}", counted(more as u64, "more place")));
    }
    diagnostic
}

/// The index of the innermost frame in the author's own code, or of the outermost frame if there is none.
pub(super) fn author_frame(frames: &[Frame], package: Option<&Path>) -> usize {
    let own = |frame: &Frame| {
        let file = frame.file.as_deref()?;
        Some(match package {
            Some(package) => {
                Path::new(file).ancestors().skip(1).find(|folder| folder.join("Cargo.toml").is_file()) == Some(package)
            }
            None => !LIBRARY_SOURCES.iter().any(|library| file.contains(library)),
        })
    };
    frames.iter().position(|frame| own(frame) == Some(true)).unwrap_or(frames.len().saturating_sub(1))
}

/// Whether two frames are at the same place in the source, or in the same function where no place is known.
pub(super) fn is_same_place(one: &Frame, other: &Frame) -> bool {
    (&one.file, one.line, one.column, &one.function) == (&other.file, other.line, other.column, &other.function)
}

/// The place of a frame if its file exists. Adds the text of the file to `sources`.
fn locate(frame: &Frame, sources: &mut Sources) -> Option<(PathBuf, Range<usize>)> {
    let path = from_here(Path::new(frame.file.as_ref()?));
    let span = sources.find_compiled(&path, frame.line?, frame.column)?;
    Some((path, span))
}

/// Describes the functions between the author's line and the call, outermost first.
fn describe_call_chain(frames: &[Frame], site: &Site) -> String {
    let mut names: Vec<_> = frames.iter().rev().filter(|frame| is_informative(frame)).map(describe_frame).collect();
    if let Some(more @ 1..) = names.len().checked_sub(MAX_CHAIN) {
        names.splice(1..=more, [format!("{more} more")]);
    }
    format!("`{}` is called through {}", site.callee, names.join(", then "))
}

/// Whether the function has a name that its author chose, outside the standard library.
fn is_informative(frame: &Frame) -> bool {
    let is_closure = frame.function.as_ref().is_some_and(|function| function.starts_with('{'));
    !is_closure && !frame.file.as_ref().is_some_and(|file| file.starts_with(STD_SOURCES))
}

/// The function with its file and line, if known.
fn describe_frame(frame: &Frame) -> String {
    let function = frame.function.as_deref().map_or_else(|| "an unnamed function".to_string(), strip_type_arguments);
    let function = text::name(&function);
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => {
            let file = from_here(Path::new(file)).display().to_string();
            format!("`{function}` ({}:{line})", text::name(&file))
        }
        _ => format!("`{function}`"),
    }
}

/// The name of a function without its type arguments, which can be longer than the rest of the name. A leading `<…>` is
/// the type that has the function, and is kept.
fn strip_type_arguments(function: &str) -> String {
    let mut plain = String::new();
    let (mut depth, mut before) = (0usize, ' ');
    for letter in function.chars() {
        match letter {
            '<' if !plain.is_empty() && !plain.starts_with('<') && !plain.ends_with("operator") => {
                if depth == 0 && plain.ends_with("::") {
                    plain.truncate(plain.len() - 2);
                }
                depth += 1;
            }
            // Not the end of `fn() -> T`.
            '>' if depth > 0 && before != '-' => depth -= 1,
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
        before = letter;
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::fs;

    use torvyn_runtime::analysis::Use;

    use super::*;

    fn frame(function: &str, file: &str, line: u32) -> Frame {
        Frame { function: Some(function.to_string()), file: Some(file.to_string()), line: Some(line), column: None }
    }

    #[test]
    fn escapes_control_characters_in_names() {
        let shown = describe_frame(&frame("a`\nerror: b\u{202e}", "x\n\x1b[31m.rs", 1));
        assert_eq!(shown, "`a`\\nerror: b\\u{202e}` (x\\n\\u{1b}[31m.rs:1)");
    }

    #[test]
    fn blames_the_authors_line_not_the_library_it_calls() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path();
        let file = |name: &str| {
            let file = package.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            file.to_str().unwrap().to_string()
        };
        file("Cargo.toml");
        file("wit/Cargo.toml");
        let frames = [
            frame("read", "/rustc/library/core/src/ops.rs", 9),
            frame("read", &file("wit/src/batch.rs"), 132),
            frame("process", &file("src/lib.rs"), 20),
            frame("process_each", &file("wit/src/export.rs"), 300),
        ];
        for package in [Some(package), None] {
            assert_eq!(author_frame(&frames, package), 2);
            assert_eq!(author_frame(&frames[..2], package), 1);
        }
    }

    #[test]
    fn shortens_a_long_chain_in_the_middle() {
        let site = |count: u32| {
            let frames =
                (0..count).map(|depth| frame(&format!("f{depth}<alloc::vec::Vec<u8>>"), "/gone/lib.rs", depth));
            Site { callee: TrackedImport::Read, export: "process", frames: frames.collect(), used: Use::Unknown }
        };
        let chain = |count| describe_call_chain(&site(count).frames, &site(count));
        assert_eq!(chain(2), "`payload-read.read` is called through `f1` (/gone/lib.rs:1), then `f0` (/gone/lib.rs:0)");
        assert!(chain(6).contains("`f5` (/gone/lib.rs:5), then `f4` (/gone/lib.rs:4)"), "{}", chain(6));
        assert!(chain(9).contains("`f8` (/gone/lib.rs:8), then 3 more, then `f4` (/gone/lib.rs:4)"), "{}", chain(9));
        let quiet = [frame("{closure#0}", "/gone/lib.rs", 1), frame("with<u8>", "/rustc/1/thread/local.rs", 2)];
        assert!(!quiet.iter().any(is_informative));
        let names = ["a::b::<u8>", "a::E<W<u8>>::read", "<u8 as A>::b", "operator<", "run<fn(u8) -> u8, T>", "f"];
        assert_eq!(names.map(strip_type_arguments), ["a::b", "a::E::read", "<u8 as A>::b", "operator<", "run", "f"]);
    }
}
