//! A diagnostic as a line of cargo's JSON: a `compiler-message` with a message in the format of rustc. Editors and other
//! programs that read the messages of `cargo check` can read it.

use std::path::Path;

use cargo_metadata::Target;
use serde::Serialize;
use serde_json::{Value, json};

use crate::output::diagnostic::{Diagnostic, Label, Severity, Sources};
use crate::output::region::Region;
use crate::output::viewpoint::Viewpoint;

/// The subject of a message, in cargo's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct About {
    package_id: String,
    /// The manifest, or the component file if it is not in a package.
    manifest_path: String,
    target: Value,
}

impl About {
    /// A package, with the target that builds its component.
    ///
    /// # Errors
    ///
    /// If a path of the target is not UTF-8.
    pub(crate) fn package(id: &str, manifest: &Path, target: &Target) -> serde_json::Result<Self> {
        let target = serde_json::to_value(target)?;
        Ok(About { package_id: id.to_string(), manifest_path: manifest.to_string_lossy().into_owned(), target })
    }

    /// The pipelines of a `Torvyn.toml`, as a target kind that cargo does not know.
    pub(crate) fn pipelines(manifest: &Path) -> Self {
        About::unknown_to_cargo(manifest, "pipeline", "pipelines")
    }

    /// A component file that is not in a package.
    pub(crate) fn component(file: &Path) -> Self {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        About::unknown_to_cargo(file, "component", &name)
    }

    fn unknown_to_cargo(file: &Path, kind: &str, name: &str) -> Self {
        let path = file.to_string_lossy();
        let target = json!({
            "kind": [kind],
            "crate_types": [],
            "name": name,
            "src_path": path,
            "edition": "2024",
            "doc": false,
            "doctest": false,
            "test": false,
        });
        About { package_id: format!("path+file://{path}"), manifest_path: path.into_owned(), target }
    }
}

/// A diagnostic as part of a line about a case or a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    code: &'static str,
    level: &'static str,
    message: String,
    notes: Vec<String>,
    help: Option<String>,
    /// The spans in the format of rustc; the first is the primary one.
    spans: Vec<Span>,
    /// The rendered text for people.
    rendered: String,
}

impl Finding {
    /// Creates a finding with paths as people see them.
    pub(crate) fn new(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        Finding {
            code: diagnostic.code,
            level: level(diagnostic.severity),
            message: diagnostic.message.clone(),
            notes: diagnostic.notes.clone(),
            help: diagnostic.help.clone(),
            spans: spans(diagnostic, sources, &Viewpoint::default()),
            rendered: diagnostic.render(sources, false),
        }
    }
}

/// Formats a diagnostic as a line, without a line end.
///
/// # Errors
///
/// None in practice: bytes that are not UTF-8 become replacement characters.
pub(crate) fn message(
    diagnostic: &Diagnostic,
    about: &About,
    sources: &Sources,
    seen: &Viewpoint,
) -> serde_json::Result<String> {
    let message = Message {
        message_type: "diagnostic",
        message: &diagnostic.message,
        code: Some(Code { code: diagnostic.code, explanation: None }),
        level: level(diagnostic.severity),
        spans: spans(diagnostic, sources, seen),
        children: children(diagnostic),
        // Rendered messages of rustc end with an empty line.
        rendered: Some(diagnostic.render(sources, false) + "\n\n"),
    };
    serde_json::to_string(&Line { subject: about, message })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn spans(diagnostic: &Diagnostic, sources: &Sources, seen: &Viewpoint) -> Vec<Span> {
    let labels = diagnostic.labels.iter().enumerate();
    labels.map(|(index, label)| Span::new(label, index == 0, sources, seen)).collect()
}

#[derive(Serialize)]
#[serde(tag = "reason", rename = "compiler-message")]
struct Line<'a> {
    #[serde(flatten)]
    subject: &'a About,
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "$message_type")]
    message_type: &'static str,
    message: &'a str,
    code: Option<Code>,
    level: &'static str,
    spans: Vec<Span>,
    children: Vec<Message<'a>>,
    rendered: Option<String>,
}

#[derive(Serialize)]
struct Code {
    code: &'static str,
    explanation: Option<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
struct Span {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    line_start: usize,
    line_end: usize,
    column_start: usize,
    column_end: usize,
    is_primary: bool,
    text: Vec<SpanLine>,
    label: Option<String>,
    suggested_replacement: Option<String>,
    suggestion_applicability: Option<String>,
    expansion: Option<()>,
}

#[derive(Debug, Clone, Serialize)]
struct SpanLine {
    text: String,
    highlight_start: usize,
    highlight_end: usize,
}

impl Span {
    /// A file without known text is referred to at its start.
    fn new(label: &Label, is_primary: bool, sources: &Sources, seen: &Viewpoint) -> Self {
        let text = sources.text(&label.file);
        let region = Region::new(text.unwrap_or_default(), &label.span);
        let line = |(text, columns): (&str, std::ops::Range<usize>)| SpanLine {
            text: text.to_string(),
            highlight_start: columns.start,
            highlight_end: columns.end,
        };
        Span {
            file_name: seen.path(&label.file).to_string_lossy().into_owned(),
            byte_start: region.bytes.start,
            byte_end: region.bytes.end,
            line_start: region.start.0,
            line_end: region.end.0,
            column_start: region.start.1,
            column_end: region.end.1,
            is_primary,
            text: text.map(|_| region.columns().map(line).collect()).unwrap_or_default(),
            label: Some(label.text.clone()).filter(|text| !text.is_empty()),
            suggested_replacement: None,
            suggestion_applicability: None,
            expansion: None,
        }
    }
}

fn children(diagnostic: &Diagnostic) -> Vec<Message<'_>> {
    let notes = diagnostic.notes.iter().map(|note| child("note", note));
    notes.chain(diagnostic.help.iter().map(|help| child("help", help))).collect()
}

fn child<'a>(level: &'static str, message: &'a str) -> Message<'a> {
    Message {
        message_type: "diagnostic",
        message,
        code: None,
        level,
        spans: Vec::new(),
        children: Vec::new(),
        rendered: None,
    }
}

#[cfg(test)]
mod tests {
    use cargo_metadata::diagnostic::DiagnosticLevel;
    use cargo_metadata::{CompilerMessage, Message as CargoMessage};

    use super::*;

    const MANIFEST: &str = "[package]\nname = \"a\"\n# für\nreads = [\n  0,\n]\n";

    fn parsed(diagnostic: &Diagnostic, about: &About) -> CompilerMessage {
        let mut sources = Sources::default();
        sources.add("Cargo.toml", MANIFEST);
        let line = message(diagnostic, about, &sources, &Viewpoint::new("/ws/a", "/ws")).unwrap();
        assert!(!line.contains('\n'));
        let keys: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(keys["message"]["$message_type"], "diagnostic");
        match serde_json::from_str(&line).unwrap() {
            CargoMessage::CompilerMessage(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn cargo_metadata_can_parse_the_line() {
        let target: Target = serde_json::from_value(json!({
            "kind": ["cdylib"], "crate_types": ["cdylib"], "name": "a", "src_path": "/ws/a/src/lib.rs",
            "edition": "2024", "doc": true, "doctest": false, "test": true,
        }))
        .unwrap();
        let about = About::package("path+file:///ws/a#0.1.0", Path::new("/ws/a/Cargo.toml"), &target).unwrap();
        let reads = MANIFEST.find("[\n").unwrap();
        let diagnostic = Diagnostic::warning("some-code", "`reads` is odd")
            .label(Path::new("Cargo.toml"), reads..MANIFEST.len() - 1, "declared here")
            .label(Path::new("src/lib.rs"), 40..44, "")
            .note("inlined into `process`")
            .help("leave it out");
        let read = parsed(&diagnostic, &about);
        assert_eq!((read.package_id.repr.as_str(), &read.target), ("path+file:///ws/a#0.1.0", &target));

        let message = read.message;
        assert_eq!((message.level, message.code.unwrap().code.as_str()), (DiagnosticLevel::Warning, "some-code"));
        let rendered = message.rendered.unwrap();
        assert!(rendered.starts_with("warning[some-code]: `reads` is odd\n"), "{rendered}");
        assert!(rendered.ends_with("leave it out\n\n"), "{rendered}");
        let children: Vec<_> = message.children.iter().map(|child| (child.level, child.message.as_str())).collect();
        assert_eq!(
            children,
            [(DiagnosticLevel::Note, "inlined into `process`"), (DiagnosticLevel::Help, "leave it out")]
        );

        let [declared, elsewhere] = &message.spans[..] else { panic!() };
        assert_eq!((declared.file_name.as_str(), declared.is_primary), ("a/Cargo.toml", true));
        assert_eq!(&MANIFEST[declared.byte_start as usize..declared.byte_end as usize], "[\n  0,\n]");
        assert_eq!((declared.line_start, declared.column_start), (4, 9));
        assert_eq!((declared.line_end, declared.column_end), (6, 2));
        let lines: Vec<_> =
            declared.text.iter().map(|line| (line.text.as_str(), line.highlight_start, line.highlight_end)).collect();
        assert_eq!(lines, [("reads = [", 9, 10), ("  0,", 1, 5), ("]", 1, 2)]);
        assert_eq!(declared.label.as_deref(), Some("declared here"));
        assert_eq!(
            (elsewhere.file_name.as_str(), elsewhere.line_start, elsewhere.is_primary),
            ("a/src/lib.rs", 1, false)
        );
        assert!(elsewhere.text.is_empty() && elsewhere.label.is_none());
    }

    #[test]
    fn pipeline_findings_belong_to_no_package() {
        let read =
            parsed(&Diagnostic::error("cycle", "round and round"), &About::pipelines(Path::new("/ws/Torvyn.toml")));
        assert_eq!(read.target.name, "pipelines");
        assert_eq!((read.message.level, read.message.spans.len()), (DiagnosticLevel::Error, 0));
    }
}
