//! `file`: a file, which is replaced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use torvyn_runtime::endpoint::{self, FileOutput, OutputFraming};

use super::{Kind, Output, framing};
use crate::config::document;
use crate::config::file_uses::FileUses;
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::Keys;
use crate::fs::atomic_file;
use crate::output::diagnostic::Diagnostic;

pub(super) static KIND: Kind = Kind { keys: Keys { kind: "file", options: &framing::KEYS }, read };

/// A file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) framing: OutputFraming,
}

fn read(field: &Field, table: &Table, report: &mut Report) -> Option<Arc<dyn Output>> {
    let framing = framing::read(table, report);
    let path = report.folder().join(field.text(report)?);
    Some(Arc::new(File { path, framing: framing? }))
}

impl Output for File {
    fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    fn open(&self) -> io::Result<Box<dyn endpoint::Output>> {
        Ok(Box::new(FileOutput::create(&self.path, self.framing)?))
    }

    fn framing(&self) -> Option<OutputFraming> {
        Some(self.framing)
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn file_uses(&self) -> FileUses {
        let mut uses = FileUses::default();
        uses.write("an output", &self.path);
        uses
    }

    fn check(&self) -> Option<Diagnostic> {
        document::check_written(&self.path)
    }

    fn check_writable(&self) -> io::Result<()> {
        atomic_file::check(&self.path)
    }
}
