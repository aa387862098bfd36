//! The files that a command reads and writes. Rejects a file that is written and has another use too. This is the only place
//! that compares files; it compares their identity in the file system, not their names.

use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

use torvyn_runtime::endpoint::{FileId, PathTemplate, is_descriptor, is_device};

use crate::exit::{Exit, Stop};
use crate::fs::standard_streams::opened;
use crate::output::codes;

/// The files of a command, in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileUses(Vec<FileUse>);

/// A file and its use.
#[derive(Debug, Clone)]
pub(crate) struct FileUse {
    /// The purpose, as a noun with its article.
    what: String,
    /// The path as typed; none for a standard stream.
    path: Option<PathBuf>,
    id: FileId,
    /// The folder that contains it.
    folder: Option<FileId>,
    /// For a folder whose files are read, or some of them written: the identities of these files. They may be link targets and may
    /// have other names elsewhere.
    files: Vec<FileId>,
    /// For files that attributes choose.
    some: Option<SomeFiles>,
    how: How,
    /// Whether another use could lose data. A device, such as a terminal or `/dev/null`, can have several uses, and two
    /// standard streams may be the same socket.
    can_lose: bool,
    /// The place in the manifest.
    pub(crate) place: Option<Range<usize>>,
}

/// Files of a folder that attributes of elements choose.
#[derive(Debug, Clone)]
struct SomeFiles {
    /// The folder, without links.
    folder: PathBuf,
    template: PathTemplate,
    is_rotated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Read,
    /// A folder whose files are read.
    ReadFolder,
    /// The file is replaced.
    Replace,
    /// Whole lines are appended, possibly by several writers.
    Append,
    /// The same to some files of a folder.
    AppendSome,
    /// Output is streamed to a descriptor to which the parent process may write too.
    Stream,
    /// Like `Stream`, for messages to people.
    Messages,
}

/// Two uses that conflict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conflict<'a> {
    pub(crate) first: &'a FileUse,
    pub(crate) second: &'a FileUse,
}

impl FileUses {
    /// Adds a file that is read, or a folder whose files are read.
    pub(crate) fn read(&mut self, what: impl Into<String>, path: &Path) -> &mut Self {
        let how = if path.is_dir() { How::ReadFolder } else { How::Read };
        self.add(what, path, how)
    }

    /// Adds a file that is written.
    pub(crate) fn write(&mut self, what: impl Into<String>, path: &Path) -> &mut Self {
        let how = if is_descriptor(path) { How::Stream } else { How::Replace };
        self.add(what, path, how)
    }

    /// Adds a file to which whole lines are appended.
    pub(crate) fn append(&mut self, what: impl Into<String>, path: &Path) -> &mut Self {
        self.add(what, path, How::Append)
    }

    /// Adds files that attributes choose, and to which whole elements are appended. `path` is as typed.
    pub(crate) fn append_some(
        &mut self,
        what: impl Into<String>,
        path: &Path,
        template: &PathTemplate,
        is_rotated: bool,
    ) -> &mut Self {
        let folder = template.folder().canonicalize().unwrap_or_else(|_| template.folder().to_path_buf());
        let some = SomeFiles { folder, template: template.clone(), is_rotated };
        let mut files = Vec::new();
        some.find(&some.folder, &mut files);
        let id = FileId::from_path(template.folder());
        self.0.push(FileUse {
            what: what.into(),
            path: Some(path.to_path_buf()),
            id,
            folder: None,
            files,
            some: Some(some),
            how: How::AppendSome,
            can_lose: true,
            place: None,
        });
        self
    }

    /// Adds standard input, which is read.
    pub(crate) fn read_stdin(&mut self, what: impl Into<String>) -> &mut Self {
        self.add_stream(what, opened(io::stdin()), How::Read)
    }

    /// Adds standard output, which is written.
    pub(crate) fn write_stdout(&mut self, what: impl Into<String>) -> &mut Self {
        self.add_stream(what, opened(io::stdout()), How::Stream)
    }

    /// Adds standard error, and standard output unless it was added before: messages go there.
    pub(crate) fn write_messages(&mut self) -> &mut Self {
        if !self.0.iter().any(|file| file.path.is_none() && file.how == How::Stream) {
            self.add_stream("standard output", opened(io::stdout()), How::Messages);
        }
        self.add_stream("standard error", opened(io::stderr()), How::Messages)
    }

    /// Sets the place of the last use in the manifest.
    pub(crate) fn at(&mut self, place: Option<&Range<usize>>) -> &mut Self {
        if let Some(last) = self.0.last_mut() {
            last.place = place.cloned();
        }
        self
    }

    /// Sets the place of all uses in the manifest.
    #[must_use]
    pub(crate) fn all_at(mut self, place: Option<&Range<usize>>) -> Self {
        self.0.iter_mut().for_each(|file| file.place = place.cloned());
        self
    }

    /// Adds the uses of another command part.
    pub(crate) fn extend(&mut self, others: FileUses) {
        self.0.extend(others.0);
    }

    fn add(&mut self, what: impl Into<String>, path: &Path, how: How) -> &mut Self {
        let (id, folder, can_lose) = (FileId::from_path(path), FileId::from_folder_of(path), !is_device(path));
        let files = if how == How::ReadFolder { files_in(path) } else { Vec::new() };
        let path = Some(path.to_path_buf());
        self.0.push(FileUse { what: what.into(), path, id, folder, files, some: None, how, can_lose, place: None });
        self
    }

    fn add_stream(&mut self, what: impl Into<String>, id: io::Result<(FileId, bool)>, how: How) -> &mut Self {
        // If the stream is closed, opening it reports the error.
        let (id, can_lose) = id.unwrap_or((FileId::Unknown(PathBuf::from("-")), false));
        self.0.push(FileUse {
            what: what.into(),
            path: None,
            id,
            folder: None,
            files: Vec::new(),
            some: None,
            how,
            can_lose,
            place: None,
        });
        self
    }

    /// The uses that conflict with an earlier one.
    pub(crate) fn conflicts(&self) -> impl Iterator<Item = Conflict<'_>> {
        self.0.iter().enumerate().filter_map(|(index, second)| {
            let first = self.0[..index].iter().find(|first| first.conflicts_with(second))?;
            Some(Conflict { first, second })
        })
    }

    /// Rejects the first conflict.
    ///
    /// # Errors
    ///
    /// A [`Stop`] that names both uses.
    pub(crate) fn refuse(&self) -> Result<(), Stop> {
        match self.conflicts().next() {
            None => Ok(()),
            Some(conflict) => Err(Stop::new(Exit::Usage, conflict.message()).code(codes::SAME_FILE)),
        }
    }
}

/// The identities of the files in a folder.
fn files_in(folder: &Path) -> Vec<FileId> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| !path.is_dir()).map(|path| FileId::from_path(&path)).collect()
}

impl SomeFiles {
    /// The path below the folder, however it is written.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let path = folder.canonicalize().ok()?.join(path.file_name()?);
        path.strip_prefix(&self.folder).ok().map(Path::to_path_buf)
    }

    /// Whether an element can choose this path, or the file is rotated to it.
    fn can_be(&self, path: &Path) -> bool {
        let Some(below) = self.below(path) else { return false };
        let is_number = |text: &OsStr| text.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        below.components().count() == self.template.depth()
            && (self.template.can_be(&below)
                || self.is_rotated
                    && below.extension().is_some_and(is_number)
                    && self.template.can_be(&below.with_extension("")))
    }

    /// Whether these are files of this folder.
    fn are_in(&self, folder: &Path) -> bool {
        let Ok(folder) = folder.canonicalize() else { return false };
        let below = folder.strip_prefix(&self.folder);
        below.is_ok_and(|below| below.components().count() + 1 == self.template.depth() && self.template.can_be(below))
    }

    /// Finds the files of `folder` that exist already, and can be chosen.
    fn find(&self, folder: &Path, files: &mut Vec<FileId>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let depth =
                self.below(&path).filter(|below| self.template.can_be(below)).map(|below| below.components().count());
            match depth {
                Some(depth) if depth == self.template.depth() => files.push(FileId::from_path(&path)),
                Some(_) if entry.file_type().is_ok_and(|kind| kind.is_dir()) => self.find(&path, files),
                _ => {}
            }
        }
    }
}

impl FileUse {
    fn conflicts_with(&self, other: &FileUse) -> bool {
        let reads = |file: &FileUse| matches!(file.how, How::Read | How::ReadFolder);
        if reads(self) && reads(other) {
            return false;
        }
        let appends = |file: &FileUse| matches!(file.how, How::Append | How::AppendSome);
        let is_some_of = |some: &FileUse, file: &FileUse| match (&some.some, &file.path) {
            (Some(some), Some(path)) if file.how == How::ReadFolder => some.are_in(path),
            (Some(files), Some(path)) => files.can_be(path) || some.files.contains(&file.id),
            (Some(_), None) => some.files.contains(&file.id),
            (None, _) => false,
        };
        if self.some.is_some() || other.some.is_some() {
            return !(appends(self) && appends(other)) && (is_some_of(self, other) || is_some_of(other, self));
        }
        let is_in = |folder: &FileUse, file: &FileUse| {
            let is_there =
                || file.folder.as_ref() == Some(&folder.id) || file.can_lose && folder.files.contains(&file.id);
            folder.how == How::ReadFolder && !reads(file) && is_there()
        };
        if is_in(self, other) || is_in(other, self) {
            return true;
        }
        self.id == other.id
            && match (self.how, other.how) {
                (How::Append, How::Append) | (How::Messages, How::Messages) => false,
                // With `2>&1`, a shell puts both into one file, one after the other.
                (How::Stream, How::Messages) | (How::Messages, How::Stream) => false,
                (How::Stream, How::Stream) => self.can_lose && other.can_lose || self.path == other.path,
                _ => self.can_lose && other.can_lose,
            }
    }

    fn name(&self) -> String {
        match &self.path {
            Some(path) => format!("`{}`", path.display()),
            None => self.what.clone(),
        }
    }
}

impl Conflict<'_> {
    /// Whether the later use has this purpose.
    pub(crate) fn is_for(&self, what: &str) -> bool {
        self.second.what == what
    }

    /// The message, on one line.
    pub(crate) fn message(&self) -> String {
        let (first, second) = (self.first, self.second);
        match (&first.path, &second.path) {
            (Some(one), Some(other)) if one == other => {
                format!("`{}` is used for {} and for {}", one.display(), second.what, first.what)
            }
            (None, None) if first.what == second.what => format!("{} is used for two outputs", second.what),
            (None, None) => format!("{} and {} are the same file", second.what, first.what),
            _ if first.id == second.id || first.some.is_some() || second.some.is_some() => {
                let [one, other] = [second, first].map(|file| match &file.path {
                    Some(_) => format!("{} ({})", file.name(), file.what),
                    None => file.what.clone(),
                });
                match first.id == second.id {
                    true => format!("{one} and {other} are the same file"),
                    false => format!("{one} and {other} can be the same file"),
                }
            }
            _ => {
                let (folder, file) = if first.how == How::ReadFolder { (first, second) } else { (second, first) };
                let named = match &file.path {
                    Some(_) => format!("{} ({})", file.name(), file.what),
                    None => file.what.clone(),
                };
                format!("{named} is in {} ({}), whose files are read", folder.name(), folder.what)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn finds_conflicting_uses_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), "").unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        symlink("new", at("link")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        symlink("../out", at("sub/link")).unwrap();
        fs::hard_link(at("a"), at("sub/hard")).unwrap();
        type Add = fn(&mut FileUses, &Path);
        let read: Add = |uses, path| _ = uses.read("a", path);
        let write: Add = |uses, path| _ = uses.write("b", path);
        let append: Add = |uses, path| _ = uses.append("c", path);
        let here = folder.path().to_path_buf();
        for (first, one, second, other, excluded) in [
            (read, at("a"), read, at("a"), false),
            (read, at("a"), write, at("hard"), true),
            (write, at("a"), read, at("./a"), true),
            (write, at("new"), write, at("link"), true),
            (write, at("new"), append, at("link"), true),
            (append, at("new"), append, at("link"), false),
            (append, at("a"), read, at("hard"), true),
            (read, here.clone(), write, at("new"), true),
            (write, at("link"), read, here.clone(), true),
            (read, here.clone(), read, at("a"), false),
            (read, here.clone(), write, here.join("..").join("new"), false),
            (read, "/dev/null".into(), write, "/dev/null".into(), false),
            (write, "/dev/null".into(), write, "/dev/null".into(), false),
            // Links in the folder count.
            (read, at("sub"), write, at("out"), true),
            (read, at("sub"), append, at("out"), true),
            (read, at("sub"), write, at("a"), true),
            (read, at("sub"), read, at("out"), false),
            (read, at("sub"), write, at("other"), false),
            (write, at("new"), write, at("other"), false),
        ] {
            let mut uses = FileUses::default();
            first(&mut uses, &one);
            second(&mut uses, &other);
            assert_eq!(uses.conflicts().count(), usize::from(excluded), "{one:?} {other:?}");
            assert_eq!(uses.refuse().is_err(), excluded);
        }
    }

    #[test]
    fn finds_uses_of_files_that_attributes_choose() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("out/t")).unwrap();
        fs::write(at("in"), "").unwrap();
        fs::hard_link(at("in"), at("out/t/x.log")).unwrap();
        symlink("out", at("link")).unwrap();
        let template = PathTemplate::parse("out/{tenant}/{level}.log", folder.path()).unwrap().unwrap();
        type Add = fn(&mut FileUses, &Path);
        let read: Add = |uses, path| _ = uses.read("the input", path);
        let write: Add = |uses, path| _ = uses.write("an output", path);
        let append: Add = |uses, path| _ = uses.append("the dead letters", path);
        for (name, is_read, is_written) in [
            ("in", true, true),
            ("out/t/a.log", true, true),
            ("link/t/a.log", true, true),
            ("out/t/a.log.1", true, true),
            ("out/t/a.txt", false, false),
            ("out/a.log", false, false),
            ("out", false, false),
            ("out/t", true, false),
            ("other", false, false),
        ] {
            for (use_it, expected) in [(read, is_read), (write, is_written), (append, false)] {
                for first in [true, false] {
                    let mut uses = FileUses::default();
                    if first {
                        use_it(&mut uses, &at(name));
                    }
                    uses.append_some("an output", &at("out/{tenant}/{level}.log"), &template, true);
                    if !first {
                        use_it(&mut uses, &at(name));
                    }
                    assert_eq!(
                        uses.conflicts().count(),
                        usize::from(expected),
                        "{name} {is_read} {is_written} {first}"
                    );
                }
            }
        }
        let mut uses = FileUses::default();
        read(&mut uses, &at("in"));
        uses.append_some("an output", Path::new("out/{level}"), &template, false);
        let messages: Vec<_> = uses.conflicts().map(|conflict| conflict.message()).collect();
        let expected =
            format!("`out/{{level}}` (an output) and `{}` (the input) can be the same file", at("in").display());
        assert_eq!(messages, [expected]);
    }

    #[test]
    fn conflict_names_both_uses() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let here = folder.path().display();
        symlink("a", at("b")).unwrap();
        let mut uses = FileUses::default();
        uses.read("the input", &at("a")).write("an output", &at("a")).write("the trace", &at("b"));
        uses.read("the cases", folder.path());
        let messages: Vec<_> = uses.conflicts().map(|conflict| conflict.message()).collect();
        assert_eq!(
            messages,
            [
                format!("`{here}/a` is used for an output and for the input"),
                format!("`{here}/b` (the trace) and `{here}/a` (the input) are the same file"),
                format!("`{here}/a` (an output) is in `{here}` (the cases), whose files are read"),
            ]
        );
        let mut uses = FileUses::default();
        uses.write_stdout("standard output").write_stdout("standard output").write_messages();
        let messages: Vec<_> = uses.conflicts().map(|conflict| conflict.message()).collect();
        assert_eq!(messages, ["standard output is used for two outputs"]);
    }
}
