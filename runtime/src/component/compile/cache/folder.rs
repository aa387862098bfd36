//! A folder that only its owner can use, and whole files in it.
//!
//! The folder is opened once and all files relative to it, so nobody can exchange it later. Nothing follows a link. What
//! is checked is the open file, not its name.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

/// The permissions of users other than the owner.
const OTHERS: u32 = 0o077;
/// Why a link, a FIFO or a folder in place of a file is refused.
const NOT_A_FILE: &str = "it must be a regular file, and not a link";

/// A folder that belongs to this user, and that nobody else can use.
#[derive(Debug)]
pub(super) struct PrivateFolder(OwnedFd);

/// A file of the folder.
pub(super) struct StoredFile {
    pub(super) name: String,
    pub(super) size: u64,
    /// When it was last written or read, in seconds and nanoseconds.
    pub(super) used: (i64, i64),
}

impl PrivateFolder {
    /// Opens the folder, and creates it if it does not exist.
    pub(super) fn create(path: &Path) -> io::Result<PrivateFolder> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let folder = PrivateFolder::open_unchecked(path)?;
        check_is_private(&File::from(folder.0.try_clone()?).metadata()?, 0o700)?;
        Ok(folder)
    }

    /// Opens the folder, whoever can use it. Its files must not be trusted.
    pub(super) fn open_unchecked(path: &Path) -> io::Result<PrivateFolder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR) => Err(refused("it must be a folder, and not a link")),
            folder => Ok(PrivateFolder(folder?)),
        }
    }

    /// Reads a whole file of at most `most` bytes, and remembers that it was used.
    pub(super) fn read(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Err(refused(NOT_A_FILE)),
            file => File::from(file?),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(refused(NOT_A_FILE));
        }
        check_is_private(&metadata, 0o600)?;
        if metadata.len() > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).map_err(io::Error::other)?);
        (&file).take(most).read_to_end(&mut bytes)?;
        let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let used = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
        // Fails in a read-only file system, where nothing is evicted either.
        rustix::fs::futimens(&file, &used).ok();
        Ok(bytes)
    }

    /// Replaces a file with these parts, one after another; `unfinished` is its name until it is complete.
    pub(super) fn replace_file(&self, name: &str, unfinished: &str, parts: &[&[u8]]) -> io::Result<()> {
        let renamed =
            self.write(unfinished, parts).and_then(|()| Ok(rustix::fs::renameat(&self.0, unfinished, &self.0, name)?));
        renamed.inspect_err(|_| _ = self.remove(unfinished))
    }

    /// Creates a file, unless it exists.
    pub(super) fn create_file(&self, name: &str, unfinished: &str, bytes: &[u8]) -> io::Result<()> {
        let linked = self.write(unfinished, &[bytes]).and_then(|()| {
            match rustix::fs::linkat(&self.0, unfinished, &self.0, name, AtFlags::empty()) {
                Err(Errno::EXIST) => Ok(()),
                linked => Ok(linked?),
            }
        });
        self.remove(unfinished).and(linked)
    }

    fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?);
        parts.iter().try_for_each(|part| file.write_all(part))
    }

    /// The regular files with names that `is_wanted`.
    pub(super) fn files(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<StoredFile>> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().filter(|name| is_wanted(name)) else { continue };
            // Another process may have removed it.
            let Ok(stat) = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                let size = u64::try_from(stat.st_size).unwrap_or_default();
                files.push(StoredFile {
                    name: name.to_string(),
                    size,
                    used: (stat.st_mtime, stat.st_mtime_nsec as i64),
                });
            }
        }
        Ok(files)
    }

    /// Removes a file or a link, if it exists.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            removed => Ok(removed?),
        }
    }
}

/// Refuses what belongs to another user, and what others can read or write.
fn check_is_private(metadata: &Metadata, mode: u32) -> io::Result<()> {
    let why = match metadata.mode() & 0o7777 {
        _ if metadata.uid() != rustix::process::geteuid().as_raw() => "it belongs to another user".to_string(),
        found if found & OTHERS != 0 => format!("other users can use it: its mode must be {mode:04o}, not {found:04o}"),
        _ => return Ok(()),
    };
    Err(refused(why))
}

fn refused(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why.into())
}
