//! `file`: a file, which is replaced, or appended to with `append`. Then attributes in its path can choose among files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;
use torvyn_runtime::endpoint::{
    self, AppendSettings, ByAttribute, FileOutput, Flush, OutputFraming, PathTemplate, Rotation, append_by_attribute,
    append_to, check_value,
};

use super::{Kind, Output, framing};
use crate::config::document;
use crate::config::file_uses::FileUses;
use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::Keys;
use crate::fs::atomic_file;
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

pub(super) static KIND: Kind = Kind { keys: Keys { kind: "file", options: &OPTIONS }, read };

const OPTIONS: [&str; 9] = ["as", "append", "sync", "flush", "rotate", "missing", "unfit", "open-files", "files"];
/// The options that a file has only if it is appended to.
const APPEND_OPTIONS: [&str; 6] = ["flush", "rotate", "missing", "unfit", "open-files", "files"];
/// Those of them that a file has only if attributes choose it.
const ATTRIBUTE_OPTIONS: [&str; 4] = ["missing", "unfit", "open-files", "files"];

/// `flush`
const FLUSH: ranges::Durations = Duration::from_millis(1)..=Duration::from_secs(3600);
/// `rotate.bytes`
const ROTATE_BYTES: ranges::Range = 1..=1 << 50;
/// `rotate.every`
const ROTATE_EVERY: ranges::Durations = Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 3600);
/// `rotate.keep`
const KEEP: ranges::Range = 1..=1000;
/// `open-files`
const OPEN_FILES: ranges::Range = 1..=1000;
/// `files`
const FILES: ranges::Range = 1..=1_000_000;
/// Without `open-files` and `files`.
const DEFAULT_FILES: (usize, usize) = (64, 10_000);

/// A file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) how: How,
}

/// How a file is written.
#[derive(Debug)]
pub(super) enum How {
    /// The new content appears when the flow has succeeded, and is synced then if `sync` is set.
    Replace {
        framing: OutputFraming,
        sync: bool,
    },
    Append(AppendSettings),
    /// Attributes choose the file.
    AppendByAttribute(PathTemplate, AppendSettings, ByAttribute),
}

fn read(field: &Field, table: &Table, report: &mut Report) -> Option<Arc<dyn Output>> {
    let framing = framing::read(table, report);
    let append = table.switch("append", report);
    let sync = table.switch("sync", report);
    let flush = table.get("flush").map_or(Some(Flush::default()), |field| read_flush(&field, report));
    let rotation = table.get("rotate").map_or(Some(None), |field| read_rotation(&field, report).map(Some));
    let by_attribute = read_by_attribute(table, report);
    let text = field.text(report)?;
    let path = report.folder().join(text);
    let (framing, append, sync) = (framing?, append?, sync?);
    if !append {
        let help = "without it, the file appears as a whole when the run has succeeded";
        let is_alone = !report_needs(&APPEND_OPTIONS, "`append = true`", help, table, report);
        return is_alone.then(|| Arc::new(File { path, how: How::Replace { framing, sync } }) as Arc<dyn Output>);
    }
    let settings = AppendSettings { framing, flush: flush?, sync, rotation: rotation? };
    let template = match PathTemplate::parse(text, report.folder()) {
        Ok(template) => template,
        Err(error) => {
            field.wrong(codes::BAD_ATTRIBUTE, error.to_string(), "", report);
            return None;
        }
    };
    let how = match template {
        Some(template) => How::AppendByAttribute(template, settings, by_attribute?),
        None if report_needs(
            &ATTRIBUTE_OPTIONS,
            "an attribute in the path",
            "name one in the path: file = \"out/{level}.log\"",
            table,
            report,
        ) =>
        {
            return None;
        }
        None => How::Append(settings),
    };
    Some(Arc::new(File { path, how }))
}

/// Reports those of the keys that are present, because they need something else. Returns whether there was one.
fn report_needs(keys: &[&str], needed: &str, help: &str, table: &Table, report: &mut Report) -> bool {
    let present: Vec<_> = keys.iter().filter_map(|key| table.get(key)).collect();
    for field in &present {
        let message = format!("`{}` needs {needed}", field.key);
        let diagnostic = Diagnostic::error(codes::MISSING_KEY, message).label(report.file, field.key_span.clone(), "");
        report.found.push(diagnostic.help(help));
    }
    !present.is_empty()
}

fn read_rotation(field: &Field, report: &mut Report) -> Option<Rotation> {
    let table = field.table("`rotate`", &["bytes", "every", "keep"], report)?;
    let bytes = table.get("bytes").map(|field| field.size(&ROTATE_BYTES, report));
    let every = table.get("every").map(|field| field.duration(&ROTATE_EVERY, report));
    let keep = table.need("keep", report).and_then(|field| field.count(&KEEP, report));
    if bytes.is_none() && every.is_none() {
        table.report_missing(&["bytes", "every"], report);
        return None;
    }
    let bytes = match bytes {
        Some(bytes) => Some(bytes?),
        None => None,
    };
    let every = match every {
        Some(every) => Some(every?),
        None => None,
    };
    Some(Rotation { bytes, every, keep: keep? })
}

fn read_by_attribute(table: &Table, report: &mut Report) -> Option<ByAttribute> {
    let mut name = |key| match table.get(key) {
        None => Some(None),
        Some(field) => {
            let value = field.text(report)?;
            if let Err(reason) = check_value(value) {
                let message = format!("`{key}` cannot be part of a file name: it {reason}");
                field.wrong(codes::BAD_ATTRIBUTE, message, "", report);
                return None;
            }
            Some(Some(value.to_string()))
        }
    };
    let (missing, unfit) = (name("missing"), name("unfit"));
    let (open_files, files) = DEFAULT_FILES;
    let open_files = table.get("open-files").map_or(Some(open_files), |field| field.count(&OPEN_FILES, report));
    let files = table.get("files").map_or(Some(files), |field| field.count(&FILES, report));
    Some(ByAttribute { missing: missing?, unfit: unfit?, open_files: open_files?, files: files? })
}

fn read_flush(field: &Field, report: &mut Report) -> Option<Flush> {
    match field.value {
        DeValue::String(text) if text == "element" => Some(Flush::Element),
        DeValue::String(text) if text == "end" => Some(Flush::End),
        DeValue::String(_) => field.duration(&FLUSH, report).map(Flush::Every),
        _ => {
            field.wrong_type("\"element\", \"end\" or a duration such as \"1s\"", report);
            None
        }
    }
}

impl Output for File {
    fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    fn open(&self) -> io::Result<Box<dyn endpoint::Output>> {
        Ok(match &self.how {
            How::Replace { framing, sync: false } => Box::new(FileOutput::create(&self.path, *framing)?),
            How::Replace { framing, sync: true } => Box::new(FileOutput::create_synced(&self.path, *framing)?),
            How::Append(settings) => append_to(&self.path, settings)?,
            How::AppendByAttribute(template, settings, by) => append_by_attribute(template, settings, by)?,
        })
    }

    fn framing(&self) -> Option<OutputFraming> {
        Some(match &self.how {
            How::Replace { framing, .. } => *framing,
            How::Append(settings) | How::AppendByAttribute(_, settings, _) => settings.framing,
        })
    }

    fn path(&self) -> Option<&Path> {
        match &self.how {
            How::Replace { .. } | How::Append(_) => Some(&self.path),
            How::AppendByAttribute(..) => None,
        }
    }

    fn file_uses(&self) -> FileUses {
        let mut uses = FileUses::default();
        match &self.how {
            How::AppendByAttribute(template, settings, _) => {
                uses.append_some("an output", &self.path, template, settings.rotation.is_some())
            }
            How::Append(_) if !endpoint::is_descriptor(&self.path) => uses.append("an output", &self.path),
            _ => uses.write("an output", &self.path),
        };
        uses
    }

    fn check(&self) -> Option<Diagnostic> {
        match &self.how {
            How::Replace { .. } | How::Append(_) => document::check_written(&self.path),
            How::AppendByAttribute(template, ..) => document::check_path(template.folder(), true),
        }
    }

    fn check_writable(&self) -> io::Result<()> {
        match &self.how {
            How::Replace { .. } => atomic_file::check(&self.path),
            How::Append(_) => endpoint::check_append(&self.path),
            How::AppendByAttribute(template, ..) => std::fs::read_dir(template.folder()).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::manifest::Manifest;
    use std::path::Path;

    /// The messages of a manifest with this output.
    fn messages(output: &str) -> Vec<String> {
        let text = format!("pipeline.main.stages = ['a']\npipeline.main.output = {{ {output} }}\n");
        let manifest = Manifest::parse(&text, Path::new("/no/Torvyn.toml"));
        let found = manifest.and_then(|manifest| manifest.select(None).map(drop)).err();
        found.iter().flat_map(|found| found.iter()).map(|diagnostic| diagnostic.message.clone()).collect()
    }

    #[test]
    fn keys_that_belong_together_stand_together() {
        let rotated = "file = 'a', append = true, rotate = { bytes = '1MiB', keep = 2 }";
        let many = "file = 'a/{b}.log', append = true, missing = 'none', unfit = 'odd', open-files = 2, files = 3";
        for output in [
            "file = 'a', sync = true",
            "file = 'a', append = true, flush = '1s', sync = true, as = 'raw'",
            "file = 'a', append = true, flush = 'end'",
            "file = 'a{b', sync = true",
            "file = 'a{{b}}', append = true",
            rotated,
            many,
            "file = '{b}', append = true, rotate = { every = '1440m', keep = 1000 }, flush = 'element'",
        ] {
            assert_eq!(messages(output), [""; 0], "{output}");
        }
        for (output, message) in [
            ("file = 'a', flush = 'end'", "`flush` needs `append = true`"),
            ("file = '{a}', missing = 'x'", "`missing` needs `append = true`"),
            ("file = 'a', append = true, unfit = 'x'", "`unfit` needs an attribute in the path"),
            ("file = 'a', append = false", "`append` can only be `true`"),
            ("stdout = true, append = true", "an output cannot have both `stdout` and `append`"),
            ("file = 'a', append = true, flush = 'ends'", "`ends` is not a duration"),
            ("file = 'a', append = true, flush = 1", "`flush` has the wrong type"),
            ("file = 'a', append = true, rotate = { keep = 1 }", "`rotate` needs one of the keys `bytes`"),
            ("file = 'a', append = true, rotate = { bytes = 1 }", "`rotate` needs the key `keep`"),
            ("file = 'a', append = true, rotate = { bytes = 0, keep = 1 }", "`bytes` is 0"),
            ("file = 'a', append = true, rotate = { every = '1ms', keep = 1 }", "`every` must be from 1"),
            ("file = 'a', append = true, rotate = { bytes = 1, keep = 1001 }", "`keep` must be from 1 to 1000"),
            ("file = 'a{b', append = true", "`{` has no `}` in the same part of the path"),
            ("file = '{}', append = true", "`{}` is not the name of an attribute"),
            (
                "file = '{a}/../b', append = true",
                "`..` is not a file name, which every part of the path after an attribute must be",
            ),
            (
                "file = '{a}', append = true, missing = '../x'",
                "`missing` cannot be part of a file name: it begins with `.`",
            ),
            ("file = '{a}', append = true, unfit = 'x/y'", "`unfit` cannot be part of a file name: it contains `/`"),
            ("file = '{a}', append = true, open-files = 1001", "`open-files` must be from 1 to 1000"),
        ] {
            let found = messages(output);
            assert!(found.len() == 1 && found[0].starts_with(message), "{output}: {found:?}");
        }
    }
}
