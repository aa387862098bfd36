//! Files that are written completely or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io::{self, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::file_id::{Resolved, check_writable, duplicate, folder_of, resolve};
use super::interruptible_file::open_to_write;

/// How many temporary names are tried.
const NAMES: u32 = 64;
/// Bytes of the file name in a temporary name: names have at most 255.
const NAME_BYTES: usize = 200;
/// The sticky bit, which means nothing on a file. A file with a temporary name and this bit is ours; without it, it belongs to
/// somebody else.
const MARK: u32 = 0o1000;

/// A file that is being written. The old content stays until the file is finished. If it is never finished, nothing has
/// changed, and nothing is left behind.
///
/// A link is followed, as the redirection of a shell does. A regular file is replaced by a new one with the same mode and
/// owner, so other hard links keep the old content. A file that cannot be replaced is overwritten once all bytes are known: if
/// the folder or the owner does not allow replacing it, if it has extended attributes, or if something is mounted there.
/// Devices, pipes and descriptors of this process, such as `/dev/stdout`, are written to directly.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    place: Place,
    is_synced: bool,
}

#[derive(Debug)]
enum Place {
    /// The file is written to directly.
    Direct,
    /// The new file gets this name in this folder.
    Beside { folder: File, name: OsString, pending: Option<Pending>, existing: Option<PathBuf> },
    /// The existing file is overwritten.
    Over { existing: File },
}

/// A file with a temporary name and the mark, until it gets its final name.
#[derive(Debug)]
struct Pending {
    name: OsString,
    /// Its final mode.
    mode: u32,
}

impl AtomicFile {
    /// Prepares to write to `path`, whose folder must exist.
    ///
    /// # Errors
    ///
    /// If the path is a directory or cannot be written; [`NoReader`](super::NoReader) for a FIFO without a reader.
    pub fn create(path: &Path) -> io::Result<AtomicFile> {
        let (path, is_alias) = match resolve(path)? {
            Resolved::Descriptor(descriptor) => {
                return Ok(AtomicFile { file: duplicate(descriptor)?, place: Place::Direct, is_synced: false });
            }
            Resolved::At { path, is_alias } => (path, is_alias),
        };
        match fs::metadata(&path) {
            Ok(existing) if existing.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(existing) if existing.is_file() => AtomicFile::replace(&path, is_alias),
            Ok(_) => Ok(AtomicFile { file: open_to_write(&path, false)?, place: Place::Direct, is_synced: false }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => AtomicFile::new_in(&path, None),
            Err(error) => Err(error),
        }
    }

    /// As [`AtomicFile::create`], but a link at `path` itself is replaced instead of followed, as cargo does with the files that it
    /// puts into folders.
    ///
    /// # Errors
    ///
    /// If the path is a directory or cannot be written.
    pub fn create_at(path: &Path) -> io::Result<AtomicFile> {
        match fs::symlink_metadata(path) {
            Ok(existing) if existing.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(_) => AtomicFile::new_in(path, Some((path.to_path_buf(), None))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => AtomicFile::new_in(path, None),
            Err(error) => Err(error),
        }
    }

    /// Checks that [`AtomicFile::create`] would succeed, as far as possible without opening a pipe or a device.
    ///
    /// # Errors
    ///
    /// The reason if it would not.
    pub fn check(path: &Path) -> io::Result<()> {
        match fs::metadata(path) {
            Ok(existing) if !existing.is_file() && !existing.is_dir() => check_writable(path),
            _ => AtomicFile::create(path).map(drop),
        }
    }

    /// The file to write into.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether nobody sees what is written before it is finished. What is written to directly can be seen at once.
    pub fn appears_whole(&self) -> bool {
        !matches!(self.place, Place::Direct)
    }

    /// Makes [`AtomicFile::finish`] sync the content before it appears, and the folder afterwards: a crash of the system leaves the
    /// old or the new content.
    #[must_use]
    pub fn synced(mut self) -> AtomicFile {
        self.is_synced = true;
        self
    }

    /// Moves the written content to its path.
    ///
    /// # Errors
    ///
    /// The error of the system. The old content is still there then, unless it had to be overwritten and that failed half way; the
    /// error says so.
    pub fn finish(self) -> io::Result<()> {
        let folder = match &self.place {
            Place::Beside { folder, .. } if self.is_synced => {
                self.file.sync_all()?;
                Some(folder.try_clone()?)
            }
            _ => None,
        };
        self.put()?;
        folder.map_or(Ok(()), |folder| folder.sync_all())
    }

    fn put(mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.place, Place::Direct) {
            Place::Direct => Ok(()),
            Place::Over { existing } => write_over(&mut self.file, existing, self.is_synced),
            Place::Beside { folder, name, pending: Some(pending), existing } => {
                unmark(&self.file, pending.mode);
                let renamed = rename(&folder, &pending.name, &name);
                renamed.or_else(|error| {
                    let over = self.overwrite_instead(error, existing.as_deref());
                    remove(&folder, &pending.name);
                    over
                })
            }
            Place::Beside { folder, name, pending: None, existing: None } => match link(&self.file, &folder, &name) {
                // Another process created the file in the meantime. It is replaced, as if it had existed before.
                Err(Errno::EXIST) => self.link_and_rename(&folder, &name, None),
                linked => Ok(linked?),
            },
            Place::Beside { folder, name, pending: None, existing } => {
                self.link_and_rename(&folder, &name, existing.as_deref())
            }
        }
    }

    /// A file without a name cannot replace a named one, so it gets a temporary name first.
    fn link_and_rename(&mut self, folder: &File, name: &OsStr, existing: Option<&Path>) -> io::Result<()> {
        // Another process that finds the temporary name sees from the lock that the file was not left behind.
        self.file.try_lock().ok();
        let mode = mode(&self.file.metadata()?);
        mark(&self.file, mode).ok();
        let beside = free_name(folder, name, |beside| link(&self.file, folder, beside))?.1;
        unmark(&self.file, mode);
        rename(folder, &beside, name).or_else(|error| {
            remove(folder, &beside);
            self.overwrite_instead(error, existing)
        })
    }

    /// Overwrites the existing file if `error` says that it cannot be replaced.
    fn overwrite_instead(&mut self, error: io::Error, existing: Option<&Path>) -> io::Result<()> {
        let cannot = [Errno::BUSY, Errno::XDEV, Errno::PERM, Errno::ACCESS].map(|errno| Some(errno.raw_os_error()));
        match existing {
            Some(existing) if cannot.contains(&error.raw_os_error()) => {
                write_over(&mut self.file, File::options().write(true).open(existing)?, self.is_synced)
            }
            _ => Err(error),
        }
    }

    /// Prepares to replace an existing regular file.
    fn replace(path: &Path, is_alias: bool) -> io::Result<AtomicFile> {
        // A file that may not be written must not be replaced either.
        let existing = File::options().write(true).open(path)?;
        let metadata = existing.metadata()?;
        if !is_alias && may_be_replaced(path, &metadata)? {
            match AtomicFile::new_in(path, Some((path.to_path_buf(), Some(&metadata)))) {
                Ok(file) => return Ok(file),
                Err(error) if is_refused(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let file = create_spool(path)?;
        Ok(AtomicFile { file, place: Place::Over { existing }, is_synced: false })
    }

    /// A new file for `path`, in place of an existing one with this metadata, if there is one.
    fn new_in(path: &Path, existing: Option<(PathBuf, Option<&Metadata>)>) -> io::Result<AtomicFile> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_os_string();
        let folder = File::open(folder_of(path))?;
        let (file, pending) = match create_unnamed(&folder) {
            Ok(file) => (file, None),
            Err(error) if is_refused(&error) => return Err(error),
            // Not every file system supports files without a name.
            Err(_) => {
                let (file, name) = free_name(&folder, &name, |beside| create_named(&folder, beside))?;
                let mode = mode(&file.metadata()?) & !MARK;
                (file, Some(Pending { name, mode }))
            }
        };
        let (existing, metadata) = existing.map_or((None, None), |(path, metadata)| (Some(path), metadata));
        let place = Place::Beside { folder, name, pending, existing };
        let mut created = AtomicFile { file, place, is_synced: false };
        if let Some(metadata) = metadata {
            created.copy_owner_and_mode(metadata)?;
        }
        Ok(created)
    }

    /// Gives the new file the owner and the mode of the one that it replaces.
    fn copy_owner_and_mode(&mut self, existing: &Metadata) -> io::Result<()> {
        let own = self.file.metadata()?;
        let owner = (own.uid() != existing.uid()).then(|| Uid::from_raw(existing.uid()));
        let group = (own.gid() != existing.gid()).then(|| Gid::from_raw(existing.gid()));
        if owner.is_some() || group.is_some() {
            rustix::fs::fchown(&self.file, owner, group)?;
        }
        if let Place::Beside { pending: Some(pending), .. } = &mut self.place {
            pending.mode = mode(existing);
            return mark(&self.file, pending.mode).or_else(|_| set_mode(&self.file, mode(existing)));
        }
        set_mode(&self.file, mode(existing))
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Place::Beside { folder, pending: Some(pending), .. } = &self.place {
            remove(folder, &pending.name);
        }
    }
}

fn mode(file: &Metadata) -> u32 {
    file.mode() & 0o7777
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Marks a file as ours. If that fails, the file is not removed if it is left behind.
fn mark(file: &File, mode: u32) -> io::Result<()> {
    set_mode(file, mode | MARK)
}

/// Gives a file its final mode. A file that could not be marked already has it.
fn unmark(file: &File, mode: u32) {
    set_mode(file, mode).ok();
}

/// Whether a file can be replaced without losing anything but its content.
fn may_be_replaced(path: &Path, file: &Metadata) -> io::Result<bool> {
    // A mount point cannot be replaced by a rename, and is usually in another file system than its folder.
    if fs::metadata(folder_of(path))?.dev() != file.dev() {
        return Ok(false);
    }
    // Access control lists, and attributes set by users.
    let mut names = [0u8; 4096];
    let attributes = match rustix::fs::listxattr(path, &mut names[..]) {
        Ok(len) => names[..len].split(|byte| *byte == 0).any(|name| !name.is_empty() && name != b"security.selinux"),
        Err(error) => error == Errno::RANGE,
    };
    Ok(!attributes)
}

/// Whether the system denies creating a file or changing its owner.
fn is_refused(error: &io::Error) -> bool {
    let refused = [Errno::ACCESS, Errno::PERM, Errno::ROFS].map(|errno| Some(errno.raw_os_error()));
    refused.contains(&error.raw_os_error())
}

/// Creates a file in the folder that has no name, and disappears with this process.
#[cfg(target_os = "linux")]
fn create_unnamed(folder: &File) -> io::Result<File> {
    // It gets its name through the name of its descriptor in there.
    fs::metadata("/proc/self/fd")?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, ".", flags, new_file_mode())?.into())
}

#[cfg(not(target_os = "linux"))]
fn create_unnamed(_: &File) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Creates a file with this name in the folder, which must not exist yet. It is locked while it is open.
fn create_named(folder: &File, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(folder, name, flags, new_file_mode())?);
    file.try_lock().ok();
    let metadata = file.metadata().map_err(|_| Errno::IO)?;
    mark(&file, mode(&metadata)).ok();
    // Another process that found the file before it was locked has removed it as left behind.
    match rustix::fs::fstat(&file)?.st_nlink {
        0 => Err(Errno::EXIST),
        _ => Ok(file),
    }
}

/// The mode of a new file, before the user's mask is applied.
fn new_file_mode() -> Mode {
    Mode::from_raw_mode(0o666)
}

/// Creates something under a temporary name beside the final name, and returns the name. A temporary file that a killed process
/// left behind is removed.
fn free_name<T>(folder: &File, name: &OsStr, make: impl Fn(&OsStr) -> Result<T, Errno>) -> io::Result<(T, OsString)> {
    let name = &name.as_bytes()[..name.len().min(NAME_BYTES)];
    for number in 0..NAMES {
        let beside = OsString::from_vec([b".", name, format!(".torvyn-{number}").as_bytes()].concat());
        // In the second round, a file that was left behind is gone.
        for _ in 0..2 {
            match make(&beside) {
                Ok(made) => return Ok((made, beside)),
                Err(Errno::EXIST) if remove_left_behind(folder, &beside) => {}
                Err(Errno::EXIST) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    let name = String::from_utf8_lossy(name);
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("the temporary names `.{name}.torvyn-0` to `.{name}.torvyn-{}` are in use", NAMES - 1),
    ))
}

/// Removes a file of ours with this name that no process is writing any more. Returns whether it did.
fn remove_left_behind(folder: &File, name: &OsStr) -> bool {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::openat(folder, name, flags, Mode::empty()).map(File::from) else { return false };
    if !file.metadata().is_ok_and(|file| file.is_file() && file.mode() & MARK != 0) {
        return false;
    }
    match file.try_lock() {
        Ok(()) => rustix::fs::unlinkat(folder, name, AtFlags::empty()).is_ok(),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

fn link(file: &File, folder: &File, name: &OsStr) -> Result<(), Errno> {
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, from, folder, name, AtFlags::SYMLINK_FOLLOW)
}

fn rename(folder: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::renameat(folder, from, folder, to)?)
}

fn remove(folder: &File, name: &OsStr) {
    rustix::fs::unlinkat(folder, name, AtFlags::empty()).ok();
}

/// Creates a file without a name for the bytes that will overwrite another file.
fn create_spool(path: &Path) -> io::Result<File> {
    let beside = File::open(folder_of(path)).and_then(|folder| create_unnamed(&folder));
    beside.or_else(|_| tempfile::tempfile())
}

/// Overwrites `to` with the content of `from`. If there is not enough space, nothing is changed.
fn write_over(from: &mut File, mut to: File, is_synced: bool) -> io::Result<()> {
    let len = from.metadata()?.len();
    // Not every file system supports this check.
    #[cfg(target_os = "linux")]
    if len > 0
        && let Err(error @ (Errno::NOSPC | Errno::FBIG | Errno::DQUOT)) =
            rustix::fs::fallocate(&to, rustix::fs::FallocateFlags::KEEP_SIZE, 0, len)
    {
        return Err(error.into());
    }
    from.rewind()?;
    io::copy(from, &mut to)
        .and_then(|_| to.set_len(len))
        .and_then(|()| if is_synced { to.sync_all() } else { Ok(()) })
        .map_err(|error| io::Error::new(error.kind(), format!("it was only partly overwritten: {error}")))
}

/// Opens a file to append to it, and creates it if it does not exist. A descriptor of this process, such as `/dev/stdout`, is
/// written at its position. A readable regular file is also open for reading. Opening never waits.
///
/// # Errors
///
/// The error of the system; [`NoReader`](super::NoReader) for a FIFO without a reader.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    let path = match resolve(path)? {
        Resolved::Descriptor(descriptor) => return duplicate(descriptor),
        Resolved::At { path, .. } => path,
    };
    if fs::metadata(&path).is_ok_and(|file| !file.is_file()) {
        return open_to_write(&path, true);
    }
    let open = |read| File::options().append(true).create(true).read(read).open(&path);
    match open(true) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open(false),
        opened => opened,
    }
}

/// Checks that [`open_to_append`] would succeed, as far as possible without creating a file, and opening a pipe or a device.
///
/// # Errors
///
/// The reason if it would not.
pub fn check_append(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => open_to_append(path).map(drop),
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        // Opening a pipe would wait for a reader.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => AtomicFile::check(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(path: &Path, text: &str) -> io::Result<()> {
        let file = AtomicFile::create(path)?;
        file.file().write_all(text.as_bytes())?;
        file.finish()
    }

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn unfinished_files_leave_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        for before in [None, Some("before")] {
            before.inspect(|text| fs::write(&path, text).unwrap());
            let file = AtomicFile::create(&path).unwrap();
            assert_eq!(count(folder.path()), usize::from(before.is_some()), "not while it is written either");
            drop(file);
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), before);
            assert_eq!(count(folder.path()), usize::from(before.is_some()));
        }
        write(&path, "after").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap(), count(folder.path())), ("after".to_string(), 1));
    }

    #[test]
    fn removes_files_that_a_killed_process_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let open = File::open(folder.path()).unwrap();
        let name = OsStr::new("it");
        let left_behind = File::create(folder.path().join(".it.torvyn-0")).unwrap();
        mark(&left_behind, 0o644).unwrap();
        drop(left_behind);
        let (first, beside) = free_name(&open, name, |beside| create_named(&open, beside)).unwrap();
        assert_eq!((beside.to_str(), first.metadata().unwrap().len()), (Some(".it.torvyn-0"), 0));
        let (_second, other) = free_name(&open, name, |beside| create_named(&open, beside)).unwrap();
        assert_eq!(other.to_str(), Some(".it.torvyn-1"), "a file that is being written is not removed");
        drop(first);
        let (_third, again) = free_name(&open, name, |beside| create_named(&open, beside)).unwrap();
        assert_eq!(again.to_str(), Some(".it.torvyn-0"));
        // A file with such a name that is not marked belongs to somebody else.
        let other = OsStr::new("other");
        fs::write(folder.path().join(".other.torvyn-0"), "mine").unwrap();
        let (_fourth, beside) = free_name(&open, other, |beside| create_named(&open, beside)).unwrap();
        assert_eq!(beside.to_str(), Some(".other.torvyn-1"));
        assert_eq!(fs::read_to_string(folder.path().join(".other.torvyn-0")).unwrap(), "mine");
        let long = OsString::from("x".repeat(255));
        free_name(&open, &long, |beside| create_named(&open, beside)).unwrap();
    }

    #[test]
    fn keeps_mode_and_links_and_other_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("it"), "before").unwrap();
        fs::set_permissions(at("it"), Permissions::from_mode(0o640)).unwrap();
        fs::hard_link(at("it"), at("hard")).unwrap();
        symlink("it", at("link")).unwrap();
        symlink("new", at("dangling")).unwrap();
        write(&at("link"), "after").unwrap();
        write(&at("dangling"), "new").unwrap();
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!([read("it"), read("hard"), read("new")], ["after", "before", "new"]);
        assert!(at("link").is_symlink() && at("dangling").is_symlink());
        assert_eq!(fs::metadata(at("it")).unwrap().mode() & 0o7777, 0o640);
        let at_link = AtomicFile::create_at(&at("link")).unwrap();
        at_link.finish().unwrap();
        assert!(!at("link").is_symlink());
        assert_eq!(read("it"), "after");
    }

    #[test]
    fn replaces_a_file_created_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        let file = AtomicFile::create(&path).unwrap();
        fs::write(&path, "meanwhile").unwrap();
        file.file().write_all(b"ours").unwrap();
        file.finish().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap(), count(folder.path())), ("ours".to_string(), 1));
    }

    #[test]
    fn overwrites_what_cannot_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        fs::write(&path, "longer than after").unwrap();
        // A name that the system gives to the file, which nothing can be renamed to.
        let open = File::open(&path).unwrap();
        let other = format!("/proc/{}/task/../fd/{}", std::process::id(), open.as_raw_fd());
        assert!(matches!(resolve(Path::new(&other)), Ok(Resolved::Descriptor(_))));
        let file = AtomicFile::replace(&path, true).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        file.file().write_all(b"after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "longer than after");
        file.finish().unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), fs::metadata(&path).unwrap().ino()),
            ("after".to_string(), inode)
        );
    }

    #[test]
    fn reports_unwritable_paths_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("loop", at("loop")).unwrap();
        for (name, kind) in [
            ("", io::ErrorKind::IsADirectory),
            ("new/", io::ErrorKind::IsADirectory),
            ("new/.", io::ErrorKind::IsADirectory),
            ("no/it", io::ErrorKind::NotFound),
            ("file/it", io::ErrorKind::NotADirectory),
            ("loop", io::Error::from(Errno::LOOP).kind()),
        ] {
            assert_eq!(AtomicFile::create(&at(name)).unwrap_err().kind(), kind, "{name}");
            assert_eq!(AtomicFile::check(&at(name)).unwrap_err().kind(), kind, "{name}");
        }
        AtomicFile::check(&at("new")).unwrap();
        AtomicFile::check(Path::new("/dev/full")).unwrap();
        assert_eq!(count(folder.path()), 2);
    }
}
