//! The outputs of the host: where elements go that no sink component takes.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use torvyn_runtime::endpoint::{self, OutputFraming};

use super::Keys;
use crate::config::file_uses::FileUses;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::diagnostic::Diagnostic;

mod discard;
mod file;
pub(crate) mod framing;
mod stdout;

/// All kinds, in the order in which messages list them.
static KINDS: &[&Kind] = &[&file::KIND, &stdout::KIND, &discard::KIND];

/// A kind of output.
struct Kind {
    keys: Keys,
    /// Reads an output from the field that chooses the kind and the table that the field is in.
    read: fn(&Field, &Table, &mut Report) -> Option<Arc<dyn Output>>,
}

/// A declared output.
pub(crate) trait Output: Debug + Send + Sync {
    /// The name in messages.
    fn name(&self) -> String;

    /// Opens the output.
    ///
    /// # Errors
    ///
    /// If it cannot be written. [`NoReader`](endpoint::NoReader) says that nobody reads it yet, and that it can be opened later.
    fn open(&self) -> io::Result<Box<dyn endpoint::Output>>;

    /// How elements are separated, if they are. An output that replaces this one on the command line does the same.
    fn framing(&self) -> Option<OutputFraming> {
        None
    }

    /// The file that is written.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// What is written, to be compared with what is read and written otherwise.
    fn file_uses(&self) -> FileUses {
        FileUses::default()
    }

    /// Checks, before anything runs, that the place of the output exists. The diagnostic has no place.
    fn check(&self) -> Option<Diagnostic> {
        None
    }

    /// Checks, just before a run and as far as possible, that the output can be opened.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn check_writable(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether this is standard output.
    fn is_stdout(&self) -> bool {
        false
    }

    /// Whether nobody gets the elements.
    fn drops_elements(&self) -> bool {
        false
    }
}

/// A file, or standard output if the path is `-`. The path is relative to `folder`.
pub(crate) fn from_path(path: &Path, folder: &Path, framing: OutputFraming) -> Arc<dyn Output> {
    if path == Path::new("-") { stdout(framing) } else { file(folder.join(path), framing) }
}

/// The output for a path on the command line, where `-` is standard output. It keeps the framing of the output that it
/// replaces.
pub(crate) fn from_argument(argument: &Path, replaced: Option<&dyn Output>) -> Arc<dyn Output> {
    let framing = replaced.and_then(Output::framing).unwrap_or_default();
    from_path(argument, Path::new(""), framing)
}

/// A file, which is replaced.
pub(crate) fn file(path: PathBuf, framing: OutputFraming) -> Arc<dyn Output> {
    Arc::new(file::File { path, how: file::How::Replace { framing, sync: false } })
}

/// Standard output.
pub(crate) fn stdout(framing: OutputFraming) -> Arc<dyn Output> {
    Arc::new(stdout::Stdout { framing })
}

/// Nowhere.
pub(crate) fn discard() -> Arc<dyn Output> {
    Arc::new(discard::Discard)
}

/// The keys of an output: those that choose a kind, and those that may stand beside them.
pub(crate) fn keys() -> Vec<&'static str> {
    super::keys(&all_keys())
}

/// Reads an output from a table with the key of one kind.
pub(crate) fn read(table: &Table, report: &mut Report) -> Option<Arc<dyn Output>> {
    let field = super::choose(&all_keys(), table, report)?;
    let kind = KINDS.iter().find(|kind| kind.keys.kind == field.key)?;
    (kind.read)(&field, table, report)
}

/// The keys of each kind.
pub(super) fn all_keys() -> Vec<&'static Keys> {
    KINDS.iter().map(|kind| &kind.keys).collect()
}
