//! Rotation: a file that is full gets the name `NAME.1`, and those that were rotated before get `NAME.2`, `NAME.3` and so on.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, RenameFlags};
use rustix::io::Errno;

/// When a file that is appended to is rotated, and how many rotated files are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Before an element with which the file would have more bytes. A file with a single element can have more.
    pub bytes: Option<u64>,
    /// Before the first element that comes in a later period of this length, counted from the Unix epoch by the clock of the
    /// flow: for 1 h, whenever an hour has begun.
    pub every: Option<Duration>,
    /// How many rotated files are kept, at least 1.
    pub keep: u32,
}

/// Gives a file of the folder its first number. The others move on by one up to the first number that is free; if none is,
/// the file with the number `keep` is removed.
///
/// # Errors
///
/// If something that is not a regular file has one of the names, or the system reports an error. Every file has its old or its
/// new name then.
pub(super) fn rotate(folder: &File, name: &OsStr, keep: u32) -> io::Result<()> {
    let mut free = 1;
    while free <= keep && is_taken(folder, name, free)? {
        free += 1;
    }
    if free > keep {
        rustix::fs::unlinkat(folder, numbered(name, keep), AtFlags::empty())
            .map_err(|error| add_name(error, name, keep))?;
        free = keep;
    }
    for number in (1..free).rev() {
        rename(folder, &numbered(name, number), &numbered(name, number + 1))
            .map_err(|error| add_name(error, name, number))?;
    }
    rename(folder, name, &numbered(name, 1)).map_err(|error| add_name(error, name, 1))
}

/// Checks that nothing but regular files has the names of rotated files.
///
/// # Errors
///
/// If something else has one, or the system does not say.
pub(super) fn check(folder: &File, name: &OsStr, keep: u32) -> io::Result<()> {
    let mut number = 1;
    while number <= keep && is_taken(folder, name, number)? {
        number += 1;
    }
    Ok(())
}

/// Whether there is a rotated file with this number.
fn is_taken(folder: &File, name: &OsStr, number: u32) -> io::Result<bool> {
    let numbered = numbered(name, number);
    let kind = match rustix::fs::statat(folder, &numbered, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(add_name(error, name, number)),
    };
    let kind = match kind {
        FileType::RegularFile => return Ok(true),
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        _ => "not a regular file",
    };
    let message = format!("cannot rotate it: `{}` is {kind}", numbered.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

fn add_name(error: Errno, name: &OsStr, number: u32) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("cannot rotate it: `{}`: {error}", numbered(name, number).display()))
}

/// The name of a rotated file.
fn numbered(name: &OsStr, number: u32) -> OsString {
    let mut numbered = name.to_os_string();
    numbered.push(format!(".{number}"));
    numbered
}

/// Whether a file with this name could be a rotated one.
pub(super) fn is_numbered(name: &OsStr) -> bool {
    let dot = name.as_bytes().iter().rposition(|byte| *byte == b'.');
    let number = dot.map(|dot| &name.as_bytes()[dot + 1..]);
    number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

/// Renames a file. Another file with the new name, which has appeared just now, is an error if the system can say so.
fn rename(folder: &File, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match rustix::fs::renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        // Not every file system has this.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rustix::fs::renameat(folder, from, folder, to),
        renamed => renamed,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn names(folder: &Path) -> Vec<(String, String)> {
        let read = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap_or_default())
        };
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect();
        names.sort();
        names
    }

    fn is(folder: &Path, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        assert_eq!(names(folder), expected);
    }

    #[test]
    fn moves_files_on_and_removes_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let (path, open) = (folder.path(), File::open(folder.path()).unwrap());
        let name = OsStr::new("it");
        for text in ["a", "b", "c", "d"] {
            fs::write(path.join("it"), text).unwrap();
            rotate(&open, name, 3).unwrap();
        }
        fs::write(path.join("it.4"), "not ours").unwrap();
        is(path, &[("it.1", "d"), ("it.2", "c"), ("it.3", "b"), ("it.4", "not ours")]);
        // After a crash in the middle there is a gap, and nothing has to be removed.
        fs::remove_file(path.join("it.2")).unwrap();
        fs::write(path.join("it"), "e").unwrap();
        rotate(&open, name, 3).unwrap();
        is(path, &[("it.1", "e"), ("it.2", "d"), ("it.3", "b"), ("it.4", "not ours")]);
        fs::write(path.join("it"), "f").unwrap();
        rotate(&open, name, 1).unwrap();
        is(path, &[("it.1", "f"), ("it.2", "d"), ("it.3", "b"), ("it.4", "not ours")]);
    }

    #[test]
    fn moves_nothing_but_regular_files() {
        let folder = tempfile::tempdir().unwrap();
        let (path, open) = (folder.path(), File::open(folder.path()).unwrap());
        let name = OsStr::new("it");
        fs::write(path.join("it"), "a").unwrap();
        fs::write(path.join("it.1"), "b").unwrap();
        for (kind, text) in [("directory", "`it.2` is a directory"), ("link", "`it.2` is a symbolic link")] {
            match kind {
                "directory" => fs::create_dir(path.join("it.2")).unwrap(),
                _ => symlink("it", path.join("it.2")).unwrap(),
            }
            for refused in [rotate(&open, name, 2), check(&open, name, 2), rotate(&open, name, 5)] {
                assert!(refused.unwrap_err().to_string().contains(text), "{text}");
            }
            assert_eq!(fs::read_to_string(path.join("it")).unwrap(), "a");
            assert_eq!(fs::read_to_string(path.join("it.1")).unwrap(), "b");
            fs::remove_dir(path.join("it.2")).or_else(|_| fs::remove_file(path.join("it.2"))).unwrap();
        }
        check(&open, name, 2).unwrap();
    }

    #[test]
    fn knows_names_of_rotated_files() {
        for (name, expected) in
            [("a.1", true), ("a.log.27", true), ("a", false), ("a.", false), ("a.1x", false), ("1", false)]
        {
            assert_eq!(is_numbered(OsStr::new(name)), expected, "{name}");
        }
    }
}
