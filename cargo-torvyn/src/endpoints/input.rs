//! The inputs of the host: where elements come from that no source component makes.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use torvyn_runtime::endpoint::{self, Framing};

use super::Keys;
use crate::config::file_uses::FileUses;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::diagnostic::Diagnostic;

pub(crate) use file::TAIL_KEYS;

mod dir;
mod file;
mod framing;
pub(crate) mod generate;
mod stdin;

/// All kinds, in the order in which messages list them.
static KINDS: &[&Kind] = &[&file::KIND, &dir::KIND, &stdin::KIND, &generate::KIND];

/// A kind of input.
pub(crate) struct Kind {
    keys: Keys,
    /// Whether inputs of this kind give the same elements every time they are opened, as a case needs, unless an option says
    /// otherwise.
    pub(crate) is_repeatable: bool,
    /// Reads an input from the field that chooses the kind and the table that the field is in.
    read: fn(&Field, &Table, &mut Report) -> Option<Arc<dyn Input>>,
}

/// A declared input.
pub(crate) trait Input: Debug + Send + Sync {
    /// Its kind.
    fn kind(&self) -> &'static Kind;

    /// The name in messages.
    fn name(&self) -> String;

    /// Opens the input.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn open(&self) -> io::Result<Box<dyn endpoint::Input>>;

    /// Whether the input gives the same elements every time it is opened.
    fn is_repeatable(&self) -> bool {
        self.kind().is_repeatable
    }

    /// Whether a run goes on where the one before stopped: after what was delivered.
    fn resumes(&self) -> bool {
        false
    }

    /// How bytes are split into elements, if they are. An input that replaces this one on the command line does the same.
    fn framing(&self) -> Option<Framing> {
        None
    }

    /// The file or folder that is read.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// What is read, to be compared with what is written.
    fn file_uses(&self) -> FileUses {
        FileUses::default()
    }

    /// Checks, before anything runs, that the input exists. The diagnostic has no place.
    fn check(&self) -> Option<Diagnostic> {
        None
    }

    /// The bytes of all elements, if they are known before: the size of the progress bar.
    fn size(&self) -> Option<u64> {
        None
    }

    /// For generated elements that are all the same: how many there are, and the bytes of each.
    fn generated(&self) -> Option<(u64, usize)> {
        None
    }

    /// What reading will wait for, if a person has to know: "data in the FIFO `x`".
    fn waits_for(&self) -> Option<String> {
        None
    }
}

/// A file, or standard input if the path is `-`. The path is relative to `folder`.
pub(crate) fn from_path(path: &Path, folder: &Path, framing: Framing) -> Arc<dyn Input> {
    if path == Path::new("-") { stdin(framing) } else { file(folder.join(path), framing) }
}

/// The input for a path on the command line, where `-` is standard input. It keeps the framing of the input that it
/// replaces.
pub(crate) fn from_argument(argument: &Path, replaced: Option<&dyn Input>) -> Arc<dyn Input> {
    let framing = replaced.and_then(Input::framing).unwrap_or_default();
    from_path(argument, Path::new(""), framing)
}

/// A file.
pub(crate) fn file(path: PathBuf, framing: Framing) -> Arc<dyn Input> {
    Arc::new(file::File { path, framing, tail: None })
}

/// Standard input.
pub(crate) fn stdin(framing: Framing) -> Arc<dyn Input> {
    Arc::new(stdin::Stdin { framing })
}

/// Generated elements, `count` of `size` bytes each.
pub(crate) fn generated(count: u64, size: usize) -> Arc<dyn Input> {
    Arc::new(generate::Generate { count, sizes: size..=size, seed: None })
}

/// The keys of an input: those that choose a kind, and those that may stand beside them.
pub(crate) fn keys() -> Vec<&'static str> {
    super::keys(&all_keys())
}

/// The keys that choose a kind whose inputs give the same elements every time.
pub(crate) fn repeatable_kinds() -> Vec<&'static str> {
    KINDS.iter().filter(|kind| kind.is_repeatable).map(|kind| kind.keys.kind).collect()
}

/// The keys that may stand beside that of a kind.
pub(crate) fn options() -> Vec<&'static str> {
    super::options(&all_keys())
}

/// Reads an input from a table with the key of one kind.
pub(crate) fn read(table: &Table, report: &mut Report) -> Option<Arc<dyn Input>> {
    let field = super::choose(&all_keys(), table, report)?;
    let kind = KINDS.iter().find(|kind| kind.keys.kind == field.key)?;
    (kind.read)(&field, table, report)
}

/// The keys of each kind.
pub(super) fn all_keys() -> Vec<&'static Keys> {
    KINDS.iter().map(|kind| &kind.keys).collect()
}
