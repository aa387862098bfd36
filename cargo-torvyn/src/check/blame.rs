//! Which line copies: from the sites that the analysis found to labels in people's sources.

use std::ops::Range;
use std::path::{Path, PathBuf};

use torvyn_runtime::analysis::{Frame, Site};
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::base::text;
use torvyn_runtime::contract::TrackedImport;

use crate::fs::paths::from_here;
use crate::output::diagnostic::{Diagnostic, Sources};

/// Places that are labelled; the rest are counted.
const SHOWN: usize = 3;
/// Functions of a chain of inlining that are named; those in its middle are counted.
const CHAIN: usize = 6;
/// The standard library, whose functions say nothing of how the author's line comes to copy.
const STANDARD: &str = "/rustc/";
/// Where the sources of libraries lie, the standard library and torvyn-guest among them, where no package is known that
/// the author's would have to be of.
const LIBRARIES: &[&str] = &[STANDARD, "/.cargo/registry/", "/wit/guest/src/"];

/// Labels the lines of `package`, a folder, that call one of `doors`, with the functions inlined between them and the
/// call as notes.
pub(super) fn blame(
    mut diagnostic: Diagnostic,
    sites: &[Site],
    doors: &[TrackedImport],
    package: Option<&Path>,
    sources: &mut Sources,
) -> Diagnostic {
    let mut blamed: Vec<(&Site, usize)> = Vec::new();
    for site in sites.iter().filter(|site| doors.contains(&site.callee)) {
        let author = author(&site.frames, package);
        let again = |(other, at): &(&Site, usize)| same_place(&other.frames[*at], &site.frames[author]);
        if !blamed.iter().any(again) {
            blamed.push((site, author));
        }
    }
    let more = blamed.len().saturating_sub(SHOWN);
    for (site, author) in blamed.into_iter().take(SHOWN) {
        let frame = &site.frames[author];
        match place(frame, sources) {
            Some((file, span)) => {
                diagnostic = diagnostic.label(&file, span, format!("calls `{}`", site.callee));
                if author > 0 {
                    diagnostic = diagnostic.note(through(&site.frames[..author], site));
                }
            }
            None => diagnostic = diagnostic.note(format!("`{}` is called in {}", site.callee, told(frame))),
        }
    }
    if more > 0 {
        diagnostic = diagnostic.note(format!("and at {}", counted(more as u64, "more place")));
    }
    diagnostic
}

/// The number of the innermost frame of the author's own code; where there is none, the outermost.
pub(super) fn author(frames: &[Frame], package: Option<&Path>) -> usize {
    let own = |frame: &Frame| {
        let file = frame.file.as_deref()?;
        Some(match package {
            Some(package) => {
                Path::new(file).ancestors().skip(1).find(|folder| folder.join("Cargo.toml").is_file()) == Some(package)
            }
            None => !LIBRARIES.iter().any(|library| file.contains(library)),
        })
    };
    frames.iter().position(|frame| own(frame) == Some(true)).unwrap_or(frames.len().saturating_sub(1))
}

/// Whether two frames are of one place in the source, or of one function where no place is known.
pub(super) fn same_place(one: &Frame, other: &Frame) -> bool {
    (&one.file, one.line, one.column, &one.function) == (&other.file, other.line, other.column, &other.function)
}

/// The place in a file that is there, whose text is then in `sources`.
fn place(frame: &Frame, sources: &mut Sources) -> Option<(PathBuf, Range<usize>)> {
    let path = from_here(Path::new(frame.file.as_ref()?));
    let span = sources.find_compiled(&path, frame.line?, frame.column)?;
    Some((path, span))
}

/// The functions from the author's line to the call, outermost first.
fn through(frames: &[Frame], site: &Site) -> String {
    let mut names: Vec<_> = frames.iter().rev().filter(|frame| says_something(frame)).map(told).collect();
    if let Some(more @ 1..) = names.len().checked_sub(CHAIN) {
        names.splice(1..=more, [format!("{more} more")]);
    }
    format!("`{}` is called through {}", site.callee, names.join(", then "))
}

/// Whether the function is one that its author named, outside the standard library.
fn says_something(frame: &Frame) -> bool {
    let is_closure = frame.function.as_ref().is_some_and(|function| function.starts_with('{'));
    !is_closure && !frame.file.as_ref().is_some_and(|file| file.starts_with(STANDARD))
}

/// The function with its file and line, as far as they are known.
fn told(frame: &Frame) -> String {
    let function = frame.function.as_deref().map_or_else(|| "a function without a name".to_string(), plain);
    let function = text::name(&function);
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => {
            let file = from_here(Path::new(file)).display().to_string();
            format!("`{function}` ({}:{line})", text::name(&file))
        }
        _ => format!("`{function}`"),
    }
}

/// The name of a function without its type arguments, which can be longer than all the rest. What a name begins with is
/// the type that has the function, and stays.
fn plain(function: &str) -> String {
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
    fn names_of_a_component_are_on_one_line_and_steer_no_terminal() {
        let told = told(&frame("a`\nerror: b\u{202e}", "x\n\x1b[31m.rs", 1));
        assert_eq!(told, "`a`\\nerror: b\\u{202e}` (x\\n\\u{1b}[31m.rs:1)");
    }

    #[test]
    fn the_authors_line_is_blamed_not_the_library_it_calls() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path();
        let file = |name: &str| {
            let file = package.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            file.to_str().unwrap().to_string()
        };
        file("Cargo.toml");
        file("wit/guest/Cargo.toml");
        let frames = [
            frame("read", "/rustc/library/core/src/ops.rs", 9),
            frame("read", &file("wit/guest/src/batch.rs"), 132),
            frame("process", &file("src/lib.rs"), 20),
            frame("process_each", &file("wit/guest/src/export.rs"), 300),
        ];
        for package in [Some(package), None] {
            assert_eq!(author(&frames, package), 2);
            assert_eq!(author(&frames[..2], package), 1);
        }
    }

    #[test]
    fn a_long_chain_is_told_by_its_ends() {
        let site = |count: u32| {
            let frames =
                (0..count).map(|depth| frame(&format!("f{depth}<alloc::vec::Vec<u8>>"), "/gone/lib.rs", depth));
            Site { callee: TrackedImport::Read, export: "process", frames: frames.collect(), used: Use::Unknown }
        };
        let told = |count| through(&site(count).frames, &site(count));
        assert_eq!(told(2), "`payload-read.read` is called through `f1` (/gone/lib.rs:1), then `f0` (/gone/lib.rs:0)");
        assert!(told(6).contains("`f5` (/gone/lib.rs:5), then `f4` (/gone/lib.rs:4)"), "{}", told(6));
        assert!(told(9).contains("`f8` (/gone/lib.rs:8), then 3 more, then `f4` (/gone/lib.rs:4)"), "{}", told(9));
        let quiet = [frame("{closure#0}", "/gone/lib.rs", 1), frame("with<u8>", "/rustc/1/thread/local.rs", 2)];
        assert!(!quiet.iter().any(says_something));
        let names = ["a::b::<u8>", "a::E<W<u8>>::read", "<u8 as A>::b", "operator<", "run<fn(u8) -> u8, T>", "f"];
        assert_eq!(names.map(plain), ["a::b", "a::E::read", "<u8 as A>::b", "operator<", "run", "f"]);
    }
}
