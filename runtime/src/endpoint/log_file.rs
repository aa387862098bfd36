//! A regular file with a name that other programs may rename, remove or truncate while it is appended to.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use rustix::fs::{Access, AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::appending::{Appending, lock};
use super::file_id::folder_of;
use super::rotation;
use crate::base::cut::Cut;

/// A regular file to append to. If its name no longer leads to it, because another program has renamed or removed it, as
/// `logrotate` does, a new file gets the name before anything else is written.
#[derive(Debug)]
pub(super) struct LogFile {
    folder: File,
    name: OsString,
    file: File,
    /// What it was when it was opened, for its device and inode.
    opened: Stat,
    /// Whether a new name must survive a crash of the system.
    is_synced: bool,
}

impl LogFile {
    /// Opens the file, or creates it. A link is an error: the path has no links left.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or is not a regular file.
    pub(super) fn open(path: &Path, is_synced: bool) -> io::Result<LogFile> {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        LogFile::open_in(File::open(folder_of(path))?, name, is_synced)
    }

    /// Opens the file with this name in a folder, or creates it.
    ///
    /// # Errors
    ///
    /// As [`LogFile::open`].
    pub(super) fn open_in(folder: File, name: &OsStr, is_synced: bool) -> io::Result<LogFile> {
        let file = open(&folder, name, is_synced)?;
        let opened = rustix::fs::fstat(&file)?;
        Ok(LogFile { folder, name: name.to_os_string(), file, opened, is_synced })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The length of the file, and when it was last written to, in nanoseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub(super) fn len_and_time(&self) -> io::Result<(u64, u64)> {
        let metadata = self.file.metadata()?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok((metadata.len(), u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Locks the file that has the name now, to append to it.
    ///
    /// # Errors
    ///
    /// [`CutOff`](crate::base::cut::CutOff) if the cut is due first; an error of the system.
    pub(super) fn begin(&mut self, cut: &Cut) -> io::Result<Appending<'_>> {
        self.lock(cut)?;
        Appending::locked(&self.file)
    }

    /// Locks the file that has the name now. Returns whether that is another one than before.
    fn lock(&mut self, cut: &Cut) -> io::Result<bool> {
        let mut is_other = false;
        loop {
            lock(&self.file, cut)?;
            let has_name = self.has_name();
            if has_name.as_ref().is_ok_and(|has_name| *has_name) {
                return Ok(is_other);
            }
            self.file.unlock().ok();
            has_name?;
            self.reopen()?;
            is_other = true;
        }
    }

    /// Checks that the file can be rotated.
    ///
    /// # Errors
    ///
    /// If something else has the name of a rotated file, or the folder cannot be written.
    pub(super) fn check_rotation(&self, keep: u32) -> io::Result<()> {
        rotation::check(&self.folder, &self.name, keep)?;
        let access = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(&self.folder, ".", access, AtFlags::EACCESS).map_err(|error| {
            let error = io::Error::from(error);
            io::Error::new(error.kind(), format!("cannot rotate it in its folder: {error}"))
        })
    }

    /// Rotates the file, and creates a new one. Does nothing if it is empty, or if another process rotates files of the folder
    /// just now or has rotated this one.
    ///
    /// The lock of the folder keeps two processes from renaming at the same time; that of the file keeps another process
    /// from appending to it once it has another name.
    ///
    /// # Errors
    ///
    /// If a file cannot be renamed or created; [`CutOff`](crate::base::cut::CutOff) if the cut is due first.
    pub(super) fn rotate(&mut self, keep: u32, cut: &Cut) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = File::from(rustix::fs::openat(&self.folder, ".", flags, Mode::empty())?);
        if matches!(folder.try_lock(), Err(TryLockError::WouldBlock)) || self.lock(cut)? {
            return Ok(());
        }
        let file = Appending::locked(&self.file)?;
        if file.is_empty() {
            return Ok(());
        }
        rotation::rotate(&self.folder, &self.name, keep)?;
        if self.is_synced {
            self.folder.sync_all()?;
        }
        drop(file);
        self.reopen()
    }

    /// Opens or creates the file that has the name now. A file that it creates has the mode and, if possible, the owner of the
    /// one before.
    ///
    /// # Errors
    ///
    /// As [`LogFile::open`].
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let file = open(&self.folder, &self.name, self.is_synced)?;
        let (before, now) = (self.file.metadata()?, file.metadata()?);
        if now.len() == 0 && before.mode() != now.mode() {
            file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
        }
        if now.len() == 0 && (before.uid(), before.gid()) != (now.uid(), now.gid()) {
            let owner = (Some(Uid::from_raw(before.uid())), Some(Gid::from_raw(before.gid())));
            rustix::fs::fchown(&file, owner.0, owner.1).ok();
        }
        self.opened = rustix::fs::fstat(&file)?;
        self.file = file;
        Ok(())
    }

    /// Whether the name leads to the open file.
    fn has_name(&self) -> io::Result<bool> {
        match rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((named.st_dev, named.st_ino) == (self.opened.st_dev, self.opened.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Opens a regular file to append to, or creates it.
fn open(folder: &File, name: &OsStr, is_synced: bool) -> io::Result<File> {
    let flags = OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o666);
    let open = |flags| rustix::fs::openat(folder, name, flags, mode);
    loop {
        let opened = match open(flags | OFlags::RDWR) {
            Err(Errno::ACCESS) => open(flags | OFlags::WRONLY),
            opened => opened,
        };
        match opened {
            Ok(file) => {
                let is_regular = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) == FileType::RegularFile;
                return if is_regular { Ok(file.into()) } else { Err(not_regular()) };
            }
            Err(Errno::LOOP) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link")),
            Err(Errno::NXIO) => return Err(not_regular()),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        match open(flags | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => {
                if is_synced {
                    rustix::fs::fsync(folder)?;
                }
                return Ok(file.into());
            }
            // Another process has created it just now.
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}
