//! What is wrong in a person's files: the one diagnostic type, the texts it points into, and how it looks on a terminal.
//!
//! A diagnostic is a value that is collected, never an error that is returned in passing; who prints it, and what
//! follows for the exit code, is decided elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::base::regular_file;

use crate::output::printable::printable;

/// Findings that are shown to people at once; the others are counted.
const MOST_SHOWN: usize = 50;
/// Findings that are kept, for programs; the others are counted. A file with more has one thing wrong with all of it.
const MOST_KEPT: usize = 1000;
/// Bytes of a message, and of a help.
const LONGEST_TEXT: usize = 2000;
/// Names that a help lists, and among how many it looks for the one that was meant.
const MOST_NAMES: usize = 50;
const MOST_COMPARED: usize = 1000;
/// Letters of a name that is compared with those that are known.
const LONGEST_NAME: usize = 64;

/// One thing that is wrong in a person's files, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// Stable name of the kind of problem, in kebab-case.
    pub(crate) code: &'static str,
    /// Whether the command can succeed in spite of it.
    pub(crate) severity: Severity,
    /// One lower-case phrase, names in backticks.
    pub(crate) message: String,
    /// The places; the first is the primary one. None where the problem is in no file.
    pub(crate) labels: Vec<Label>,
    /// What is good to know about it, a phrase each: how it came about, what was looked at.
    pub(crate) notes: Vec<String>,
    /// What to type instead.
    pub(crate) help: Option<String>,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// The command can succeed in spite of it.
    Warning,
    /// The command fails.
    Error,
}

/// A place in a file, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The file, under the name it has in [`Sources`]; a file that is not there is named without its text.
    pub(crate) file: PathBuf,
    /// Bytes of the file's text.
    pub(crate) span: Range<usize>,
    /// Said beside the place; may be empty.
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

    /// Adds what is good to know.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Says what to type instead.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shortened(help.into()));
        self
    }

    /// The text for people, in the form rustc made familiar, without a line end at its end.
    pub(crate) fn render(&self, sources: &Sources, colours: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        // Names in it may be of any length; what steers a terminal, the renderer makes visible.
        let message = printable(&self.message, true);
        let mut group = Group::with_title(level.primary_title(&*message).id(self.code));
        for (file, labels) in self.labels_by_file() {
            let name = printable(&file.display().to_string(), false);
            group = match sources.text(file).map(|text| Window::of(text, &labels)) {
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

/// The lines of a file that labels are in: the renderer looks at all of the text that it is given.
struct Window<'a> {
    text: &'a str,
    /// Where it starts in the file, in bytes.
    start: usize,
    /// The number of its first line.
    line: usize,
}

impl<'a> Window<'a> {
    fn of(text: &'a str, labels: &[(usize, &Label)]) -> Window<'a> {
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
    /// Keeps the text of a file, in place of an earlier one.
    pub(crate) fn add(&mut self, file: impl Into<PathBuf>, text: impl Into<String>) {
        self.texts.insert(file.into(), text.into());
    }

    /// Where a compiler says that something is: the word at a line and a column, both from 1, the column in bytes; without
    /// a column the line. None where the file cannot be read, or does not have it: a source may have changed since it was
    /// compiled, or be on another machine.
    pub(crate) fn compiled_from(&mut self, file: &Path, line: u32, column: Option<u32>) -> Option<Range<usize>> {
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

    /// The text of a file, where it was added.
    pub(crate) fn text(&self, file: &Path) -> Option<&str> {
        self.texts.get(file).map(String::as_str)
    }
}

/// Diagnostics in the order they were found. After the first thousand they are only counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Diagnostics {
    found: Vec<Diagnostic>,
    /// Errors that are only counted.
    more_errors: usize,
    /// Warnings that are only counted.
    more_warnings: usize,
    /// The last that was only counted.
    last: Option<Box<Diagnostic>>,
}

impl Diagnostics {
    /// Adds one, to which more can be said.
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

    /// The first, to which more can be said.
    pub(crate) fn first_mut(&mut self) -> Option<&mut Diagnostic> {
        self.found.first_mut()
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many of them are errors.
    pub(crate) fn errors(&self) -> usize {
        let kept = self.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        kept + self.more_errors
    }

    /// Those without which the command would have succeeded.
    pub(crate) fn only_errors(&self) -> Diagnostics {
        Diagnostics {
            found: self.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).cloned().collect(),
            more_errors: self.more_errors,
            ..Diagnostics::default()
        }
    }

    /// The one that says the same of the same place, if there is one.
    pub(crate) fn same_as(&mut self, other: &Diagnostic) -> Option<&mut Diagnostic> {
        self.found.iter_mut().find(|one| {
            (one.code, &one.message, one.labels.first()) == (other.code, &other.message, other.labels.first())
        })
    }

    /// How many of them are warnings.
    pub(crate) fn warnings(&self) -> usize {
        self.found.len() + self.more_errors + self.more_warnings - self.errors()
    }

    /// All that are kept, first found first.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.found.iter()
    }

    /// Puts them in the order of their primary labels within a file, those without one first.
    pub(crate) fn sort_by_place(&mut self) {
        let place =
            |diagnostic: &Diagnostic| diagnostic.labels.first().map(|label| (label.file.clone(), label.span.start));
        self.found.sort_by_cached_key(place);
    }

    /// The texts for people, an empty line between two, a line end at the end: of the first fifty, errors before warnings
    /// where there are more, and how many others there are.
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
                (errors.saturating_sub(MOST_SHOWN), "error"),
                (warnings - warnings.min(MOST_SHOWN.saturating_sub(errors)), "warning"),
            ];
            let more = more.into_iter().filter(|(count, _)| *count > 0);
            let more: Vec<_> = more.map(|(count, what)| counted(count as u64, what)).collect();
            texts.push(format!("{} more not shown\n", more.join(" and ")));
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

/// The known name a person most likely meant: the one fewest letters away, with at most a third of the letters wrong, or
/// one of two.
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

/// The help for a name that is not known: what was meant, if it can be told, and all that is known. `what` is the
/// plural of the thing named.
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

/// A text of at most so many bytes, and what stands for the rest.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}… ({} bytes)", &text[..text.floor_char_boundary(most)], text.len()))
}

/// A message that nobody reads to its end is cut: a name in it may be a megabyte.
fn shortened(text: String) -> String {
    if text.len() <= LONGEST_TEXT { text } else { cut(&text, LONGEST_TEXT).into_owned() }
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
    fn fifty_are_shown_errors_first_and_the_others_are_counted() {
        let mut all = Diagnostics::default();
        (0..2000).for_each(|index| _ = all.push(Diagnostic::warning("odd", format!("warning {index}"))));
        (0..7).for_each(|index| _ = all.push(Diagnostic::error("odd", format!("error {index}")).help("said")));
        assert_eq!((all.errors(), all.warnings(), all.iter().count()), (7, 2000, MOST_KEPT));
        let shown = all.render(&Sources::default(), false);
        assert_eq!(shown.matches("warning[odd]").count(), 43, "{shown}");
        assert!(shown.ends_with("\n1957 warnings more not shown\n"), "{shown}");
        let mut errors = Diagnostics::default();
        (0..52).for_each(|index| _ = errors.push(Diagnostic::error("odd", format!("error {index}"))));
        errors.push(Diagnostic::warning("odd", "a warning"));
        let shown = errors.render(&Sources::default(), false);
        assert!(shown.contains("error 49\n") && !shown.contains("error 50"), "{shown}");
        assert!(shown.ends_with("\n2 errors and 1 warning more not shown\n"), "{shown}");
    }

    #[test]
    fn long_texts_are_cut_and_long_names_are_like_no_other() {
        let long = "ä".repeat(1 << 20);
        let diagnostic =
            Diagnostic::error("odd", format!("unknown key `{long}`")).help(suggestion(&long, "keys", &["a"]));
        assert!(diagnostic.message.len() < LONGEST_TEXT + 40 && diagnostic.message.ends_with("… (2097166 bytes)"));
        assert_eq!(diagnostic.help.as_deref(), Some("there is only `a`"));
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".into(), "abc… (4 bytes)".into()));
    }

    #[test]
    fn two_files_two_labels_and_a_help() {
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
    fn where_a_compiler_says_that_something_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lib.rs");
        let text = "fn f() {\n    // für\r\n    let ü = element.read()?;\n\n}\n";
        std::fs::write(&file, text).unwrap();
        let mut sources = Sources::default();
        let mut at = |line, column| sources.compiled_from(&file, line, column).map(|span| &text[span]);
        // The column counts `ü` as the two bytes it is.
        assert_eq!(at(3, Some(22)), Some("read"));
        assert_eq!(at(3, Some(26)), Some("("));
        assert_eq!(at(2, None), Some("// für"));
        assert_eq!((at(4, None), at(4, Some(1)), at(9, None), at(0, None)), (None, None, None, None));
        // In the middle of a letter there is nothing.
        assert_eq!((at(3, Some(10)), at(3, Some(99))), (None, None));
        assert_eq!(sources.compiled_from(Path::new("/rustc/library/core/src/lib.rs"), 1, None), None);
    }

    #[test]
    fn several_are_told_apart() {
        let mut all = Diagnostics::default();
        assert!(all.is_empty());
        all.push(Diagnostic::error("a", "bad"));
        all.push(Diagnostic::error("b", "worse"));
        all.push(Diagnostic::warning("c", "odd"));
        assert_eq!(all.render(&Sources::default(), false), "error[a]: bad\n\nerror[b]: worse\n\nwarning[c]: odd\n");
        assert_eq!((all.errors(), all.warnings()), (2, 1));
    }

    #[test]
    fn a_warning_with_notes() {
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
    fn the_nearest_name() {
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
