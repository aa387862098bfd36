//! What is wrong in a person's files: the one diagnostic type, the texts it points into, and how it looks on a terminal.
//!
//! A diagnostic is a value that is collected, never an error that is returned in passing; who prints it, and what
//! follows for the exit code, is decided elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

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
        Diagnostic { code, severity, message: message.into(), labels: Vec::new(), notes: Vec::new(), help: None }
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
        self.help = Some(help.into());
        self
    }

    /// The text for people, in the form rustc made familiar, without a line end at its end.
    pub(crate) fn render(&self, sources: &Sources, colours: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&*self.message).id(self.code));
        for (file, labels) in self.labels_by_file() {
            let name = file.display().to_string();
            group = match sources.text(file) {
                Some(text) => group.element(Snippet::source(text).path(name).annotations(labels)),
                None => group.element(Origin::path(name)),
            };
        }
        for note in &self.notes {
            group = group.element(Level::NOTE.message(&**note));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(&**help));
        }
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    /// The annotations of each file, the primary label's file first.
    fn labels_by_file(&self) -> Vec<(&Path, Vec<annotate_snippets::Annotation<'_>>)> {
        let mut files: Vec<(&Path, Vec<_>)> = Vec::new();
        for (index, label) in self.labels.iter().enumerate() {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let text = Some(&*label.text).filter(|text| !text.is_empty());
            let annotation = kind.span(label.span.clone()).label(text);
            match files.iter_mut().find(|(file, _)| *file == label.file) {
                Some((_, annotations)) => annotations.push(annotation),
                None => files.push((&label.file, vec![annotation])),
            }
        }
        files
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
            self.add(file, fs::read_to_string(file).ok()?);
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

/// Diagnostics in the order they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Diagnostics {
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one, to which more can be said.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.found.push_mut(diagnostic)
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
        self.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// Those without which the command would have succeeded.
    pub(crate) fn only_errors(&self) -> Diagnostics {
        Diagnostics {
            found: self.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).cloned().collect(),
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
        self.found.len() - self.errors()
    }

    /// All of them, first found first.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.found.iter()
    }

    /// Puts them in the order of their primary labels within a file, those without one first.
    pub(crate) fn sort_by_place(&mut self) {
        let place =
            |diagnostic: &Diagnostic| diagnostic.labels.first().map(|label| (label.file.clone(), label.span.start));
        self.found.sort_by_cached_key(place);
    }

    /// The texts for people, an empty line between two, a line end at the end.
    pub(crate) fn render(&self, sources: &Sources, colours: bool) -> String {
        let texts: Vec<_> = self.iter().map(|diagnostic| diagnostic.render(sources, colours) + "\n").collect();
        texts.join("\n")
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics { found: vec![diagnostic] }
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<T: IntoIterator<Item = Diagnostic>>(diagnostics: T) -> Self {
        Diagnostics { found: diagnostics.into_iter().collect() }
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        self.found.extend(diagnostics);
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
        _ => format!("the {what} are {}", quoted(known)),
    };
    match nearest(name, known) {
        Some(meant) if known.len() == 1 => format!("did you mean `{meant}`?"),
        Some(meant) => format!("did you mean `{meant}`? {all}"),
        None => all,
    }
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
        fs::write(&file, text).unwrap();
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
