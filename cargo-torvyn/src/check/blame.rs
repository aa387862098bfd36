//! Which line copies: from the sites that the analysis found to labels in people's sources.

use std::ops::Range;
use std::path::{Path, PathBuf};

use torvyn_runtime::analysis::{Copying, Frame, Site};

use crate::diagnostic::{Diagnostic, Sources};
use crate::workspace::from_here;

/// Places that are labelled; the rest are counted.
const SHOWN: usize = 3;
/// Crates between an author's line and the host: what calls it is meant, not they.
const BETWEEN: &[&str] = &["torvyn_guest::", "core::", "alloc::", "std::"];

/// Labels the lines that call one of `callees`, with the functions inlined between them and the call as notes.
pub(super) fn blame(
    mut diagnostic: Diagnostic,
    sites: &[Site],
    callees: &[Copying],
    sources: &mut Sources,
) -> Diagnostic {
    let mut blamed: Vec<(&Site, usize)> = Vec::new();
    for site in sites.iter().filter(|site| callees.contains(&site.callee)) {
        let author = author(&site.frames);
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
        diagnostic = diagnostic.note(format!("and at {more} more places"));
    }
    diagnostic
}

/// The innermost frame of the author's own code; where there is none, the outermost.
fn author(frames: &[Frame]) -> usize {
    let own = |frame: &Frame| {
        let function = frame.function.as_deref().unwrap_or_default();
        let between = BETWEEN.iter().any(|name| function.trim_start_matches(['<', '&']).starts_with(name));
        let library = frame.file.as_deref().is_some_and(|file| file.starts_with("/rustc/"));
        !between && !library && (frame.file.is_some() || frame.function.is_some())
    };
    frames.iter().position(own).unwrap_or(frames.len().saturating_sub(1))
}

fn same_place(one: &Frame, other: &Frame) -> bool {
    (&one.file, one.line, one.column, &one.function) == (&other.file, other.line, other.column, &other.function)
}

/// The place in a file that is there, whose text is then in `sources`.
fn place(frame: &Frame, sources: &mut Sources) -> Option<(PathBuf, Range<usize>)> {
    let path = from_here(Path::new(frame.file.as_ref()?));
    let span = sources.compiled_from(&path, frame.line?, frame.column)?;
    Some((path, span))
}

/// The functions from the author's line to the call, outermost first.
fn through(frames: &[Frame], site: &Site) -> String {
    let names: Vec<_> = frames.iter().rev().map(|frame| told(frame)).collect();
    format!("`{}` is called through {}", site.callee, names.join(", then "))
}

/// The function with its file and line, as far as they are known.
fn told(frame: &Frame) -> String {
    let function = frame.function.as_deref().unwrap_or("a function without a name");
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("`{function}` ({}:{line})", from_here(Path::new(file)).display()),
        _ => format!("`{function}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: &str, line: u32) -> Frame {
        Frame { function: Some(function.to_string()), file: Some(file.to_string()), line: Some(line), column: None }
    }

    #[test]
    fn the_authors_line_is_blamed_not_the_library_it_calls() {
        let frames = [
            frame("torvyn_guest::bindings::read", "wit/guest/src/bindings.rs", 9),
            frame("<torvyn_guest::Element<W>>::read", "wit/guest/src/batch.rs", 132),
            frame("<logs::Filter as Processor<W>>::process", "src/lib.rs", 20),
            frame("torvyn_guest::export::process_each", "wit/guest/src/export.rs", 300),
        ];
        assert_eq!(author(&frames), 2);
        assert_eq!(author(&frames[..2]), 1);
    }
}
