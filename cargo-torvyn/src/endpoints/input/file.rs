//! `file`: a file, split into elements. With `follow`, also what is appended to it; with `checkpoint`, from where the last run
//! stopped.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use torvyn_runtime::endpoint::{self, Framing, Tail, TailOptions, open_file};

use super::{Input, Kind, framing};
use crate::config::document;
use crate::config::file_uses::FileUses;
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::Keys;
use crate::output::diagnostic::Diagnostic;

pub(super) static KIND: Kind = Kind { keys: Keys { kind: "file", options: &OPTIONS }, is_repeatable: true, read };

const OPTIONS: [&str; 6] = ["as", "size", "keep-newline", "follow", "start", "checkpoint"];
/// The options with which a run does not read the file from its beginning to its end.
pub(crate) const TAIL_KEYS: [&str; 3] = ["follow", "start", "checkpoint"];

/// A file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) framing: Framing,
    /// How it is read on, if it is.
    pub(super) tail: Option<TailOptions>,
}

fn read(field: &Field, table: &Table, report: &mut Report) -> Option<Arc<dyn Input>> {
    let framing = framing::read(table, report);
    let tail = read_tail(table, report);
    let path = report.folder().join(field.text(report)?);
    let (framing, tail) = (framing?, tail?);
    if tail.is_some() && framing == Framing::Whole {
        // Only a file that has an end is one element.
        let choice = table.get("as")?;
        TAIL_KEYS.iter().for_each(|key| table.exclude(key, &choice, report));
        return None;
    }
    Some(Arc::new(File { path, framing, tail }))
}

/// Reads `follow`, `start` and `checkpoint`. The inner value is `None` if none of them is there.
fn read_tail(table: &Table, report: &mut Report) -> Option<Option<TailOptions>> {
    let follow = table.switch("follow", report);
    let start = table.get("start").map(|field| field.choice(&["beginning", "end"], report));
    let checkpoint = table.get("checkpoint").map(|field| field.text(report));
    if TAIL_KEYS.iter().all(|key| table.get(key).is_none()) {
        return Some(None);
    }
    Some(Some(TailOptions {
        follow: follow?,
        from_end: start.unwrap_or(Some("beginning"))? == "end",
        checkpoint: match checkpoint {
            Some(folder) => Some(report.folder().join(folder?)),
            None => None,
        },
    }))
}

impl Input for File {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    fn open(&self) -> io::Result<Box<dyn endpoint::Input>> {
        Ok(match &self.tail {
            Some(options) => Box::new(Tail::open(&self.path, self.framing, options.clone())?),
            None => Box::new(open_file(&self.path, self.framing)?),
        })
    }

    fn is_repeatable(&self) -> bool {
        self.tail.is_none()
    }

    fn resumes(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.checkpoint.is_some())
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
        for file in self.tail.iter().flat_map(TailOptions::files) {
            uses.write("the checkpoint", &file);
        }
        uses
    }

    fn check(&self) -> Option<Diagnostic> {
        // A file that is followed may still be created.
        let may_be_missing = self.tail.as_ref().is_some_and(|tail| tail.follow);
        if may_be_missing && !self.path.exists() { None } else { document::check_path(&self.path, false) }
    }

    fn size(&self) -> Option<u64> {
        let metadata = fs::metadata(&self.path).ok().filter(|_| self.tail.is_none())?;
        metadata.is_file().then_some(metadata.len())
    }

    fn waits_for(&self) -> Option<String> {
        if self.tail.as_ref().is_some_and(|tail| tail.follow) {
            return Some(format!("more in {}", self.name()));
        }
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
        let file = |path: PathBuf| File { path, framing: Framing::Whole, tail: None };
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
        let file = |path: PathBuf| File { path, framing: Framing::Whole, tail: None };
        assert_eq!(file(path.clone()).waits_for(), Some(format!("data in the FIFO `{}`", path.display())));
        assert_eq!(file("/dev/null".into()).waits_for(), None);
    }
}
