//! `file`: a file, which is replaced, or appended to with `append`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;
use torvyn_runtime::endpoint::{self, AppendSettings, FileOutput, Flush, OutputFraming, append_to};

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

const OPTIONS: [&str; 4] = ["as", "append", "flush", "sync"];
/// The options that a file has only if it is appended to.
const APPEND_OPTIONS: [&str; 1] = ["flush"];

/// `flush`
const FLUSH: ranges::Durations = Duration::from_millis(1)..=Duration::from_secs(3600);

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
}

fn read(field: &Field, table: &Table, report: &mut Report) -> Option<Arc<dyn Output>> {
    let framing = framing::read(table, report);
    let append = read_switch("append", table, report);
    let sync = read_switch("sync", table, report);
    let flush = table.get("flush").map_or(Some(Flush::default()), |field| read_flush(&field, report));
    let path = report.folder().join(field.text(report)?);
    let (framing, append, sync, flush) = (framing?, append?, sync?, flush?);
    if append {
        return Some(Arc::new(File { path, how: How::Append(AppendSettings { framing, flush, sync }) }));
    }
    let only_appended: Vec<_> = APPEND_OPTIONS.iter().filter_map(|key| table.get(key)).collect();
    for field in &only_appended {
        let message = format!("`{}` needs `append = true`", field.key);
        let diagnostic = Diagnostic::error(codes::MISSING_KEY, message).label(report.file, field.key_span.clone(), "");
        report.found.push(diagnostic.help("without it, the file appears as a whole when the run has succeeded"));
    }
    only_appended.is_empty().then(|| Arc::new(File { path, how: How::Replace { framing, sync } }) as Arc<dyn Output>)
}

/// Reads a key that is absent or `true`.
fn read_switch(key: &str, table: &Table, report: &mut Report) -> Option<bool> {
    table.get(key).map_or(Some(false), |field| field.only_true(report).map(|()| true))
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
        })
    }

    fn framing(&self) -> Option<OutputFraming> {
        Some(match &self.how {
            How::Replace { framing, .. } => *framing,
            How::Append(settings) => settings.framing,
        })
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn file_uses(&self) -> FileUses {
        let mut uses = FileUses::default();
        match &self.how {
            How::Append(_) if !endpoint::is_descriptor(&self.path) => uses.append("an output", &self.path),
            _ => uses.write("an output", &self.path),
        };
        uses
    }

    fn check(&self) -> Option<Diagnostic> {
        document::check_written(&self.path)
    }

    fn check_writable(&self) -> io::Result<()> {
        match &self.how {
            How::Replace { .. } => atomic_file::check(&self.path),
            How::Append(_) => endpoint::check_append(&self.path),
        }
    }
}
