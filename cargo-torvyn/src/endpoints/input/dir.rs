//! `dir`: the files of a folder, one element each.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use torvyn_runtime::endpoint::{self, Directory};

use super::{Input, Kind};
use crate::config::document;
use crate::config::file_uses::FileUses;
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::Keys;
use crate::output::diagnostic::Diagnostic;

pub(super) static KIND: Kind = Kind { keys: Keys { kind: "dir", options: &[] }, is_repeatable: true, read };

/// A folder.
#[derive(Debug)]
struct Dir {
    path: PathBuf,
}

fn read(field: &Field, _: &Table, report: &mut Report) -> Option<Arc<dyn Input>> {
    let path = report.folder().join(field.text(report)?);
    Some(Arc::new(Dir { path }))
}

impl Input for Dir {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    fn open(&self) -> io::Result<Box<dyn endpoint::Input>> {
        Ok(Box::new(Directory::open(&self.path)?))
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn file_uses(&self) -> FileUses {
        let mut uses = FileUses::default();
        uses.read("the input", &self.path);
        uses
    }

    fn check(&self) -> Option<Diagnostic> {
        document::check_path(&self.path, true)
    }
}
