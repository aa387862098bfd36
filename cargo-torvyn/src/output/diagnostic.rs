//! The diagnostic for a problem in a user's files, the source texts that it points into, and its rendering for a terminal.
//!
//! A diagnostic is a value that is collected, not an error that is propagated. Callers decide where it is printed and what
//! the exit code is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::base::regular_file;

use crate::output::printable::printable;

/// The maximum number of diagnostics shown to people; the rest are counted.
const MOST_SHOWN: usize = 50;
/// The maximum number of diagnostics kept for programs; the rest are counted. A file with more has a single cause.
const MOST_KEPT: usize = 1000;
/// The maximum length of a message or a help, in bytes.
const LONGEST_TEXT: usize = 2000;
/// The maximum number of names that a help lists, and that it searches for a similar name.
const MOST_NAMES: usize = 50;
const MOST_COMPARED: usize = 1000;
/// The maximum length of a name that is compared with the known ones.
const LONGEST_NAME: usize = 64;

/// A problem in a user's files, with its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// The stable code, in kebab-case.
    pub(crate) code: &'static str,
    /// Error or warning.
    pub(crate) severity: Severity,
    /// A lowercase phrase with names in backticks.
    pub(crate) message: String,
    /// The places; the first is the primary one. Empty if the problem is not in a file.
    pub(crate) labels: Vec<Label>,
    /// Background, one phrase each: the cause, what was checked.
    pub(crate) notes: Vec<String>,
    /// What to type instead.
    pub(crate) help: Option<String>,
}

/// The severity of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// The command can still succeed.
    Warning,
    /// The command fails.
    Error,
}

/// A place in a file, with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The file, under its name in [`Sources`]. If it is not there, only its name is shown.
    pub(crate) file: PathBuf,
    /// The byte range in the text of the file.
    pub(crate) span: Range<usize>,
    /// The text beside the place; may be empty.
    pub(crate) text: String,
}

impl Diagnostic {
    /// An error without a place yet.
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic::new(Severity::Error, code, message)
    }

    /// A warning without a place yet.
    #[cfg(test)]
    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic::new(Severity::Warning, code, message)
    }

    /// A problem without a place yet.
    pub(crate) fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        let message = shortened(message.into());
        Diagnostic { code, severity, message, labels: Vec::new(), notes: Vec::new(), help: None }
    }

    /// Adds a place; the first one added is the primary one.
    #[must_use]
    pub(crate) fn label(mut self, file: &Path, span: Range<usize>, text: impl Into<String>) -> Self {
        self.labels.push(Label { file: file.to_path_buf(), span, text: text.into() });
        self
    }

    /// Adds a note.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets the help: what to type instead.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shortened(help.into()));
        self
    }

    /// Renders the diagnostic for people, in the format of rustc, without a final line end.
    pub(crate) fn render(&self, sources: &Sources, colours: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        // `printable` truncates long names; the renderer escapes control characters.
        let message = printable(&self.message, true);
        let mut group = Group::with_title(level.primary_title(&*message).id(self.code));
        for (file, labels) in self.labels_by_file() {
            let name = printable(&file.display().to_string(), false);
            group = match sources.text(file).map(|text| Window::new(text, &labels)) {
                Some(window) => {
                    let labels = labels.iter().map(|(index, label)| window.annotation(*index == 0, label));
                    let snippet = Snippet::source(window.text).line_start(window.line).path(name);
                    group.element(snippet.annotations(labels))
                }
                None => group.element(Origin::path(name)),
            };
        }
        let notes: Vec<_> = self.notes.iter().map(|note| printable(note, true)).collect();
        for note in &notes {
            group = group.element(Level::NOTE.message(&**note));
        }
        let help = self.help.as_ref().map(|help| printable(help, true));
        if let Some(help) = &help {
            group = group.element(Level::HELP.message(&**help));
        }
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    /// The labels in each file with their indices, the primary label's file first.
    fn labels_by_file(&self) -> Vec<(&Path, Vec<(usize, &Label)>)> {
        let mut files: Vec<(&Path, Vec<_>)> = Vec::new();
        for label in self.labels.iter().enumerate() {
            match files.iter_mut().find(|(file, _)| *file == label.1.file) {
                Some((_, labels)) => labels.push(label),
                None => files.push((&label.1.file, vec![label])),
            }
        }
        files
    }
}

/// The lines of a file that contain the labels. The renderer scans all text it gets, so it gets only these.
struct Window<'a> {
    text: &'a str,
    /// The byte offset of the window in the file.
    start: usize,
    /// The number of its first line.
    line: usize,
}

impl<'a> Window<'a> {
    fn new(text: &'a str, labels: &[(usize, &Label)]) -> Window<'a> {
        let first = labels.iter().map(|(_, label)| label.span.start).min().unwrap_or_default();
        let last = labels.iter().map(|(_, label)| label.span.end).max().unwrap_or_default();
        let (first, last) = (text.floor_char_boundary(first), text.ceil_char_boundary(last));
        let start = text[..first].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[last..].find('\n').map_or(text.len(), |newline| last + newline + 1);
        Window {
            text: &text[start..end],
            start,
            line: memchr::memchr_iter(b'\n', &text.as_bytes()[..start]).count() + 1,
        }
    }

    fn annotation<'l>(&self, is_primary: bool, label: &'l Label) -> annotate_snippets::Annotation<'l> {
        let kind = if is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let at = |place: usize| place.saturating_sub(self.start).min(self.text.len());
        let text = Some(&*label.text).filter(|text| !text.is_empty());
        kind.span(at(label.span.start)..at(label.span.end)).label(text)
    }
}

/// The texts of the files that diagnostics point into.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    texts: BTreeMap<PathBuf, String>,
}

impl Sources {
    /// Sets the text of a file.
    pub(crate) fn add(&mut self, file: impl Into<PathBuf>, text: impl Into<String>) {
        self.texts.insert(file.into(), text.into());
    }

    /// The place of a position from debug information: the word at a line and a column, or the whole line without a column.
    /// Both count from 1, the column in bytes. None if the file cannot be read or has no such position: the source may have
    /// changed since the compilation, or be on another machine.
    pub(crate) fn find_compiled(&mut self, file: &Path, line: u32, column: Option<u32>) -> Option<Range<usize>> {
        if self.text(file).is_none() {
            self.add(file, regular_file::read_to_string(file).ok()?);
        }
        let text = self.text(file)?;
        let line = text.lines().nth(line.checked_sub(1)? as usize)?;
        let start = line.as_ptr() as usize - text.as_ptr() as usize;
        let (from, length) = match column.and_then(|column| column.checked_sub(1)) {
            Some(column) => {
                let rest = line.get(column as usize..)?;
                let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                (column as usize, word.max(rest.chars().next()?.len_utf8()))
            }
            None => (line.len() - line.trim_start().len(), line.trim().len()),
        };
        (length > 0).then(|| start + from..start + from + length)
    }

    /// The text of a file, if it was added.
    pub(crate) fn text(&self, file: &Path) -> Option<&str> {
        self.texts.get(file).map(String::as_str)
    }
}

/// Diagnostics in the order in which they were found. After the first 1,000 they are only counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Diagnostics {
    found: Vec<Diagnostic>,
    /// Errors that are only counted.
    more_errors: usize,
    /// Warnings that are only counted.
    more_warnings: usize,
    /// The last one that was only counted.
    last: Option<Box<Diagnostic>>,
}

impl Diagnostics {
    /// Adds a diagnostic, and returns it for further changes.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        if self.found.len() < MOST_KEPT {
            return self.found.push_mut(diagnostic);
        }
        match diagnostic.severity {
            Severity::Error => self.more_errors += 1,
            Severity::Warning => self.more_warnings += 1,
        }
        self.last.insert(Box::new(diagnostic))
    }

    /// The first diagnostic, for further changes.
    pub(crate) fn first_mut(&mut self) -> Option<&mut Diagnostic> {
        self.found.first_mut()
    }

    /// Whether there are no diagnostics.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The number of errors.
    pub(crate) fn errors(&self) -> usize {
        let kept = self.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        kept + self.more_errors
    }

    /// The errors, without the warnings.
    pub(crate) fn only_errors(&self) -> Diagnostics {
        Diagnostics {
            found: self.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).cloned().collect(),
            more_errors: self.more_errors,
            ..Diagnostics::default()
        }
    }

    /// The diagnostic with the same code, message and primary place, if there is one.
    pub(crate) fn same_as(&mut self, other: &Diagnostic) -> Option<&mut Diagnostic> {
        self.found.iter_mut().find(|one| {
            (one.code, &one.message, one.labels.first()) == (other.code, &other.message, other.labels.first())
        })
    }

    /// The number of warnings.
    pub(crate) fn warnings(&self) -> usize {
        self.found.len() + self.more_errors + self.more_warnings - self.errors()
    }

    /// The diagnostics that are kept, in order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.found.iter()
    }

    /// Sorts the diagnostics by their primary labels; those without one come first.
    pub(crate) fn sort_by_place(&mut self) {
        let place =
            |diagnostic: &Diagnostic| diagnostic.labels.first().map(|label| (label.file.clone(), label.span.start));
        self.found.sort_by_cached_key(place);
    }

    /// Renders the diagnostics for people, separated by empty lines and with a final line end. Shows at most 50, errors before
    /// warnings, and the number of the rest.
    pub(crate) fn render(&self, sources: &Sources, colours: bool) -> String {
        let (errors, warnings) = (self.errors(), self.warnings());
        let (mut errors_left, mut warnings_left) =
            (errors.min(MOST_SHOWN), warnings.min(MOST_SHOWN.saturating_sub(errors)));
        let shown = self.iter().filter(|diagnostic| {
            let left = match diagnostic.severity {
                Severity::Error => &mut errors_left,
                Severity::Warning => &mut warnings_left,
            };
            let is_shown = *left > 0;
            *left -= usize::from(is_shown);
            is_shown
        });
        let mut texts: Vec<_> = shown.map(|diagnostic| diagnostic.render(sources, colours) + "\n").collect();
        if errors + warnings > MOST_SHOWN {
            let more = [
                (errors.saturating_sub(MOST_SHOWN), "more error"),
                (warnings - warnings.min(MOST_SHOWN.saturating_sub(errors)), "more warning"),
            ];
            let more = more.into_iter().filter(|(count, _)| *count > 0);
            let more: Vec<_> = more.map(|(count, what)| counted(count as u64, what)).collect();
            texts.push(format!("{} not shown\n", more.join(" and ")));
        }
        texts.join("\n")
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics { found: vec![diagnostic], ..Diagnostics::default() }
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<T: IntoIterator<Item = Diagnostic>>(diagnostics: T) -> Self {
        let mut found = Diagnostics::default();
        found.extend(diagnostics);
        found
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        diagnostics.into_iter().for_each(|diagnostic| _ = self.push(diagnostic));
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The known name with the smallest edit distance, which may be at most a third of the name's characters, or one of two.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > LONGEST_NAME || known.len() > MOST_COMPARED {
        return None;
    }
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let letters = name.chars().count();
    let allowed = (letters.max(3) / 3).min(letters.saturating_sub(1));
    let near = known.iter().map(|&other| (distance(other), other)).filter(|&(far, _)| far <= allowed);
    near.min().map(|(_, other)| other)
}

/// The help for an unknown name: a similar name, if there is one, and all known names. `what` is the plural of the named
/// thing.
pub(crate) fn suggestion(name: &str, what: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!("there are no {what}");
    }
    let all = match known {
        [only] => format!("there is only `{only}`"),
        _ if known.len() > MOST_NAMES => {
            format!("the {what} are {} and {} more", quoted(&known[..MOST_NAMES]), known.len() - MOST_NAMES)
        }
        _ => format!("the {what} are {}", quoted(known)),
    };
    match nearest(name, known) {
        Some(meant) if known.len() == 1 => format!("did you mean `{meant}`?"),
        Some(meant) => format!("did you mean `{meant}`? {all}"),
        None => all,
    }
}

/// Truncates a text to at most `most` bytes, and adds its full length.
pub(crate) fn truncate(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}… ({} bytes)", &text[..text.floor_char_boundary(most)], text.len()))
}

/// Truncates a message: a name in it may be a megabyte long.
fn shortened(text: String) -> String {
    if text.len() <= LONGEST_TEXT { text } else { truncate(&text, LONGEST_TEXT).into_owned() }
}

/// Names in backticks with commas between them.
pub(crate) fn quoted(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, word: &str) -> String {
        let mut sources = Sources::default();
        sources.add("a.toml", text);
        let start = text.find(word).unwrap();
        let diagnostic = Diagnostic::error("some-code", "a message");
        let shown = diagnostic.label(Path::new("a.toml"), start..start + word.len(), "here").render(&sources, false);
        let line = shown.lines().find(|line| line.contains("-->")).unwrap();
        line.split_once("a.toml:").unwrap().1.to_string()
    }

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        assert_eq!(place("word = 1", "word"), "1:1");
        assert_eq!(place("a = 1\nb = [\"äöü€😀\", word]\n", "word"), "2:15");
        assert_eq!(place("a = 1\r\n\r\nb = word\r\n", "word"), "3:5");
        assert_eq!(place("a = 'ä'\r\nb = word", "word"), "2:5");
    }

    #[test]
    fn shows_fifty_errors_first_and_counts_the_rest() {
        let mut all = Diagnostics::default();
        (0..2000).for_each(|index| _ = all.push(Diagnostic::warning("odd", format!("warning {index}"))));
        (0..7).for_each(|index| _ = all.push(Diagnostic::error("odd", format!("error {index}")).help("said")));
        assert_eq!((all.errors(), all.warnings(), all.iter().count()), (7, 2000, MOST_KEPT));
        let shown = all.render(&Sources::default(), false);
        assert_eq!(shown.matches("warning[odd]").count(), 43, "{shown}");
        assert!(shown.ends_with("\n1957 more warnings not shown\n"), "{shown}");
        let mut errors = Diagnostics::default();
        (0..52).for_each(|index| _ = errors.push(Diagnostic::error("odd", format!("error {index}"))));
        errors.push(Diagnostic::warning("odd", "a warning"));
        let shown = errors.render(&Sources::default(), false);
        assert!(shown.contains("error 49\n") && !shown.contains("error 50"), "{shown}");
        assert!(shown.ends_with("\n2 more errors and 1 more warning not shown\n"), "{shown}");
    }

    #[test]
    fn truncates_long_texts_and_compares_no_long_names() {
        let long = "ä".repeat(1 << 20);
        let diagnostic =
            Diagnostic::error("odd", format!("unknown key `{long}`")).help(suggestion(&long, "keys", &["a"]));
        assert!(diagnostic.message.len() < LONGEST_TEXT + 40 && diagnostic.message.ends_with("… (2097166 bytes)"));
        assert_eq!(diagnostic.help.as_deref(), Some("there is only `a`"));
        assert_eq!((truncate("abc", 3), truncate("abcd", 3)), ("abc".into(), "abc… (4 bytes)".into()));
    }

    #[test]
    fn renders_labels_in_two_files_and_a_help() {
        let mut sources = Sources::default();
        sources.add("a.toml", "first = 1\nsecond = 2\n");
        let diagnostic = Diagnostic::error("odd-pair", "`first` and `second` are odd")
            .label(Path::new("a.toml"), 0..5, "this one")
            .label(Path::new("a.toml"), 10..16, "and this")
            .label(Path::new("b.toml"), 3..4, "not loaded")
            .help("leave one out");
        let expected = "\
error[odd-pair]: `first` and `second` are odd
 --> a.toml:1:1
  |
1 | first = 1
  | ^^^^^ this one
2 | second = 2
  | ------ and this
 ::: b.toml
  = help: leave one out";
        assert_eq!(diagnostic.render(&sources, false), expected);
        assert!(diagnostic.render(&sources, true).contains("\u{1b}["));
    }

    #[test]
    fn finds_positions_from_debug_information() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lib.rs");
        let text = "fn f() {\n    // für\r\n    let ü = element.read()?;\n\n}\n";
        std::fs::write(&file, text).unwrap();
        let mut sources = Sources::default();
        let mut at = |line, column| sources.find_compiled(&file, line, column).map(|span| &text[span]);
        // The column counts `ü` as the two bytes it is.
        assert_eq!(at(3, Some(22)), Some("read"));
        assert_eq!(at(3, Some(26)), Some("("));
        assert_eq!(at(2, None), Some("// für"));
        assert_eq!((at(4, None), at(4, Some(1)), at(9, None), at(0, None)), (None, None, None, None));
        // Not in the middle of a character.
        assert_eq!((at(3, Some(10)), at(3, Some(99))), (None, None));
        assert_eq!(sources.find_compiled(Path::new("/rustc/library/core/src/lib.rs"), 1, None), None);
    }

    #[test]
    fn separates_several_diagnostics() {
        let mut all = Diagnostics::default();
        assert!(all.is_empty());
        all.push(Diagnostic::error("a", "bad"));
        all.push(Diagnostic::error("b", "worse"));
        all.push(Diagnostic::warning("c", "odd"));
        assert_eq!(all.render(&Sources::default(), false), "error[a]: bad\n\nerror[b]: worse\n\nwarning[c]: odd\n");
        assert_eq!((all.errors(), all.warnings()), (2, 1));
    }

    #[test]
    fn renders_a_warning_with_notes() {
        let mut sources = Sources::default();
        sources.add("lib.rs", "element.read()?;\n");
        let diagnostic = Diagnostic::warning("odd-call", "`read` is called")
            .label(Path::new("lib.rs"), 8..12, "called here")
            .note("inlined into `process`\nand that into `export`")
            .note("found in the built component")
            .help("call `size`");
        let expected = "\
warning[odd-call]: `read` is called
 --> lib.rs:1:9
  |
1 | element.read()?;
  |         ^^^^ called here
  |
  = note: inlined into `process`
          and that into `export`
  = note: found in the built component
  = help: call `size`";
        assert_eq!(diagnostic.render(&sources, false), expected);
    }

    #[test]
    fn suggests_the_nearest_name() {
        assert_eq!(nearest("uper", &["lower", "upper"]), Some("upper"));
        assert_eq!(nearest("Pipelines", &["default", "pipeline"]), Some("pipeline"));
        assert_eq!(nearest("kb", &["kB", "MB"]), Some("kB"));
        assert_eq!((nearest("x", &["y"]), nearest("", &["B"])), (None, None));
        assert_eq!(nearest("splitter", &["upper", "router"]), None);
        assert_eq!(
            suggestion("uper", "stages", &["lower", "upper"]),
            "did you mean `upper`? the stages are `lower`, `upper`"
        );
        assert_eq!(suggestion("uper", "stages", &["upper"]), "did you mean `upper`?");
        assert_eq!(suggestion("x", "stages", &["upper"]), "there is only `upper`");
        assert_eq!(suggestion("x", "stages", &[]), "there are no stages");
    }
}
