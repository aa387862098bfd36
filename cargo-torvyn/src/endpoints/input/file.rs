//! `file`: a file, split into elements.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use torvyn_runtime::endpoint::{self, Framing, open_file};

use super::{Input, Kind, framing};
use crate::config::document;
use crate::config::file_uses::FileUses;
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::Keys;
use crate::output::diagnostic::Diagnostic;

pub(super) static KIND: Kind = Kind { keys: Keys { kind: "file", options: &framing::KEYS }, is_repeatable: true, read };

/// A file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) framing: Framing,
}

fn read(field: &Field, table: &Table, report: &mut Report) -> Option<Arc<dyn Input>> {
    let framing = framing::read(table, report);
    let path = report.folder().join(field.text(report)?);
    Some(Arc::new(File { path, framing: framing? }))
}

impl Input for File {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    fn open(&self) -> io::Result<Box<dyn endpoint::Input>> {
        Ok(Box::new(open_file(&self.path, self.framing)?))
    }

    fn framing(&self) -> Option<Framing> {
        Some(self.framing)
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn file_uses(&self) -> FileUses {
        let mut uses = FileUses::default();
        // `check` reports a directory, which this does not read.
        if !self.path.is_dir() {
            uses.read("the input", &self.path);
        }
        uses
    }

    fn check(&self) -> Option<Diagnostic> {
        document::check_path(&self.path, false)
    }

    fn size(&self) -> Option<u64> {
        let metadata = fs::metadata(&self.path).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    fn waits_for(&self) -> Option<String> {
        let is_fifo = fs::metadata(&self.path).is_ok_and(|metadata| metadata.file_type().is_fifo());
        is_fifo.then(|| format!("data in the FIFO {}", self.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_that_of_a_regular_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: PathBuf| File { path, framing: Framing::Whole };
        let path = folder.path().join("in");
        let missing = file(path.clone());
        assert!(missing.size().is_none() && missing.check().is_some());
        fs::write(&path, "12345").unwrap();
        let found = file(path);
        assert_eq!((found.size(), found.check()), (Some(5), None));
        assert_eq!(file("/dev/null".into()).size(), None);
        assert!(file(folder.path().into()).check().is_some());
    }

    #[test]
    fn waits_for_a_fifo_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let file = |path: PathBuf| File { path, framing: Framing::Whole };
        assert_eq!(file(path.clone()).waits_for(), Some(format!("data in the FIFO `{}`", path.display())));
        assert_eq!(file("/dev/null".into()).waits_for(), None);
    }
}
